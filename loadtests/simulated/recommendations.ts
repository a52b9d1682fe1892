/**
 * How good recommendations are for people whose tastes are known: a simulated shop whose pages show what a real gateway behind HTTP recommends, on the
 * shop's clock, trained anew each week. Prints the share of the best possible reward, the curves of new visitors and new items, and the same weeks with
 * less and more exploration. A reward is the true want of a list's items (`affinity`): the mean over the list, and what is found by looking down it as
 * the shop's visitors do (`examination`).
 *
 *   npm run build && node dist/loadtests/simulated/recommendations.js --help
 */
import { Command } from 'commander';
import { ARMS } from './arms.ts';
import { ListLedger } from './list-ledger.ts';
import { armTable, itemTable, seedTable, visitorTable } from './list-report.ts';
import { play } from './list-run.ts';
import { type ShopOptions, seedsOf, shopOf, WEEK_MS, withShopOptions } from './options.ts';

interface Options extends ShopOptions {
  readonly alone: string;
  readonly visits: string;
  readonly arms: string;
  readonly newShare: string;
  readonly appeal: string;
  readonly feed: string;
}

async function main(options: Options): Promise<void> {
  const arms = options.arms.split(',');
  const unknown = arms.find((arm) => ARMS[arm] === undefined);
  if (unknown !== undefined) throw new RangeError(`there is no arm ${unknown}; there are ${Object.keys(ARMS).join(', ')}`);
  const seeds = seedsOf(options);
  const ledgers = new Map(arms.map((arm) => [arm, new ListLedger()]));
  const clicks = new Map(arms.map((arm) => [arm, 0]));
  const courses: { readonly seed: number; readonly arm: string; readonly ledger: ListLedger }[] = [];
  for (const seed of seeds) {
    for (const arm of arms) {
      const shop = shopOf(options, seed, {
        visitsPerUserDay: Number(options.visits),
        fraudRate: 0,
        newShare: Number(options.newShare),
        appeal: Number(options.appeal),
        feedShare: Number(options.feed),
      });
      const judge = await play(shop, arm, shop.settings.startMs + Number(options.alone) * WEEK_MS);
      ledgers.get(arm)!.addAll(judge.ledger);
      clicks.set(arm, clicks.get(arm)! + judge.clicks);
      courses.push({ seed, arm, ledger: judge.ledger });
      // Minutes pass between courses: what is there is shown.
      process.stderr.write(`${seedTable(courses).join('\n')}\n`);
    }
  }
  const lines = [
    `Share of the best possible reward: the true want of what was shown, over that of the items wanted most. ${options.users} people, ${options.items} items; the shop lists by itself for ${options.alone} weeks, then the gateway, trained anew at the end of each week. Seeds ${options.seeds}.`,
    '',
    ...armTable(ledgers, clicks),
    '',
    ...seedTable(courses),
    '',
    'By earlier visits of the visitor (lists of the first row above):',
    '',
    ...visitorTable(ledgers),
    '',
    'By hours since the item was put: places that it has in the best lists, those that it got, and how much what was shown is wanted:',
    '',
    ...itemTable(ledgers),
  ];
  process.stdout.write(`${lines.join('\n')}\n`);
}

const program = withShopOptions(
  new Command('recommendations').description(
    'Recommendations for people whose tastes are known, with less and more exploration, on a simulated shop',
  ),
  { users: '300', items: '300', weeks: '6', seeds: '1' },
)
  .option('--alone <n>', 'weeks at the beginning in which the shop lists by itself: what the first models learn from', '2')
  .option('--visits <n>', 'visits of a user a day', '0.3')
  .option('--new-share <share>', 'of the items that are first offered while the shop is played', '0.18')
  .option('--appeal <weight>', 'how much of an item’s worth no catalogue tells', '0.35')
  .option('--feed <share>', 'of the steps of a visit that go by the page’s list', '0')
  .option('--arms <names>', `which to play, of ${Object.keys(ARMS).join(', ')}`, 'none,shipped,thompson');

await main(program.parse().opts<Options>());
