import { expect, test } from 'vitest';
import { DAY, NOW, PLAIN, testItems, testShop } from '../shop.testing.ts';

const OWN = { ...PLAIN, id: 'own', suppress_purchased_days: 0, sources: { user_vector: 0, item_to_item: 0, buy_again: 10, popular: 0, new: 0 } };

/** A shop of one user; `bought` are the days ago, by item. */
async function shopOf(bought: Readonly<Record<string, readonly number[]>>, categories: Readonly<Record<string, string>> = {}) {
  const shop = testShop(testItems(20, (i) => ({ category: categories[`i${i}`] ?? `of i${i}` })));
  const acts = Object.entries(bought).flatMap(([item, days]) => days.map((day) => ({ item, day })));
  for (const { item, day } of acts.sort((a, b) => b.day - a.day)) await shop.say('purchase', item, NOW - day * DAY);
  return {
    ...shop,
    /** What the source names where it may name so many; half of them, rounded up, go by the rhythm. */
    async due(cap = 20) {
      const { trace } = await shop.ask({ user_id: 'u1', limit: 10 }, { ...OWN, sources: { ...OWN.sources, buy_again: cap } });
      return trace.sources.find(({ source }) => source === 'buy_again')!.found;
    },
  };
}
/** Six purchases, one every `every` days, the last one `last` days ago. */
const rhythm = (every: number, last: number): number[] => Array.from({ length: 6 }, (_, i) => last + i * every);

test('what is bought every fortnight and due comes before what was bought yesterday and what was given up', async () => {
  const shop = await shopOf({ i1: rhythm(14, 13), i2: [1], i3: rhythm(14, 1), i4: rhythm(14, 150) });
  const order = await shop.due();
  expect(order[0]).toBe('i1');
  expect([...order].sort()).toEqual(['i1', 'i2', 'i3', 'i4']);
  expect(order.indexOf('i3')).toBeLessThan(order.indexOf('i4'));
});

test('each item is due by its own interval', async () => {
  // Twelve days after the last purchase: what is bought every other day was left out a few times, what is bought every ninety days is far away.
  expect(await (await shopOf({ i1: rhythm(14, 12), i2: rhythm(90, 12), i3: rhythm(2, 12) })).due()).toEqual(['i1', 'i3', 'i2']);
});

test('of what was bought once, the rhythm of its category tells when it is due', async () => {
  const order = async (days: number, categories: Readonly<Record<string, string>>) =>
    (await (await shopOf({ i1: rhythm(10, 40), i2: [days], i5: [days - 1] }, categories)).due()).filter((item) => item !== 'i1');
  // Without a rhythm the later purchase is the likelier one to be made again; tea that was bought a day ago is not wanted yet.
  expect(await order(2, {})).toEqual(['i5', 'i2']);
  expect(await order(2, { i1: 'tea', i5: 'tea' })).toEqual(['i2', 'i5']);
});

test('of a user without a rhythm, the later and the more often bought come first', async () => {
  const shop = await shopOf({ i1: [200], i2: [20], i3: [100], i4: [3, 3, 3] });
  expect(await shop.due()).toEqual(['i4', 'i2', 'i3', 'i1']);
});

test('half of the candidates are what was bought often and lately, due or not, and none is named twice', async () => {
  const shop = await shopOf({ i1: rhythm(14, 13), i2: rhythm(14, 1), i3: rhythm(14, 2), i4: [1] });
  expect(await shop.due(1)).toEqual(['i1']);
  expect(await shop.due(2)).toEqual(['i1', 'i2']);
  expect(await shop.due(3)).toEqual(['i1', 'i3', 'i2']);
  expect(await shop.due(10)).toEqual(['i1', 'i3', 'i2', 'i4']);
});

test('where no ranker is, the answer is in this order and says what was added by it', async () => {
  const shop = await shopOf({ i1: rhythm(14, 13), i2: rhythm(14, 1) });
  const { items } = await shop.ask({ user_id: 'u1', limit: 2, explain: true }, OWN);
  expect(items.map(({ item_id }) => item_id)).toEqual(['i1', 'i2']);
  const due = items[0]!.explanation!.contributions!.find(({ feature }) => feature === 'buy_again_due')!;
  expect(due).toMatchObject({ contribution: expect.closeTo(1, 10), text: expect.stringContaining('buy_again_due') });
});
