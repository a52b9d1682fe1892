/**
 * What it is worth to know that lower places are looked at less: a simulated shop shows its visitors what is popular, they look down these lists as the
 * simulator says, and of one and the same log the trainer's code makes three rankers: without the clicks on these lists, with each click as it was seen,
 * and with clicks corrected for their places. Prints how often places are looked at as it was learned and as it is true, and the share of the best
 * possible reward that each ranker reaches.
 *
 *   npm run build && node dist/loadtests/simulated/position-bias.js --help
 */
import { Command } from 'commander';
import { type BiasResult, measurePositionBias, PLACES, USES } from './bias-run.ts';
import { type ShopOptions, seedsOf, shopOf, withShopOptions } from './options.ts';

interface Options extends ShopOptions {
  readonly visits: string;
  readonly feed: string;
  readonly queries: string;
}

const percent = (share: number): string => `${(100 * share).toFixed(2)} %`;
const row = (cells: readonly string[]): string => `| ${cells.join(' | ')} |`;
const numbers = (values: readonly number[]): string[] => values.map((value) => value.toFixed(2));

function report(results: ReadonlyMap<number, BiasResult>): string {
  const places = Array.from({ length: PLACES }, (_, place) => `${place + 1}`);
  return [
    row(['seed', 'looked at, beside the first place', ...places]),
    row(Array.from({ length: PLACES + 2 }, () => '---')),
    ...[...results].flatMap(([seed, { learned, truth }]) => [
      row([`${seed}`, 'truly', ...numbers(truth)]),
      row([`${seed}`, 'learned', ...numbers(learned)]),
    ]),
    '',
    row(['seed', 'lists', 'clicks unused', 'as seen', 'corrected']),
    row(['---', '---', '---', '---', '---']),
    ...[...results].map(([seed, { lists, shares }]) => row([`${seed}`, `${lists}`, ...USES.map((use) => percent(shares[use]))])),
  ].join('\n');
}

async function main(options: Options): Promise<void> {
  const results = new Map<number, BiasResult>();
  for (const seed of seedsOf(options)) {
    const shop = shopOf(options, seed, { visitsPerUserDay: Number(options.visits), feedShare: Number(options.feed), fraudRate: 0 });
    results.set(seed, await measurePositionBias(shop, { queriesMax: Number(options.queries) }));
    // Minutes pass between seeds: what is there is shown.
    process.stderr.write(`${report(results)}\n`);
  }
  process.stdout.write(`${report(results)}\n`);
}

const program = withShopOptions(
  new Command('position-bias').description('Rankers that know of position bias and that do not, of the same clicks, on a simulated shop'),
  { users: '400', items: '300', weeks: '6', seeds: '1,2,3' },
)
  .option('--visits <n>', 'visits of a user a day', '0.3')
  .option('--feed <share>', 'of the steps of a visit that go by the page’s list', '0.8')
  .option('--queries <n>', 'questions that the rankers learn from, and that they are asked', '600');

await main(program.parse().opts<Options>());
