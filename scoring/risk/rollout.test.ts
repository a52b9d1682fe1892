import { expect, test } from 'vitest';
import { takesPart } from './rollout.ts';

const USERS = Array.from({ length: 4_000 }, (_, i) => `user-${i}`);
const partOf = (share: number, challenger = 'v2'): string[] => USERS.filter((user) => takesPart(user, challenger, share));

test('a share of the users takes part, always the same ones', () => {
  // Four standard deviations of the binomial.
  expect(Math.abs(partOf(0.1).length / USERS.length - 0.1)).toBeLessThan(4 * Math.sqrt((0.1 * 0.9) / USERS.length));
  expect(partOf(0.1)).toEqual(partOf(0.1));
  expect(partOf(0)).toEqual([]);
  expect(partOf(1)).toEqual(USERS);
});

test('who is in stays in when the share grows', () => {
  const later = new Set(partOf(0.5));
  expect(partOf(0.1).every((user) => later.has(user))).toBe(true);
});

test('another challenger is tried on others', () => {
  const first = new Set(partOf(0.5));
  const both = partOf(0.5, 'v3').filter((user) => first.has(user)).length / USERS.length;
  expect(Math.abs(both - 0.25)).toBeLessThan(0.04);
});
