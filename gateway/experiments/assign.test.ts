import { expect, test } from 'vitest';
import { assign, visitorOf } from './assign.ts';
import { sampleRatioPValue } from './sequential.ts';

const VISITORS = Array.from({ length: 20_000 }, (_, i) => `u${i}`);

test('divides visitors as the weights say, and a visitor stays where they are', () => {
  const counts = [0, 0, 0];
  for (const visitor of VISITORS) {
    const side = assign('e1', visitor, [0.5, 0.25, 0.25]);
    expect(assign('e1', visitor, [2, 1, 1])).toBe(side);
    counts[side]!++;
  }
  expect(sampleRatioPValue(counts, [2, 1, 1])).toBeGreaterThan(0.05);
});

test('two experiments divide the visitors independently', () => {
  const both = [0, 0, 0, 0];
  for (const visitor of VISITORS) both[2 * assign('e1', visitor, [1, 1]) + assign('e2', visitor, [1, 1])]!++;
  expect(sampleRatioPValue(both, [1, 1, 1, 1])).toBeGreaterThan(0.05);
});

test('a visitor is the user, else the session, and the two are never the same', () => {
  expect(visitorOf({ user_id: 'x', session_id: 'y' })).toBe('ux');
  expect(visitorOf({ session_id: 'x' })).toBe('sx');
  expect(visitorOf({})).toBeUndefined();
});
