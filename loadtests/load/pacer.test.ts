import { expect, test } from 'vitest';
import { seededRandom } from '../../training/learners/random.ts';
import { Pacer } from './pacer.ts';

test('requests come at the rate that was asked for, at no fixed interval', () => {
  const pacer = new Pacer(1_000, 20, seededRandom(1));
  const due = Array.from({ length: 5_000 }, () => pacer.next());
  const gaps = due.map((ms, i) => ms - (i === 0 ? 1_000 : due[i - 1]!));
  expect(Math.min(...gaps)).toBeGreaterThanOrEqual(0);
  expect((due.at(-1)! - 1_000) / due.length).toBeCloseTo(20, 0);
  // Of a Poisson process the gaps' standard deviation is their mean.
  const spread = Math.sqrt(gaps.reduce((sum, gap) => sum + (gap - 20) ** 2, 0) / gaps.length);
  expect(spread / 20).toBeCloseTo(1, 1);
});
