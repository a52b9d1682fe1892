import { expect, test } from 'vitest';
import { EXAMINED_MIN } from '../contracts/examined.ts';
import { type Audience, actOut, createShop } from '../simulator/index.ts';
import { Impressions } from './impressions.ts';
import { seededRandom } from './learners/random.ts';
import type { SeenList } from './list-rows.ts';
import { placeCurves, placeOffset } from './position-bias.ts';
import { answered, END_MS, eventFact } from './shop.testing.ts';

const PLACES = 6;
const TRUTH = Array.from({ length: PLACES }, (_, place) => 0.75 ** place);

/** Lists whose order is a ranker's good guess of the appeal, so that what stands low is both less liked and less looked at. */
function listsOf(count: number, placement = 'home'): SeenList[] {
  const random = seededRandom(4);
  return Array.from({ length: count }, (_, n) => {
    const items = Array.from({ length: PLACES }, () => [random.normal(), random.normal(), random.next()] as const)
      .map((x) => ({ x, appeal: 0.6 / (1 + Math.exp(1 - x[0] - 0.5 * x[1])), guess: x[0] + 0.8 * random.normal() }))
      .sort((a, b) => b.guess - a.guess);
    return {
      placement,
      visitor: `u${n % 300}`,
      places: Uint8Array.from(items.keys()),
      clicked: Uint8Array.from(items, ({ appeal }, place) => (random.next() < TRUTH[place]! * appeal ? 1 : 0)),
      rows: Float32Array.from(items.flatMap(({ x }) => x)),
    };
  });
}

test('how often places are looked at is learned from lists whose best items stand first', async () => {
  const lists = listsOf(4_000);
  const { home } = await placeCurves(lists, 3, 1);
  expect(home!.lists).toBe(4_000);
  expect(home!.examined[0]).toBe(1);
  const clicks = (place: number): number => lists.reduce((sum, { clicked }) => sum + clicked[place]!, 0);
  for (let place = 1; place < PLACES; place++) {
    expect(Math.abs(home!.examined[place]! - TRUTH[place]!)).toBeLessThan(0.06);
    // Clicks alone would take for the place what is the item.
    expect(clicks(place) / clicks(0)).toBeLessThan(TRUTH[place]! - 0.06);
  }
});

test('what visitors of the simulated shop do is found in what they click on, within a tenth', async () => {
  const shop = createShop({ seed: 2, endMs: END_MS, users: 200, items: 80, days: 30, visitsPerUserDay: 0.4, fraudRate: 0, feedShare: 0.8 });
  const ids = shop.items().map(({ item_id }) => item_id);
  const random = seededRandom(7);
  const impressions = new Impressions();
  const rows = new Map<number, Float32Array>();
  const wanted = new Float64Array(8);
  const found = new Float64Array(8);
  let record = 0;
  const audience: Audience = {
    happened: (event) => impressions.take(eventFact(event), record++),
    judged: () => undefined,
    dayEnded: () => {},
    listed({ placement, userId, sessionId }, atMs) {
      if (userId === undefined || placement !== 'home') return undefined;
      // A ranker that knows something of tastes, not all.
      const guesses = Array.from({ length: 30 }, () => ids[random.int(ids.length)]!)
        .filter((id, i, all) => all.indexOf(id) === i)
        .map((id) => ({ id, x: [shop.utility(userId, id, atMs) + random.normal(), random.next()] }))
        .sort((a, b) => b.x[0]! - a.x[0]!)
        .slice(0, 8);
      const itemIds = guesses.map(({ id }) => id);
      for (const [place, looks] of shop.examination(userId, itemIds, atMs).entries()) {
        const want = shop.affinity(userId, itemIds[place]!, atMs);
        wanted[place]! += want;
        found[place]! += looks * want;
      }
      rows.set(record, Float32Array.from(guesses.flatMap(({ x }) => x)));
      impressions.take(answered(`${sessionId}.${record}`, itemIds, { placement, userId, atMs }), record);
      return Promise.resolve({ itemIds, recommendationId: `${sessionId}.${record++}` });
    },
  };
  await actOut(shop.world, audience);
  const lists = impressions.between(0, END_MS, 10_000).map(({ record: at, placement, userId, clicked, items }): SeenList => {
    return { placement, visitor: userId!, places: Uint8Array.from(items.keys()), clicked, rows: rows.get(at)! };
  });
  expect(lists.length).toBeGreaterThan(2_000);
  const { home } = await placeCurves(lists, 2, 1);
  const truth = Array.from(found, (sum, place) => sum / wanted[place]!);
  for (const [place, share] of home!.examined.entries()) expect(Math.abs(share - truth[place]! / truth[0]!)).toBeLessThan(0.1);
}, 90_000);

test('nothing is said of a placement with few lists or hardly a click', async () => {
  const silent = listsOf(400).map((list) => ({ ...list, placement: 'quiet', clicked: new Uint8Array(PLACES) }));
  expect(await placeCurves([...listsOf(50, 'few'), ...silent], 3, 1)).toEqual({});
  expect(await placeCurves([], 3, 1)).toEqual({});
});

test('a place takes from a score what it is looked at less than the first, down to a bound', () => {
  const curve = { lists: 1_000, clicks: 300, examined: [1, 0.5, 0.01] };
  expect([0, 1, 2, 3].map((place) => placeOffset(curve, place))).toEqual([0, Math.log(0.5), Math.log(EXAMINED_MIN), 0]);
});
