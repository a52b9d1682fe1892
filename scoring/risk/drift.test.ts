import { describe, expect, test } from 'vitest';
import { DriftWindow, referenceOf, stabilityIndex } from './drift.ts';

const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;
const NOW_MS = 1_700_000_000_000;

/** Park and Miller's generator. */
function uniform(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state * 48_271) % 2_147_483_647;
    return state / 2_147_483_647;
  };
}

describe('a reference', () => {
  test('has bins of equal share, and the share of missing values', () => {
    const values = Float32Array.from({ length: 1000 }, (_, i) => (i % 5 === 0 ? Number.NaN : i));
    const { edges, shares } = referenceOf('x', values);
    expect(edges).toHaveLength(9);
    expect(shares.at(-1)).toBeCloseTo(0.2, 9);
    for (const share of shares.slice(0, -1)) expect(share).toBeCloseTo(0.08, 2);
    expect(shares.reduce((a, b) => a + b)).toBeCloseTo(1, 12);
  });

  test('has fewer where values repeat, and one bin where all are the same or missing', () => {
    expect(
      referenceOf(
        'flag',
        Float32Array.from({ length: 100 }, (_, i) => (i < 93 ? 0 : 1)),
      ).edges,
    ).toEqual([]);
    expect(
      referenceOf(
        'flag',
        Float32Array.from({ length: 100 }, (_, i) => (i < 60 ? 0 : 1)),
      ),
    ).toMatchObject({ edges: [1], shares: [0.6, 0.4, 0] });
    expect(referenceOf('same', new Float32Array(10).fill(3))).toMatchObject({ edges: [], shares: [1, 0] });
    expect(referenceOf('none', new Float32Array(10).fill(Number.NaN))).toMatchObject({ edges: [], shares: [0, 1] });
  });

  test('takes a column of rows', () => {
    const rows = Float32Array.from({ length: 200 }, (_, i) => (i % 2 === 0 ? 7 : i));
    expect(referenceOf('b', rows, { column: 1, width: 2 }).edges).toHaveLength(9);
    expect(referenceOf('a', rows, { width: 2 }).edges).toEqual([]);
  });
});

test('rows of a sample count as the payments that they stand for', () => {
  const sampled = referenceOf('flag', [0, 0, 1, 1], { weights: [1, 1, 3, 3] });
  expect(sampled).toEqual({ name: 'flag', edges: [1], shares: [0.25, 0.75, 0] });
});

test('the index is that of the formula, worked by hand', () => {
  // (0.6 - 0.5) ln(0.6 / 0.5) + (0.4 - 0.5) ln(0.4 / 0.5)
  expect(stabilityIndex([0.5, 0.5], [60, 40])).toBeCloseTo(0.1 * Math.log(1.2) - 0.1 * Math.log(0.8), 12);
  expect(stabilityIndex([0.5, 0.5], [50, 50])).toBe(0);
  expect(stabilityIndex([1, 0], [50, 50])).toBeGreaterThan(1);
});

describe('a window', () => {
  const next = uniform(7);
  const learned = Float32Array.from({ length: 4000 }, () => next());
  const reference = { features: [referenceOf('steady', learned), referenceOf('moved', learned)], score: referenceOf('score', learned) };
  const indices = (window: DriftWindow, atMs: number) => Object.fromEntries(window.indices(atMs).map(({ name, index }) => [name, index]));

  test('tells what moved from what did not', () => {
    const window = new DriftWindow(reference, DAY_MS, NOW_MS);
    for (let i = 0; i < 2000; i++) window.add([next(), next() ** 2], next() < 0.5 ? next() : Number.NaN, NOW_MS + i);
    const { steady, moved, score } = indices(window, NOW_MS + 2000);
    expect(steady).toBeLessThan(0.03);
    expect(moved).toBeGreaterThan(0.25);
    expect(score).toBeGreaterThan(0.25);
    expect(window.rows(NOW_MS)).toBe(2000);
  });

  test('forgets what is older than it is long, also after a pause and when the clock goes back', () => {
    const window = new DriftWindow(reference, DAY_MS, NOW_MS);
    for (let i = 0; i < 500; i++) window.add([next(), 5], next(), NOW_MS);
    window.add([0.5, 0.5], 0.5, NOW_MS + 12 * HOUR_MS);
    window.add([0.5, 0.5], 0.5, NOW_MS - DAY_MS);
    expect(window.rows(NOW_MS + 12 * HOUR_MS)).toBe(502);
    expect(window.rows(NOW_MS + 25 * HOUR_MS)).toBe(2);
    expect(window.rows(NOW_MS + 900 * DAY_MS)).toBe(0);
  });
});
