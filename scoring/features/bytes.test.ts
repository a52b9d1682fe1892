import fc from 'fast-check';
import { expect, test } from 'vitest';
import { ByteReader, ByteWriter } from './bytes.ts';

/** The format as its definition says it: 7 bits a byte, the lowest first. */
function varintBytes(value: number): number[] {
  const bytes: number[] = [];
  let rest = BigInt(value);
  for (; rest >= 128n; rest >>= 7n) bytes.push(Number(rest & 127n) | 128);
  return [...bytes, Number(rest)];
}

const whole = fc.oneof(
  fc.maxSafeNat(),
  fc.nat(),
  fc.constantFrom(0, 127, 128, 2 ** 28 - 1, 2 ** 28, 2 ** 31, 2 ** 32, 2 ** 35, 2 ** 49, Number.MAX_SAFE_INTEGER),
);

test('a whole number is written as its varint, and read back', () => {
  fc.assert(
    fc.property(whole, (value) => {
      const writer = new ByteWriter();
      writer.varint(value);
      expect([...writer.written()]).toEqual(varintBytes(value));
      expect(new ByteReader(writer.copy()).varint()).toBe(value);
    }),
    { seed: 5, numRuns: 2_000 },
  );
});

test('a hash is its 7 lowest bytes, the lowest first', () => {
  fc.assert(
    fc.property(whole, (value) => {
      const writer = new ByteWriter();
      writer.hash(value);
      const expected = Array.from({ length: 7 }, (_, i) => Number((BigInt(value) >> BigInt(8 * i)) & 255n));
      expect([...writer.written()]).toEqual(expected);
      expect(new ByteReader(writer.copy()).hash()).toBe(value);
    }),
    { seed: 6, numRuns: 2_000 },
  );
});
