import { seededRandom } from '../random.ts';
import type { GbdtRows } from './objective.ts';

/** Seeded rows with interactions, steps, missing values that matter, and noise: for tests and benchmarks of the tree learner. */
export function syntheticRows(n: number, f: number, seed: number, kind: 'binary' | 'regression' = 'binary'): GbdtRows {
  const random = seededRandom(seed);
  const rows = new Float32Array(n * f);
  const labels = new Float32Array(n);
  for (let row = 0; row < n; row++) {
    const offset = row * f;
    for (let i = 0; i < f; i++) rows[offset + i] = random.next() < 0.05 ? Number.NaN : random.normal();
    const at = (i: number) => {
      const value = i < f ? rows[offset + i]! : 0;
      return Number.isNaN(value) ? 0.7 : value;
    };
    const missing = f > 6 && Number.isNaN(rows[offset + 6]);
    const z = at(0) + at(1) * at(2) + Math.sin(2 * at(3)) + (at(4) > 0.3 ? 0.5 * at(5) : 0) + (missing ? 2 : 0) - 1;
    labels[row] = kind === 'regression' ? z + 0.3 * random.normal() : random.next() < 1 / (1 + Math.exp(-z)) ? 1 : 0;
  }
  return { rows, n, f, labels };
}
