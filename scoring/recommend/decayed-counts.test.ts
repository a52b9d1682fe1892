import { expect, test } from 'vitest';
import { ForwardDecay, keepHighest } from './decayed-counts.ts';

const DAY = 86_400_000;
const NEVER = (): never => {
  throw new Error('nothing had to be rescaled');
};

test('an act is worth half after a half-life, whichever was told first', () => {
  for (const days of [
    [100, 110],
    [110, 100],
  ] as const) {
    const decay = new ForwardDecay(10 * DAY);
    const sum = days.reduce((all, day) => all + decay.weightAt(day * DAY, NEVER), 0);
    expect(sum * decay.ageAt(110 * DAY)).toBeCloseTo(1.5, 12);
    expect(sum * decay.ageAt(120 * DAY)).toBeCloseTo(0.75, 12);
  }
});

test('numbers stay finite over decades, and the sum what it was', () => {
  const decay = new ForwardDecay(DAY);
  let sum = 0;
  let rescaled = 0;
  for (let day = 1; day <= 20_000; day++) {
    const weight = decay.weightAt(day * DAY, (factor) => {
      sum *= factor;
      rescaled++;
    });
    sum += weight;
    expect(Number.isFinite(sum)).toBe(true);
  }
  expect(rescaled).toBeGreaterThan(10);
  // One, a half, a quarter and so on.
  expect(sum * decay.ageAt(20_000 * DAY)).toBeCloseTo(2, 10);
});

test('the highest stay; of equals those that came last', () => {
  const counts = new Map(Object.entries({ a: 1, b: 3, c: 2, d: 2, e: 2 }));
  keepHighest(counts, 3);
  expect([...counts.keys()]).toEqual(['b', 'd', 'e']);
});
