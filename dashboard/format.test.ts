import { expect, test } from 'vitest';
import { formatAge, formatAmount, formatBytes, formatMs, formatName, formatRate, formatShare, NONE } from './format.ts';

test('rates keep three digits', () => {
  expect([0, 0.034, 4.26, 312.4, 12_345, 1_234_567].map(formatRate)).toEqual(['0', '0.03', '4.3', '312', '12.3k', '1235k']);
});

test('times', () => {
  expect([null, undefined, 0.42, 12.34, 320.4, 1500].map(formatMs)).toEqual([NONE, NONE, '0.42 ms', '12.3 ms', '320 ms', '1.5 s']);
  expect([5, 200, 7300, 200_000].map((s) => formatAge(0, s * 1000))).toEqual(['5 s', '3 min', '2 h', '2 d']);
  expect(formatAge(10_000, 0)).toBe('0 s');
});

test('shares, sizes, amounts and names', () => {
  expect([formatShare(0, 0), formatShare(0, 5), formatShare(1, 8), formatShare(1, 200), formatShare(1, 5000)]).toEqual([
    NONE,
    '0%',
    '13%',
    '0.5%',
    '<0.1%',
  ]);
  expect([undefined, 0, 999, 48_200_000, 120_000_000].map(formatBytes)).toEqual([NONE, '0 B', '999 B', '48.2 MB', '120 MB']);
  expect(formatAmount(1249, 'EUR')).toBe('1,249.00 EUR');
  expect(formatAmount(undefined, 'EUR')).toBe(NONE);
  expect(formatName('restrict_payment_method')).toBe('restrict payment method');
});
