import { expect, test } from 'vitest';
import { networkOf } from './network.ts';

test('addresses of one network have one name, however they are written', () => {
  expect(networkOf('198.51.100.7')).toBe('198.51.100.0/24');
  expect(networkOf('198.51.100.250')).toBe('198.51.100.0/24');
  expect(networkOf('198.51.101.7')).toBe('198.51.101.0/24');
  expect(networkOf('::ffff:198.51.100.7')).toBe('198.51.100.0/24');
  expect(networkOf('2001:db8:1:2:3:4:5:6')).toBe('2001:db8:1::/48');
  expect(networkOf('2001:0DB8:0001::9')).toBe('2001:db8:1::/48');
  expect(networkOf('2001:db8::')).toBe('2001:db8:0::/48');
  expect(networkOf('::1')).toBe('0:0:0::/48');
});

test('what is no address stays what it is', () => {
  for (const text of ['1.2.3', '1:2:3', 'abc', '1:2:3:4:5:6:7:8:9', '1::2:3:4:5:6:7:8:9']) expect(networkOf(text)).toBe(text);
});
