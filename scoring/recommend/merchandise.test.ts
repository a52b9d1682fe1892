import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { Item } from '../../contracts/item.ts';
import { chooseSlate, type RankedCandidates } from './explore/slate.ts';
import { objectivesOf, pinsAt, sumOf } from './merchandise.ts';
import { type Placement, parsePlacements, placementWith } from './placements.ts';
import { DAY, NOW, PLAIN } from './shop.testing.ts';

/** Thirty candidates, the best first: three brands in blocks of ten, five categories in turn; the last five are from the editors. */
const ITEMS: Item[] = Array.from({ length: 30 }, (_, i) => ({
  item_id: `i${i}`,
  brand: `b${Math.floor(i / 10)}`,
  category: `c${i % 5}`,
  price: 10 + i,
  created_ms: NOW - (i % 3) * 30 * DAY,
  attributes: { margin: i / 100, season: i % 2 === 0 ? 'summer' : 'winter' },
}));
const RANKED: RankedCandidates = {
  order: Int32Array.from(ITEMS, (_, i) => i),
  scores: Float64Array.from(ITEMS, (_, i) => 30 - i),
  floor: 1,
  id: (i) => `i${i}`,
  item: (i) => ITEMS[i],
  isFrom: (i, source) => source === 'editorial' && i >= 25,
  category: (i) => i % 5,
  createdMs: (i) => ITEMS[i]!.created_ms!,
};

function slate(wishes: Partial<Placement>, limit = 10, seed = 'r1', ranked = RANKED): readonly number[] {
  const placement = placementWith(PLAIN, wishes);
  return chooseSlate(ranked, { placement, limit, nowMs: NOW, seed, belief: () => ({ a: 1, b: 9 }) }).shown;
}

describe('pins', () => {
  test('stand at their places, whatever their scores, and the others around them in order', () => {
    const pins = [
      { item_id: 'i20', position: 1 },
      { item_id: 'i2', position: 4 },
      { item_id: 'no-candidate', position: 2 },
      { item_id: 'i29', position: 11 },
    ];
    expect(slate({ pins }, 6)).toEqual([20, 0, 1, 2, 3, 4]);
    // Where there are too few others a pin moves up.
    const few = { ...RANKED, order: Int32Array.of(0, 20) };
    expect(slate({ pins: [{ item_id: 'i20', position: 5 }] }, 10, 'r1', few)).toEqual([0, 20]);
  });

  test('hold in their time, and the first of two at one place or of one item counts', () => {
    const pins = [
      { item_id: 'over', position: 1, until_ms: NOW },
      { item_id: 'to-come', position: 1, from_ms: NOW + 1 },
      { item_id: 'now', position: 1, from_ms: NOW, until_ms: NOW + 1 },
      { item_id: 'second', position: 1 },
      { item_id: 'now', position: 3 },
    ];
    expect([...pinsAt({ ...PLAIN, pins }, NOW)]).toEqual([[0, 'now']]);
  });

  test('are not tried out', () => {
    const wishes: Partial<Placement> = {
      pins: [{ item_id: 'i20', position: 10 }],
      exploration: { policy: 'epsilon_greedy', epsilon: 1, by: 'slot', among: 'all', slots: 5, pool: 20 },
    };
    for (let n = 0; n < 50; n++) expect(slate(wishes, 10, `r${n}`)[9]).toBe(20);
  });
});

describe('slots', () => {
  test('a share goes to a source, another to a filter, and what earned its place counts', () => {
    const wishes: Partial<Placement> = {
      slots: [
        { share: 0.2, source: 'editorial' },
        { share: 0.3, filter: [{ field: 'brand', in: ['b1'] }] },
      ],
    };
    const shown = slate(wishes);
    expect(shown).toHaveLength(10);
    expect(shown.filter((i) => i >= 25)).toEqual([26, 25]);
    expect(shown.filter((i) => ITEMS[i]!.brand === 'b1').sort((a, b) => a - b)).toEqual([10, 11, 12]);
    expect(shown.slice(0, 5)).toEqual([0, 1, 2, 3, 4]);
    expect(slate({ slots: [{ share: 0.5, filter: [{ field: 'attributes.season', in: ['summer'] }] }] })).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
  });

  test('give way where there are too few', () => {
    const shown = slate({ slots: [{ share: 1, source: 'editorial' }] });
    expect(shown.filter((i) => i >= 25)).toHaveLength(5);
    expect(shown).toHaveLength(10);
  });
});

