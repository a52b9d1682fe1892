import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { ListSubject } from '../../contracts/lists.ts';
import { formatIpRange, parseIpRange } from './ip-ranges.ts';
import { canonicalValue, RiskList, recordedLists } from './lists.ts';

const NOW = 1_000_000;
const entry = (value: string, change = {}) => ({ value, reason: 'seen', author: 'anna', created_ms: NOW, ...change });
function listOf(of: ListSubject, values: readonly string[]): RiskList {
  const list = new RiskList({ kind: 'block', of });
  for (const value of values) list.set(entry(canonicalValue(of, value)!));
  return list;
}

describe('values', () => {
  test.each<[ListSubject, string, string | undefined]>([
    ['card', ' c-1 ', 'c-1'],
    ['card', 'two words', undefined],
    ['email_domain', '@Example.COM', 'example.com'],
    ['email_domain', 'no domain', undefined],
    ['value', 'any text at all', 'any text at all'],
    ['value', '  ', undefined],
    ['ip', '192.0.2.77/24', '192.0.2.0/24'],
    ['ip', '192.0.2.77', '192.0.2.77'],
    ['ip', '2001:DB8:0:0:0:0:0:1', '2001:db8::1'],
    ['ip', '2001:db8:1:2:3:4:5:6/32', '2001:db8::/32'],
    ['ip', '::ffff:192.0.2.1', '192.0.2.1'],
    ['ip', '::', '::'],
    ['ip', '192.0.2.1/33', undefined],
    ['ip', '192.0.2.1/', undefined],
    ['ip', '192.0.2', undefined],
    ['ip', 'fe80::1%eth0', undefined],
  ])('%s %j is %j', (of, given, value) => expect(canonicalValue(of, given)).toBe(value));

  test('every address keeps its meaning through its text', () => {
    fc.assert(
      fc.property(fc.oneof(fc.ipV4(), fc.ipV6()), (address) => {
        const text = formatIpRange(parseIpRange(address)!);
        expect(parseIpRange(text)).toEqual(parseIpRange(address));
      }),
      { seed: 3, numRuns: 500 },
    );
  });
});

describe('a list', () => {
  test('holds a value from when it was made to when it ends', () => {
    const list = new RiskList({ kind: 'watch', of: 'user' });
    list.set(entry('u1', { expires_ms: NOW + 100 }));
    expect([NOW - 1, NOW, NOW + 99, NOW + 100].map((at) => list.has('u1', at))).toEqual([false, true, true, false]);
    expect([list.has('u2', NOW), list.has('', NOW)]).toEqual([false, false]);
  });

  test('of addresses holds ranges, the narrow beside the wide', () => {
    const list = listOf('ip', ['10.0.0.0/8', '192.0.2.0/24', '192.0.2.7', '2001:db8::/32']);
    const asked = ['10.200.3.4', '192.0.2.200', '192.0.3.1', '11.0.0.1', '2001:db8:ffff::1', '2001:db9::1', '::ffff:10.1.1.1', 'no address'];
    expect(asked.map((ip) => list.has(ip, NOW))).toEqual([true, true, false, false, true, false, true, false]);
    list.delete('192.0.2.0/24');
    expect([list.has('192.0.2.200', NOW), list.has('192.0.2.7', NOW)]).toEqual([false, true]);
  });

  test('of addresses agrees with comparing bits, for any ranges', () => {
    const range = fc.tuple(fc.ipV4(), fc.integer({ min: 0, max: 32 })).map(([ip, length]) => `${ip}/${length}`);
    const bits = (ip: string) => ip.split('.').reduce((text, part) => text + Number(part).toString(2).padStart(8, '0'), '');
    fc.assert(
      fc.property(fc.array(range, { maxLength: 5 }), fc.ipV4(), (ranges, ip) => {
        const expected = ranges.some((text) => bits(ip).startsWith(bits(text.split('/')[0]!).slice(0, Number(text.split('/')[1]))));
        expect(listOf('ip', ranges).has(ip, NOW)).toBe(expected);
      }),
      { seed: 5, numRuns: 500 },
    );
  });

  test('of mail domains asks without regard to case', () => {
    expect(listOf('email_domain', ['Mail.Example']).has('MAIL.example', NOW)).toBe(true);
  });
});

test('recorded answers say yes to what was yes, and no to everything else', () => {
  const lists = recordedLists({ bad: 'block' }, ['bad=c=1']);
  expect([lists.has('bad', 'c=1', 0), lists.has('bad', 'c', 0), lists.kind('bad'), lists.kind('other')]).toEqual([true, false, 'block', undefined]);
});
