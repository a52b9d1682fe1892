import { expect, test } from 'vitest';
import type { Exploration } from '../../../contracts/exploration.ts';
import { DEFAULT_PLACEMENTS, type Placement } from '../placements.ts';
import { ClickCounts } from './click-counts.ts';
import { drawOf } from './draw.ts';
import { chooseSlate, type RankedCandidates, type Slate } from './slate.ts';

const NOW = 1_750_000_000_000;
const DAY_MS = 86_400_000;
/** New items are kept the last places. */
const PLACEMENT: Placement = { ...DEFAULT_PLACEMENTS[0]!, diversity: 0, new_place: 8, new_share: 0.25, new_days: 7, exploration: { policy: 'none' } };

/** Twenty candidates, the best first; those from 14 on are new. */
const RANKED: RankedCandidates = {
  order: Int32Array.from({ length: 20 }, (_, i) => i),
  id: (i) => `i${i}`,
  scores: Float64Array.from({ length: 20 }, (_, i) => 20 - i),
  floor: 1,
  item: () => undefined,
  isFrom: () => false,
  category: () => 0,
  createdMs: (i) => (i >= 14 ? NOW - DAY_MS : NOW - 100 * DAY_MS),
};

function slate(exploration: Exploration, seed = 'r1', limit = 8): Slate {
  return chooseSlate(RANKED, { placement: { ...PLACEMENT, exploration }, limit, nowMs: NOW, seed, belief: () => ({ a: 1, b: 9 }) });
}

const GREEDY = [0, 1, 2, 3, 4, 5, 15, 14];

test('without a policy the list is the best ranked, with the places kept for new items', () => {
  const { shown, log } = slate({ policy: 'none' });
  expect(shown).toEqual(GREEDY);
  expect(log).toBeUndefined();
});

test('among new items only the places of new items take part', () => {
  const seen = new Set<number>();
  for (let n = 0; n < 200; n++) {
    const { shown, log } = slate({ policy: 'thompson', among: 'new', slots: 1, pool: 20 }, `r${n}`);
    expect(shown.slice(0, 7)).toEqual(GREEDY.slice(0, 7));
    expect(shown[7]).toBeGreaterThanOrEqual(14);
    expect(log!.open).toEqual([7]);
    expect(log!.propensities.slice(0, 7)).toEqual([1, 1, 1, 1, 1, 1, 1]);
    seen.add(shown[7]!);
  }
  // 15 stands at place 6 already.
  expect([...seen].sort((a, b) => a - b)).toEqual([14, 16, 17, 18, 19]);
});

test('what is kept for new items stands where the placement says, and the others make room', () => {
  const place = (new_place: number, more: Partial<Placement> = {}, limit = 8) =>
    chooseSlate(RANKED, { placement: { ...PLACEMENT, new_place, ...more }, limit, nowMs: NOW, seed: 'r1', belief: () => ({ a: 1, b: 9 }) });
  expect(place(3).shown).toEqual([0, 1, 15, 14, 2, 3, 4, 5]);
  expect(place(8).shown).toEqual(GREEDY);
  expect(place(9).shown).toEqual(GREEDY);
  // What came in by its score stays where it is, and is what gives way to what is tried.
  const allNew = { new_days: 1000, new_share: 0.125, exploration: { policy: 'thompson', among: 'new', slots: 1, pool: 20 } } as const;
  expect(place(3, allNew).log!.open).toEqual([2]);
  expect(place(3, allNew).log!.greedy).toEqual([0, 1, 2, 3, 4, 5, 6, 7]);
  expect(place(1, { pins: [{ item_id: 'i9', position: 1 }] }).shown).toEqual([9, 15, 14, 0, 1, 2, 3, 4]);
  const tried = place(2, { exploration: { policy: 'thompson', among: 'new', slots: 1, pool: 20 } });
  expect(tried.log!.open).toEqual([2]);
  expect(tried.shown.filter((_, n) => n !== 2)).toEqual([0, 15, 1, 2, 3, 4, 5]);
});

test('the same id gives the same list, and the log says what was shown with which chance', () => {
  const policy: Exploration = { policy: 'epsilon_greedy', epsilon: 1, by: 'request', among: 'all', slots: 3, pool: 10 };
  const one = slate(policy, 'r7');
  expect(slate(policy, 'r7')).toEqual(one);
  expect(Array.from({ length: 20 }, (_, n) => slate(policy, `other${n}`).shown.join())).not.toEqual(new Array(20).fill(one.shown.join()));
  const { items, greedy, open, propensities, scores } = one.log!;
  expect(open).toEqual([5, 6, 7]);
  expect(greedy.map((n) => items[n])).toEqual(GREEDY.map((i) => `i${i}`));
  // Ten of the best, and the two new ones that stand; five are at places of their own.
  expect(items).toEqual([...Array.from({ length: 10 }, (_, i) => `i${i}`), 'i14', 'i15']);
  expect(scores[0]).toBe(20);
  expect(propensities).toEqual([1, 1, 1, 1, 1, 1 / 7, 1 / 7, 1 / 7]);
});

