import { expect, test } from 'vitest';
import { diversify, groupVariety, type Variety, vectorVariety } from './diversify.ts';

const ORDER = Int32Array.from({ length: 10 }, (_, i) => i);
const SCORES = Array.from(ORDER, (i) => 10 - i);
const group = (i: number): number => (i < 6 ? 1 : 2);

function pick(limit: number, lambda: number, variety: Variety, admits: (i: number) => boolean = () => true): number[] {
  return diversify(ORDER, SCORES, { limit, lambda, worst: 1, variety, admits, take: () => {} });
}

test('groups are mixed without losing the best', () => {
  expect(pick(4, 0, groupVariety(group))).toEqual([0, 1, 2, 3]);
  const mixed = pick(4, 0.5, groupVariety(group));
  expect(mixed[0]).toBe(0);
  expect(mixed.map(group)).toContain(2);
  // What belongs to no group crowds out nothing.
  expect(
    pick(
      4,
      0.5,
      groupVariety(() => -1),
    ),
  ).toEqual([0, 1, 2, 3]);
});

test('what is not admitted is passed over, at any lambda, and the list ends where nothing is', () => {
  for (const lambda of [0, 0.4])
    expect(
      pick(
        10,
        lambda,
        groupVariety(() => -1),
        (i) => i % 2 === 1,
      ),
    ).toEqual([1, 3, 5, 7, 9]);
});

/** Candidates on the unit circle, so that the cosine of two is that of the angle between them; 8 and 9 have no vector. */
const ANGLES = [0, 5, 10, 90, 95, 180, 45, 2];
const copy = (i: number, out: Float32Array): boolean => {
  const angle = ANGLES[i];
  if (angle === undefined) return false;
  out.set([7 * Math.cos((angle * Math.PI) / 180), 7 * Math.sin((angle * Math.PI) / 180)]);
  return true;
};

test('vectors: each pick is the best of relevance less similarity, as by its definition', () => {
  const cosine = (a: number, b: number): number => Math.cos(((ANGLES[a]! - ANGLES[b]!) * Math.PI) / 180);
  for (const lambda of [0.2, 0.5, 0.8]) {
    const known = [0, 1, 2, 3, 4, 5, 6, 7];
    const wanted: number[] = [];
    while (wanted.length < known.length) {
      const value = (i: number): number => (1 - lambda) * ((SCORES[i]! - 1) / 9) - lambda * Math.max(0, ...wanted.map((other) => cosine(i, other)));
      const left = known.filter((i) => !wanted.includes(i));
      wanted.push(left.reduce((best, i) => (value(i) > value(best) + 1e-6 ? i : best)));
    }
    const picked = pick(8, lambda, vectorVariety(2, copy, groupVariety(group)), (i) => i < 8);
    expect(picked).toEqual(wanted);
  }
  // The nearest in angle gives way to the one at a right angle.
  expect(pick(2, 0.5, vectorVariety(2, copy, groupVariety(group)))).toEqual([0, 3]);
});

test('vectors: an item without one is compared by its group', () => {
  const repeats = (picks: readonly number[], position: number): number => {
    const variety = vectorVariety(2, copy, groupVariety(group));
    for (const one of picks) variety.picked(one);
    return variety.repeats(position);
  };
  expect(repeats([0], 8)).toBe(0);
  expect(repeats([0, 6], 8)).toBe(0.5);
  expect(repeats([8], 9)).toBe(1);
  // Opposite vectors repeat nothing; they do not make an item better than one that is merely different.
  expect(repeats([0], 5)).toBe(0);
  expect(repeats([3], 4)).toBeCloseTo(Math.cos((5 * Math.PI) / 180), 6);
});
