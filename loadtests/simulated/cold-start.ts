/**
 * How soon the gateway knows a stranger: people with known tastes who come to a shop that has never seen them, and what it recommends to them after each of
 * their first acts, with a bundle, without one, and beside what is popular and what is drawn.
 *
 *   npm run build && node dist/loadtests/simulated/cold-start.js --help
 */
import { Command } from 'commander';
import { type ColdRow, measureColdStart, RANKINGS, type Ranking } from './cold-run.ts';
import { type ShopOptions, seedsOf, shopOf, withShopOptions } from './options.ts';

interface Options extends ShopOptions {
  readonly visits: string;
  readonly acts: string;
  readonly strangers: string;
}

const percent = (share: number): string => `${(100 * share).toFixed(1)} %`;

function table(runs: readonly (readonly ColdRow[])[]): string[] {
  const mean = (step: number, of: (row: ColdRow) => number): number => runs.reduce((sum, rows) => sum + of(rows[step]!), 0) / runs.length;
  const cell = (step: number, ranking: Ranking): string =>
    `${percent(mean(step, ({ worth }) => worth[ranking].share))} (${mean(step, ({ worth }) => worth[ranking].ndcg).toFixed(3)})`;
  return [
    `| acts before | ${RANKINGS.join(' | ')} |`,
    `|---|${RANKINGS.map(() => '---|').join('')}`,
    ...runs[0]!.map(({ acts }, step) => `| ${acts} | ${RANKINGS.map((ranking) => cell(step, ranking)).join(' | ')} |`),
  ];
}

async function main(options: Options): Promise<void> {
  const steps = options.acts.split(',').map(Number);
  const runs: ColdRow[][] = [];
  for (const seed of seedsOf(options)) {
    const shop = shopOf(options, seed, { visitsPerUserDay: Number(options.visits), fraudRate: 0 });
    const rows = await measureColdStart(shop, steps, Number(options.strangers));
    runs.push(rows);
    process.stderr.write(`seed ${seed}, ${rows[0]!.strangers} strangers\n${table([rows]).join('\n')}\n`);
  }
  process.stdout.write(
    `Share of the best possible reward of a list of 8 (NDCG by true wants), mean over strangers. ${options.users} people, ${options.items} items, ${options.weeks} weeks, seeds ${options.seeds}.\n\n${table(runs).join('\n')}\n`,
  );
}

const program = withShopOptions(
  new Command('cold-start').description('Recommendations for strangers of known tastes after each of their first acts, on a simulated shop'),
  { users: '600', items: '300', weeks: '6', seeds: '1,2,3' },
)
  .option('--visits <n>', 'visits of a user a day', '0.3')
  .option('--acts <list>', 'acts of a stranger after which a list is asked for', '0,1,2,3,5,10,20')
  .option('--strangers <n>', 'people whom the gateway does not know, at most', '150');

await main(program.parse().opts<Options>());
