import { expect, test } from 'vitest';
import { nearestName } from './nearest.ts';

test.each([
  ['user_attempt_24h', 'user_attempts_24h'],
  ['amont', 'amount'],
  ['amount', 'amount'],
  ['user_attempts_7d', 'user_attempts_24h'],
])('%s is nearest to %s', (name, expected) => {
  expect(nearestName(name, ['amount', 'user_attempts_24h', 'hour'])).toBe(expected);
});

test('the first of equals, and none of nothing', () => {
  expect(nearestName('ax', ['ab', 'ac'])).toBe('ab');
  expect(nearestName('a', [])).toBeUndefined();
});
