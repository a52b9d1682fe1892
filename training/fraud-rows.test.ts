import { expect, test } from 'vitest';
import { maturityMs } from './fraud-rows.ts';

test('maturity is the delay within which 95 % of the outcomes came', () => {
  const delays = Float64Array.from({ length: 100 }, (_, i) => 99 - i);
  expect(maturityMs({ outcomeDelaysMs: delays })).toBe(95);
  expect(maturityMs({ outcomeDelaysMs: new Float64Array(0) })).toBe(0);
  expect(delays[0]).toBe(99);
});
