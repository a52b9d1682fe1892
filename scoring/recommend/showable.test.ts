import { describe, expect, test } from 'vitest';
import { HIDE_DAYS } from './placements.ts';
import { DAY, HOUR, NOW, PLAIN, testItems, testShop } from './shop.testing.ts';

const reasonsOf = ({ trace }: Awaited<ReturnType<ReturnType<typeof testShop>['ask']>>) =>
  new Map(trace.sources.flatMap(({ refused }) => refused.map(({ item_id, reason }) => [item_id, reason] as const)));

describe('what a shopper hid', () => {
  test('is gone from the next answer, for them alone, and comes back for nothing', async () => {
    const shop = testShop(testItems(4));
    await shop.say('hide_item', 'i2', NOW - 1);
    expect((await shop.ask({ user_id: 'u1', limit: 4 })).ids.sort()).toEqual(['i0', 'i1', 'i3']);
    expect(reasonsOf(await shop.ask({ user_id: 'u1', limit: 4 })).get('i2')).toBe('hidden');
    expect((await shop.ask({ user_id: 'u2', limit: 4 })).ids).toHaveLength(4);
    for (const other of ['i0', 'i1', 'i3']) await shop.say('hide_item', other, NOW - 1);
    expect((await shop.ask({ user_id: 'u1', limit: 4 })).ids).toEqual([]);
  });

  test('stays hidden for its time, which a placement may set', async () => {
    const shop = testShop(testItems(3));
    await shop.say('hide_item', 'i0', NOW - HIDE_DAYS * DAY + 1);
    await shop.say('hide_item', 'i1', NOW - HIDE_DAYS * DAY - 1);
    expect((await shop.ask({ user_id: 'u1', limit: 3 })).ids.sort()).toEqual(['i1', 'i2']);
    expect((await shop.ask({ user_id: 'u1', limit: 3 }, { ...PLAIN, hide_days: 7 })).ids).toHaveLength(3);
  });

  test('is shown again once it was taken back, and hidden again after that', async () => {
    const shop = testShop(testItems(2));
    const both = { user_id: 'u1', session_id: 's1' };
    const shown = async () => (await shop.ask({ ...both, limit: 2 })).ids.includes('i0');
    await shop.say('hide_item', 'i0', NOW - 5, both);
    expect(await shown()).toBe(false);
    // Taken back on another device: the visit's own state does not know.
    await shop.say('unhide_item', 'i0', NOW - 4, { user_id: 'u1' });
    expect(await shown()).toBe(true);
    await shop.say('hide_item', 'i0', NOW - 3, { session_id: 's1' });
    expect(await shown()).toBe(false);
  });

  test('is remembered of a visit without a user', async () => {
    const shop = testShop(testItems(2));
    await shop.say('hide_item', 'i1', NOW - 5, { session_id: 's1' });
    expect((await shop.ask({ session_id: 's1', limit: 2 })).ids).toEqual(['i0']);
    expect((await shop.ask({ session_id: 's2', limit: 2 })).ids).toHaveLength(2);
  });

  test('does not grow with what is hidden: the oldest are forgotten', async () => {
    const shop = testShop(testItems(200));
    for (let i = 0; i < 200; i++) await shop.say('hide_item', `i${i}`, NOW - 1000 + i);
    const { ids } = await shop.ask({ user_id: 'u1', limit: 100 });
    expect(ids).toHaveLength(200 - 128);
    expect(ids).not.toContain('i199');
  });
});

test('what was looked at lately is left out for the hours of the placement, by user or visit, and comes back rather than nothing', async () => {
  const shop = testShop(testItems(4));
  await shop.say('view_item', 'i0', NOW - 2 * HOUR);
  await shop.say('view_item', 'i1', NOW - 5 * HOUR);
  await shop.say('view_item', 'i2', NOW - HOUR, { session_id: 's1' });
  const placement = { ...PLAIN, suppress_viewed_hours: 4 };
  const answer = await shop.ask({ user_id: 'u1', session_id: 's1', limit: 2 }, placement);
  expect(answer.ids.sort()).toEqual(['i1', 'i3']);
  expect(reasonsOf(answer).get('i0')).toBe('viewed_lately');
  expect((await shop.ask({ user_id: 'u1', session_id: 's1', limit: 4 }, placement)).ids).toHaveLength(4);
  expect((await shop.ask({ user_id: 'u1', session_id: 's1', limit: 4 })).trace.sources.flatMap(({ refused }) => refused)).toEqual([]);
});

test('a refusal says why', async () => {
  const shop = testShop(testItems(8, (i) => (i === 5 ? { stock: 0 } : i === 6 ? { price: 99 } : {})));
  for (let i = 0; i < 8; i++) await shop.say('view_item', `i${i}`, NOW - HOUR, { user_id: 'somebody' });
  await shop.say('purchase', 'i3', NOW - DAY);
  const request = { user_id: 'u1', item_id: 'i0', exclude: ['i1'], filter: [{ field: 'price', not_in: [99] }], limit: 8 };
  // Five thousand more, so that sources do not go through the few that fit.
  for (const item of testItems(5000)) if (Number(item.item_id.slice(1)) >= 8) shop.catalogue.put(item);
  expect(Object.fromEntries(reasonsOf(await shop.ask(request)))).toMatchObject({
    i0: 'page_item',
    i1: 'excluded',
    i3: 'bought_lately',
    i5: 'not_sellable',
    i6: 'filter',
  });
});
