import { expect, test } from 'vitest';
import { decayedCount } from './profile.ts';

const DAY_MS = 86_400_000;
const NOW = 1_000 * DAY_MS;

test('acts decay by their age, evenly spread between the first and the last', () => {
  expect(decayedCount(0, NOW, NOW, NOW, 10)).toBe(0);
  expect(decayedCount(1, NOW - 10 * DAY_MS, NOW - 10 * DAY_MS, NOW, 10)).toBeCloseTo(0.5, 12);
  expect(decayedCount(3, NOW, NOW, NOW, 10)).toBe(3);
  // 30, 20, 10 and 0 days ago.
  expect(decayedCount(4, NOW - 30 * DAY_MS, NOW, NOW, 10)).toBeCloseTo(1 / 8 + 1 / 4 + 1 / 2 + 1, 12);
});

test('an act of the future counts as one of now', () => {
  expect(decayedCount(1, NOW + DAY_MS, NOW + DAY_MS, NOW, 10)).toBe(1);
});
