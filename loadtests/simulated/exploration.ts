/**
 * Whether trying new items out pays, on a shop to which they come all the time and whose worth no catalogue tells. The gateway's own counts, slates and
 * draws with a fixed formula in the ranker's place (`stand-in.ts`), so that many seeds can be played. Prints each form beside the same shop in which
 * nothing is tried: means over seeds, and paired differences with their standard errors.
 *
 *   npm run build && node dist/loadtests/simulated/exploration.js --help
 */
import { Command } from 'commander';
import { ARMS } from './arms.ts';
import type { ListLedger } from './list-ledger.ts';
import { type ShopOptions, seedsOf, shopOf, WEEK_MS, withShopOptions } from './options.ts';
import { type Drawn, playStandIn } from './stand-in.ts';

interface Options extends ShopOptions {
  readonly visits: string;
  readonly newShare: string;
  readonly appeal: string;
  readonly feed: string;
  readonly forms: string;
}

/** `rates`: what is shipped, as it draws where no bundle says what a click rate weighs. */
const FORMS: Readonly<Record<string, { readonly arm: string; readonly drawn: Drawn }>> = {
  none: { arm: 'none', drawn: 'scores' },
  kept: { arm: 'kept', drawn: 'scores' },
  drawn: { arm: 'drawn', drawn: 'scores' },
  rates: { arm: 'shipped', drawn: 'rates' },
  shipped: { arm: 'shipped', drawn: 'scores' },
};

const FIGURES: readonly (readonly [string, (ledger: ListLedger) => number])[] = [
  ['whole lists', ({ all }) => all.share('shown')],
  ['found by looking', ({ all }) => all.foundShare()],
  ['last week', ({ weeks }) => weeks.at(-1)!.share('shown')],
  ['found by looking', ({ weeks }) => weeks.at(-1)!.foundShare()],
  ['places of new items filled', newFilled],
];

/** Of the places that items of up to a fortnight should have had, those that they got. */
function newFilled({ byAge }: ListLedger): number {
  const young = [...byAge].filter(([name]) => Number.parseInt(name, 10) < 336).map(([, sums]) => sums);
  return young.reduce((sum, { filled }) => sum + filled, 0) / young.reduce((sum, { wanted }) => sum + wanted, 0);
}

const mean = (values: readonly number[]): number => values.reduce((sum, value) => sum + value, 0) / values.length;
const percent = (share: number): string => (100 * share).toFixed(1);
const row = (cells: readonly string[]): string => `| ${cells.join(' | ')} |`;

function difference(values: readonly number[], beside: readonly number[]): string {
  const gains = values.map((value, i) => value - beside[i]!);
  const centre = mean(gains);
  const error = Math.sqrt(gains.reduce((sum, gain) => sum + (gain - centre) ** 2, 0) / Math.max(1, gains.length - 1) / gains.length);
  return `${centre < 0 ? '' : '+'}${percent(centre)} ± ${percent(error)}`;
}

async function main(options: Options): Promise<void> {
  const forms = options.forms.split(',');
  const unknown = forms.find((form) => FORMS[form] === undefined);
  if (unknown !== undefined) throw new RangeError(`there is no form ${unknown}; there are ${Object.keys(FORMS).join(', ')}`);
  const seeds = seedsOf(options);
  const played = new Map<string, ListLedger[]>(forms.map((form) => [form, []]));
  for (const seed of seeds) {
    for (const form of forms) {
      const { arm, drawn } = FORMS[form]!;
      const shop = shopOf(options, seed, {
        visitsPerUserDay: Number(options.visits),
        fraudRate: 0,
        newShare: Number(options.newShare),
        appeal: Number(options.appeal),
        feedShare: Number(options.feed),
      });
      const ledger = await playStandIn(shop, arm, drawn, shop.settings.startMs + WEEK_MS);
      played.get(form)!.push(ledger);
      process.stderr.write(`${row([`${seed}`, form, ...FIGURES.map(([, figure]) => percent(figure(ledger)))])}\n`);
    }
  }
  const of = (form: string, figure: (ledger: ListLedger) => number): number[] => played.get(form)!.map(figure);
  const [first] = forms;
  const lines = [
    `Percent of the best possible reward over ${seeds.length} shops (seeds ${options.seeds}), and the difference to the first row, with its standard error.`,
    '',
    row(['tried', ...FIGURES.map(([name]) => name)]),
    row(['---', ...FIGURES.map(() => '---')]),
    ...forms.map((form) =>
      row([
        form,
        ...FIGURES.map(([, figure]) => {
          const values = of(form, figure);
          return form === first ? percent(mean(values)) : `${percent(mean(values))} (${difference(values, of(first!, figure))})`;
        }),
      ]),
    ),
    '',
    ...forms.map((form) => `${form}: ${ARMS[FORMS[form]!.arm]!.text}${FORMS[form]!.drawn === 'rates' ? ', by click rates alone' : ''}`),
  ];
  process.stdout.write(`${lines.join('\n')}\n`);
}

const program = withShopOptions(new Command('exploration').description('Whether trying new items out pays, on many simulated shops'), {
  users: '200',
  items: '240',
  weeks: '4',
  seeds: '1,2,3,4',
})
  .option('--visits <n>', 'visits of a user a day', '0.3')
  .option('--new-share <share>', 'of the items that are first offered while the shop is played', '0.6')
  .option('--appeal <weight>', 'how much of an item’s worth no catalogue tells', '1.2')
  .option('--feed <share>', 'of the steps of a visit that go by the page’s list', '0.6')
  .option('--forms <names>', `which to play, of ${Object.keys(FORMS).join(', ')}`, 'none,kept,drawn,rates,shipped');

await main(program.parse().opts<Options>());
