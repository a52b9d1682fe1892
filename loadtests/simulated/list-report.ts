import { ARMS } from './arms.ts';
import { type ListLedger, Sums } from './list-ledger.ts';

type Ledgers = ReadonlyMap<string, ListLedger>;

const percent = (share: number): string => (Number.isNaN(share) ? '' : `${(100 * share).toFixed(1)} %`);
const row = (cells: readonly (string | number)[]): string => `| ${cells.join(' | ')} |`;
const head = (cells: readonly string[]): string[] => [row(cells), `|${cells.map(() => '---|').join('')}`];

export function armTable(ledgers: Ledgers, clicks: ReadonlyMap<string, number>): string[] {
  const weeks = Math.max(...[...ledgers.values()].map((ledger) => ledger.weeks.length));
  const numbers = Array.from({ length: weeks }, (_, n) => n);
  return [
    ...head(['exploration', 'lists', 'clicks', ...numbers.map((n) => `week ${n + 1}`), 'all weeks', 'found by looking', 'popular alone', 'drawn']),
    ...[...ledgers].map(([arm, { weeks: byWeek, all }]) =>
      row([
        ARMS[arm]!.text,
        all.lists,
        clicks.get(arm)!,
        ...numbers.map((n) => percent((byWeek[n] ?? new Sums()).share('shown'))),
        percent(all.share('shown')),
        percent(all.foundShare()),
        percent(all.share('popular')),
        percent(all.share('random')),
      ]),
    ),
  ];
}

/** A course of the shop a row: the reward of all its lists together, and of those of its last week, as a whole and as it is found by looking. */
export function seedTable(rows: readonly { readonly seed: number; readonly arm: string; readonly ledger: ListLedger }[]): string[] {
  return [
    ...head(['seed', 'arm', 'whole lists', 'popular alone', 'found by looking', 'popular alone', 'found in all', 'last week', 'found by looking']),
    ...rows.map(({ seed, arm, ledger: { all, weeks } }) =>
      row([
        seed,
        arm,
        percent(all.share('shown')),
        percent(all.share('popular')),
        percent(all.foundShare()),
        percent(all.foundShare('foundPopular')),
        all.found.toFixed(1),
        percent(weeks.at(-1)!.share('shown')),
        percent(weeks.at(-1)!.foundShare()),
      ]),
    ),
  ];
}

export function visitorTable(ledgers: Ledgers): string[] {
  const arms = [...ledgers.keys()];
  const [first] = ledgers.values();
  return [
    ...head(['earlier visits', 'lists', ...arms, 'popular alone']),
    ...[...first!.byVisits].map(([name, sums]) =>
      row([name, sums.lists, ...arms.map((arm) => percent(ledgers.get(arm)!.byVisits.get(name)!.share('shown'))), percent(sums.share('popular'))]),
    ),
  ];
}

export function itemTable(ledgers: Ledgers): string[] {
  const arms = [...ledgers.keys()];
  const [first] = ledgers.values();
  return [
    ...head(['hours', 'places of the best lists', ...arms.flatMap((arm) => [`${arm}: of those filled`, 'shown', 'want of what was shown'])]),
    ...[...first!.byAge].map(([name, { wanted }]) =>
      row([
        name,
        wanted,
        ...arms.flatMap((arm) => {
          const sums = ledgers.get(arm)!.byAge.get(name)!;
          return [percent(sums.filled / sums.wanted), sums.shown, sums.shown === 0 ? '' : (sums.want / sums.shown).toFixed(3)];
        }),
      ]),
    ),
  ];
}
