import { expect } from 'vitest';
import { loadOnnx } from '../../../scoring/models/onnx.ts';
import { seededRandom } from '../random.ts';
import type { TableRows } from './table.ts';

const N = 60;
const F = 3;

/** A small table by formula, so that any language makes the same one: scikit-learn's figures in the tests come from it. */
function figures(labelOf: (x: readonly number[], i: number) => number): TableRows {
  const rows = Float32Array.from({ length: N * F }, (_, at) => {
    const [i, j] = [Math.floor(at / F), at % F];
    return Math.sin(1.3 * i * (j + 1) + j);
  });
  return { rows, n: N, f: F, labels: Float32Array.from({ length: N }, (_, i) => labelOf([...rows.subarray(i * F, i * F + F)], i)) };
}

export const REAL = figures((x, i) => 2 * x[0]! - x[1]! + 0.3 + 0.1 * Math.sin(7 * i));
export const BINARY = figures((x, i) => (x[0]! + 0.5 * x[1]! - x[2]! + 0.7 * Math.sin(5 * i) > 0 ? 1 : 0));
export const THREE = figures((x, i) => {
  if (x[0]! + 0.6 * Math.sin(5 * i) > 0.3) return 2;
  return x[1]! + 0.6 * Math.sin(3 * i) > 0 ? 1 : 0;
});
export const COUNTS = figures((x, i) => Math.floor(Math.exp(0.5 + x[0]! - 0.5 * x[1]!) + (i % 3)));
export const WEIGHTS = Float32Array.from({ length: N }, (_, i) => 1 + (i % 4));

/** Numbers with gaps, a constant column, amounts over five decades and a category; labels 0, 1, 2 that all of them say something about. */
export function messy(n: number, seed: number): TableRows {
  const random = seededRandom(seed);
  const f = 5;
  const rows = new Float32Array(n * f);
  const labels = new Float32Array(n);
  for (let i = 0; i < n; i++) {
    const category = random.int(6);
    const amount = Math.exp(2 * random.normal());
    const gap = random.next() < 0.3;
    rows.set([gap ? Number.NaN : 5 + 2 * random.normal(), 7, amount, category, random.next() < 0.1 ? Number.NaN : random.normal()], i * f);
    const z = 0.8 * (category % 3) + 0.5 * Math.log1p(amount) + (gap ? 0.7 : 0) + random.normal();
    labels[i] = z > 2.6 ? 2 : Number(z > 1.3);
  }
  return { rows, n, f, labels };
}

export const MESSY_PARAMS = { categorical: [3], logarithmic: [2] } as const;

/** Rows that no training saw: unseen categories, gaps everywhere, infinities, extremes. */
export const STRANGE = Float32Array.from(
  [
    [5, 7, 3, 99, 0],
    [Number.NaN, Number.NaN, Number.NaN, Number.NaN, Number.NaN],
    [Number.POSITIVE_INFINITY, 7, Number.NEGATIVE_INFINITY, Number.POSITIVE_INFINITY, 1],
    [-3, 8, -40, 2.5, -2],
    [5, 7, 0, 0, 0],
  ].flat(),
);

/** Runs the served model on rows; the outputs by name. */
export async function serve(bytes: Uint8Array, rows: Float32Array, f: number): Promise<Record<string, Float32Array>> {
  const model = await loadOnnx(bytes);
  try {
    const answer = await model.run({ features: { data: rows, dims: [rows.length / f, f] } });
    return Object.fromEntries(Object.entries(answer).map(([name, { data }]) => [name, data as Float32Array]));
  } finally {
    await model.release();
  }
}

export function expectClose(actual: ArrayLike<number>, wanted: ArrayLike<number>, differenceMax: number): void {
  expect(actual.length).toBe(wanted.length);
  let most = 0;
  for (let i = 0; i < wanted.length; i++) most = Math.max(most, Math.abs(actual[i]! - wanted[i]!));
  expect(most).toBeLessThan(differenceMax);
}

export function join(...parts: readonly Float32Array[]): Float32Array {
  return Float32Array.from(parts.flatMap((part) => [...part]));
}