describe('caps', () => {
  test('pass over the fourth of a brand', () => {
    expect(slate({ caps: [{ field: 'brand', max: 3 }] })).toEqual([0, 1, 2, 10, 11, 12, 20, 21, 22]);
    expect(
      slate({
        caps: [
          { field: 'brand', max: 3 },
          { field: 'category', max: 1 },
        ],
      }),
    ).toEqual([0, 1, 2, 13, 14]);
  });

  test('hold whatever else the placement wishes, and whatever is tried out; pins stay and count', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 4 }),
        fc.constantFrom('brand', 'category', 'attributes.season'),
        fc.boolean(),
        fc.double({ min: 0.01, max: 1, noNaN: true }),
        fc.constantFrom(0, 0.3, 0.9),
        fc.constantFrom<NonNullable<Placement['exploration']>>(
          { policy: 'none' },
          { policy: 'thompson', among: 'all', slots: 6, pool: 25 },
          { policy: 'epsilon_greedy', epsilon: 0.8, by: 'slot', among: 'all', slots: 6, pool: 25 },
          { policy: 'epsilon_greedy', epsilon: 1, by: 'request', among: 'new', slots: 3, pool: 25 },
        ),
        fc.string(),
        (max, field, pinned, share, diversity, exploration, seed) => {
          const shown = slate(
            {
              caps: [{ field, max }],
              slots: [{ share: share / 2, source: 'editorial' }],
              pins: pinned ? [{ item_id: 'i7', position: 2 }] : [],
              new_share: 0.25,
              new_days: 10,
              diversity,
              exploration,
            },
            12,
            seed,
          );
          expect(new Set(shown).size).toBe(shown.length);
          const counts = new Map<unknown, number>();
          for (const i of shown) {
            const value = field === 'attributes.season' ? ITEMS[i]!.attributes!['season'] : ITEMS[i]![field as 'brand' | 'category'];
            counts.set(value, (counts.get(value) ?? 0) + 1);
          }
          expect(Math.max(...counts.values())).toBeLessThanOrEqual(max);
          if (pinned) expect(shown[Math.min(1, shown.length - 1)]).toBe(7);
        },
      ),
      { seed: 11, numRuns: 400 },
    );
  });
});

describe('objectives and boosts', () => {
  const weigh = (wishes: Partial<Placement>, scores: readonly number[] = [5, 3, 1]) => {
    const candidates = {
      count: scores.length,
      scores,
      item: (i: number) => ITEMS[i],
      createdMs: (i: number) => ITEMS[i]!.created_ms!,
      popularity: (i: number) => i / 2,
    };
    return objectivesOf({ ...PLAIN, ...wishes }, candidates, NOW);
  };

  test('nothing is weighed where nothing is wished', () => {
    expect(weigh({})).toBeUndefined();
    expect(weigh({ boosts: [{ filter: [], weight: 1, until_ms: NOW }] })).toBeUndefined();
  });

  test('relevance runs from the worst to the best candidate; the others are added in its units', () => {
    const adjust = weigh({ objectives: { relevance: 2, margin: 10, freshness: 1, popularity: -1 } })!;
    expect(adjust.of(0)).toEqual([
      { name: 'relevance', amount: 2 },
      { name: 'freshness', amount: 1 },
    ]);
    // A month old, half as fresh.
    expect(adjust.of(1)).toEqual([
      { name: 'relevance', amount: 1 },
      { name: 'margin', amount: 0.1 },
      { name: 'freshness', amount: 0.5 },
      { name: 'popularity', amount: -0.5 },
    ]);
    expect(sumOf(adjust.of(2))).toBeCloseTo(0 + 0.2 + 0.25 - 1, 12);
  });

  test('a boost moves what fits its filter, in its time', () => {
    const boosts = [
      { filter: [{ field: 'attributes.season', in: ['winter'] }], weight: 0.6 },
      { filter: [{ field: 'price', min: 12 }], weight: -0.25, from_ms: NOW, until_ms: NOW + 1 },
    ];
    const adjust = weigh({ boosts })!;
    expect([0, 1, 2].map((i) => sumOf(adjust.of(i)))).toEqual([1, 1.1, -0.25]);
  });

  test('equal scores, and a margin that is none, do no harm', () => {
    const adjust = weigh({ objectives: { margin: 1 } }, [2, 2, 2])!;
    expect([0, 1, 2].map((i) => sumOf(adjust.of(i)))).toEqual([0, 0.01, 0.02]);
  });
});

test('the example of the docs is a placement', () => {
  const [, example = ''] = /```json\n([\s\S]*?)```/.exec(readFileSync(new URL('../../docs/placements.md', import.meta.url), 'utf8')) ?? [];
  expect(parsePlacements(example).map(({ id }) => id)).toEqual(['home']);
});

test.each<[string, Partial<Placement>]>([
  ['a slot has a source or a filter', { slots: [{ share: 0.5 }] }],
  ['add up to more than 1', { slots: [0.6, 0.6].map((share) => ({ share, filter: [] })) }],
  ['ends before it begins', { pins: [{ item_id: 'x', position: 1, from_ms: 5, until_ms: 5 }] }],
  ['does not match its schema at /caps/0/field', { caps: [{ field: 'price', max: 1 }] }],
  ['does not match its schema at /boosts/0/weight', { boosts: [{ filter: [], weight: 2 }] }],
])('a placement is refused: %s', (sentence, wishes) => {
  expect(() => placementWith(PLAIN, wishes)).toThrow(sentence);
  expect(() => parsePlacements(JSON.stringify([{ ...PLAIN, ...wishes }]))).toThrow('config_invalid');
});
