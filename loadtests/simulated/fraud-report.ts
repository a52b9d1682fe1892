import type { FraudKind } from '../../simulator/index.ts';
import { whole } from '../load/report.ts';
import { type Prices, together, type Week } from './ledger.ts';

/** The courses of one seed's shop, and how old the model was at the end of each week. */
export interface SeedResult {
  readonly seed: number;
  readonly without: readonly Week[];
  readonly rules: readonly Week[];
  readonly model: readonly Week[];
  readonly modelAgeDays: readonly (number | undefined)[];
}

const HEAD = [
  'attacks; bold: for the first time',
  'payments',
  'frauds',
  'lost without',
  'with rules',
  'with rules and model',
  'of that: fraud',
  'honest money refused',
  'challenged',
  'customers hurt',
  'reviews',
  'model’s age in days',
];

/** Tables in Markdown: medians over the seeds of each figure, week by week, then each seed's weeks together. */
export function reportOf(results: readonly SeedResult[], prices: Prices, alone: number): string {
  const weeks = results[0]!.model.map((_, n) => n);
  const seen = new Set<FraudKind>();
  const byWeek = weeks.map((n) => {
    const attacks = attacksOf(results, n, seen);
    const rows = results.map((result) => cellsOf(result.without[n]!, result.rules[n]!, result.model[n]!));
    return line(`${n + 1}${n < alone ? ' (nobody judges)' : ''}`, attacks, medians(rows), ageOf(results, n));
  });
  const all = results.map(({ seed, without, rules, model }) => {
    const [first, second, third] = [without, rules, model].map((course) => together(course.slice(alone)));
    return { seed, cells: cellsOf(first!, second!, third!) };
  });
  return [
    `A fraud costs its goods and ${prices.chargebackFee}; a refused honest payment ${100 * prices.margin} % of it; a review ${prices.review}, and finds ${100 * prices.reviewFinds} % of the frauds it looks at; a challenge stops thieves and loses ${100 * prices.challengeLoses} % of honest payers. Trained anew at the end of each week. Medians of ${results.length} seeds.`,
    '',
    `| week | ${HEAD.join(' | ')} |`,
    `|${'---|'.repeat(HEAD.length + 1)}`,
    ...byWeek,
    line('judged weeks together', '', medians(all.map(({ cells }) => cells)), ''),
    ...all.map(({ seed, cells }) => line(`the same, seed ${seed}`, '', cells, '')),
  ].join('\n');
}

/** Money and counts; shares of honest money in percent stand last but three. */
function cellsOf(without: Week, rules: Week, model: Week): number[] {
  const share = (amount: number): number => (100 * amount) / model.honestAmount;
  const held = [share(model.refusedAmount), share(model.challengedAmount)];
  return [model.payments, model.frauds, without.loss, rules.loss, model.loss, model.fraudLoss, ...held, model.hurt.size, model.reviews];
}

const SHARES: ReadonlySet<number> = new Set([6, 7]);

function line(name: string, attacks: string, cells: readonly number[], age: string): string {
  const shown = cells.map((value, i) => (SHARES.has(i) ? `${value.toFixed(2)} %` : whole(value)));
  return `| ${[name, attacks, ...shown, age].join(' | ')} |`;
}

function medians(rows: readonly (readonly number[])[]): number[] {
  return rows[0]!.map((_, i) => median(rows.map((row) => row[i]!)));
}

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
}

/** Kinds of fraud of the week in any seed; what was never seen before is bold and goes into `seen`. */
function attacksOf(results: readonly SeedResult[], n: number, seen: Set<FraudKind>): string {
  const kinds = together(results.map(({ without }) => without[n]!)).kinds;
  const shown = [...kinds].sort().map((kind) => (seen.has(kind) ? named(kind) : `**${named(kind)}**`));
  for (const kind of kinds) seen.add(kind);
  return shown.join(', ');
}

function named(kind: FraudKind): string {
  return kind.replaceAll('_', ' ');
}

/** Of the seeds that have a model; how many have none is said. */
function ageOf(results: readonly SeedResult[], n: number): string {
  const ages = results.flatMap(({ modelAgeDays }) => modelAgeDays[n] ?? []);
  const none = results.length - ages.length;
  if (ages.length === 0) return 'no model';
  return `${whole(median(ages))}${none > 0 ? ` (${none} of ${results.length} without)` : ''}`;
}
