import { beforeAll, expect, test } from 'vitest';
import type { RecommendRequest } from '../../../contracts/recommend.ts';
import { COUNTRY_DEMAND_MIN } from '../country-trends.ts';
import { PopularityTable } from '../retrieval.ts';
import { NOW, PLAIN, testItems, testShop } from '../shop.testing.ts';

/** So many that none of those that are asked for is new. */
const ITEMS = 60;
const shop = testShop(testItems(ITEMS));
const models = { popularity: new PopularityTable(shop.catalogue.handles, ['i9', 'i2', 'i11'], Float32Array.of(1, 0.9, 0.8)) };
beforeAll(async () => {
  const demand = async (item: string, times: number, who: object) => {
    for (let n = 0; n < times; n++) await shop.say('purchase', item, NOW, { user_id: `u${n}`, ...who });
  };
  const enough = Math.ceil(COUNTRY_DEMAND_MIN / 6);
  await demand('i3', enough, { country: 'DE' });
  await demand('i5', 2, { country: 'DE' });
  await demand('i1', 2 * enough, { country: 'FR' });
  await demand('i2', enough + 1, {});
});

/** What the source names when it may give `cap` items. */
async function found(request: RecommendRequest, cap = 40): Promise<readonly string[]> {
  const sources = { user_vector: 0, item_to_item: 0, buy_again: 0, popular: cap, new: 0 };
  const { trace } = await shop.ask(request, { ...PLAIN, suppress_purchased_days: 0, sources }, models);
  return trace.sources.find(({ source }) => source === 'popular')!.found;
}

test('without a part it is live demand, then what was popular in training, each once', async () => {
  expect(await found({})).toEqual(['i1', 'i2', 'i3', 'i5', 'i9', 'i11']);
  expect(await found({}, 5)).toEqual(['i1', 'i2', 'i3', 'i5', 'i9']);
});

test('a country’s items come first, and not twice', async () => {
  expect(await found({ country: 'DE' })).toEqual(['i3', 'i5', 'i1', 'i2', 'i9', 'i11']);
  expect(await found({ country: 'DE' }, 3)).toEqual(['i3', 'i5', 'i1']);
  expect(await found({ country: 'DE' }, 2)).toEqual(['i3', 'i5']);
  expect(await found({ country: 'FR', exclude: ['i1'] })).toEqual(['i2', 'i3', 'i5', 'i9', 'i11']);
});

test('the same where few items fit a filter', async () => {
  const odd = [{ field: 'category', in: ['c1', 'c3'] }];
  expect(await found({ filter: odd })).toEqual(['i1', 'i3', 'i5', 'i9', 'i11']);
  expect(await found({ filter: odd, country: 'DE' })).toEqual(['i3', 'i5', 'i1', 'i9', 'i11']);
  expect(await found({ filter: odd, country: 'DE' }, 3)).toEqual(['i3', 'i5', 'i1']);
  expect(await found({ filter: odd, country: 'DE' }, 1)).toEqual(['i3']);
});

test('the category of the page counts before the country; that of its item too', async () => {
  expect(await found({ category: 'c1', country: 'DE' })).toEqual(['i1', 'i5', 'i9']);
  // The page of an item of c1: of the whole shop, but beginning with c1.
  expect(await found({ item_id: 'i13', country: 'DE' })).toEqual(['i1', 'i5', 'i2', 'i3', 'i9', 'i11']);
  // Nobody wants anything of c0, so the country counts.
  expect(await found({ item_id: 'i4', country: 'DE' })).toEqual(['i3', 'i5', 'i1', 'i2', 'i9', 'i11']);
});