test('a placement that keeps no place for new items tries none', () => {
  const placement: Placement = { ...PLACEMENT, new_share: 0, exploration: { policy: 'thompson', among: 'new', slots: 1, pool: 20 } };
  expect(chooseSlate(RANKED, { placement, limit: 18, nowMs: NOW, seed: 'r1', belief: () => ({ a: 1, b: 9 }) }).log).toBeUndefined();
});

test('what was shown can be drawn again from the log alone, where the pool has what variety and new items displaced', () => {
  const category = (i: number): number => (i < 5 ? 100 : i % 5);
  const varied: RankedCandidates = { ...RANKED, category, appealWeight: 2 };
  for (const policy of [
    { policy: 'epsilon_greedy', epsilon: 0.5, by: 'slot', among: 'all', slots: 4, pool: 12 },
    { policy: 'thompson', among: 'all', slots: 2, pool: 12 },
  ] satisfies Exploration[]) {
    const request = { placement: { ...PLACEMENT, diversity: 0.4, exploration: policy }, limit: 8, nowMs: NOW };
    for (let n = 0; n < 20; n++) {
      const { shown, log } = chooseSlate(varied, { ...request, seed: `r${n}`, belief: (id) => ({ a: id.length, b: 4 }) });
      const { items, scores, floor, beliefs, appeal_weight } = log!;
      expect(appeal_weight).toBe(policy.policy === 'thompson' ? 2 : undefined);
      const positions = items.map((id) => Number(id.slice(1)));
      const pool: RankedCandidates = {
        order: Int32Array.from(items, (_, i) => i),
        id: (i) => items[i]!,
        scores,
        floor,
        appealWeight: appeal_weight,
        item: () => undefined,
        isFrom: () => false,
        category: (i) => category(positions[i]!),
        createdMs: (i) => RANKED.createdMs(positions[i]!),
      };
      const belief = (id: string) => ({ a: beliefs![2 * items.indexOf(id)]!, b: beliefs![2 * items.indexOf(id) + 1]! });
      const again = chooseSlate(pool, { ...request, seed: `r${n}`, belief });
      expect(again.shown.map((i) => positions[i])).toEqual(shown);
      expect(again.log).toEqual(log);
    }
  }
});

test('a pool that leaves no choice is no exploration', () => {
  expect(slate({ policy: 'thompson', among: 'all', slots: 100, pool: 2 }, 'r1', 20).log).toBeUndefined();
  expect(slate({ policy: 'thompson', among: 'new', slots: 1, pool: 20 }, 'r1', 1).log).toBeUndefined();
});

test('where the ranking knows nothing of new items, trying them pays: the place is clicked on more than under the best guess', () => {
  const rates = [0.02, 0.04, 0.03, 0.15, 0.02, 0.05];
  const rounds = 4_000;
  const clicksOf = (exploration: Exploration, world: number): number => {
    const counts = new ClickCounts([PLACEMENT.id]);
    const shopper = drawOf(`shopper ${world}`);
    let clicks = 0;
    for (let n = 0; n < rounds; n++) {
      const nowMs = NOW + n * 60_000;
      const { shown } = chooseSlate(RANKED, {
        placement: { ...PLACEMENT, new_share: 0.125, exploration },
        limit: 8,
        nowMs,
        seed: `${world} ${n}`,
        belief: (id) => counts.belief(PLACEMENT.id, id, nowMs),
      });
      const tried = shown[7]!;
      const event = { event_id: 'e', timestamp_ms: nowMs, placement: PLACEMENT.id, items: [{ item_id: `i${tried}` }] };
      counts.add({ ...event, name: 'view_item_list' });
      // The ranking's order of the new ones, 14 to 19, differs from world to world.
      if (shopper.next() >= rates[(tried - 14 + world) % rates.length]!) continue;
      clicks++;
      counts.add({ ...event, name: 'select_item' });
    }
    return clicks;
  };
  let tried = 0;
  let guessed = 0;
  for (let world = 0; world < rates.length; world++) {
    tried += clicksOf({ policy: 'thompson', among: 'new', slots: 1, pool: 20 }, world);
    guessed += clicksOf({ policy: 'none' }, world);
  }
  // Guesses earn the mean of the rates, 0.052; knowing would earn 0.15.
  expect(guessed / (rounds * rates.length)).toBeLessThan(0.06);
  expect(tried / (rounds * rates.length)).toBeGreaterThan(0.12);
});
