import { decode, ExtensionCodec, encode } from '@msgpack/msgpack';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { FLOATS_TYPE, Packer, readFloats } from './packer.ts';

const packer = new Packer();
/** No -0 here: the general encoder loses its sign. */
const number = fc.oneof(
  fc.double().filter((value) => !Object.is(value, -0)),
  fc.float().filter((value) => !Object.is(value, -0)),
  fc.integer(),
  fc.maxSafeInteger(),
  fc.constantFrom(
    0,
    127,
    128,
    255,
    256,
    65_535,
    65_536,
    2 ** 31,
    2 ** 32 - 1,
    2 ** 32,
    -1,
    -32,
    -33,
    -128,
    -129,
    -(2 ** 31),
    -(2 ** 31) - 1,
    -(2 ** 32),
  ),
  fc.constantFrom(Number.MAX_SAFE_INTEGER, Number.MIN_SAFE_INTEGER, 2 ** 53, Number.MAX_VALUE, Number.POSITIVE_INFINITY, Number.NaN),
);
const text = fc.oneof(fc.string(), fc.string({ unit: 'binary' }), fc.string({ minLength: 20, maxLength: 400 }));
const { value: plain } = fc.letrec((tie) => ({
  value: fc.oneof(
    { maxDepth: 4, depthSize: 'small' },
    fc.boolean(),
    fc.constant(null),
    number,
    text,
    fc.uint8Array({ maxLength: 300 }),
    fc.array(tie('value'), { maxLength: 20 }),
    fc
      .dictionary(
        text.filter((key) => key !== '__proto__'),
        tie('value'),
        { maxKeys: 20 },
      )
      .map((entry) => ({ ...entry })),
  ),
}));

test('what is packed is read as what the general encoder wrote', () => {
  fc.assert(
    fc.property(plain, (value) => {
      expect(decode(packer.pack(value))).toEqual(decode(encode(value)));
    }),
    { seed: 21, numRuns: 2_000 },
  );
});

test('every number comes back to the bit, and a float32 takes five bytes', () => {
  fc.assert(
    fc.property(number, (value) => {
      expect(Object.is(decode(packer.pack(value)), value)).toBe(true);
    }),
    { seed: 22, numRuns: 5_000 },
  );
  expect(Object.is(decode(packer.pack(-0)), -0)).toBe(true);
  for (const value of [0.5, Math.fround(0.1), -Math.fround(1e-30), Number.NaN]) expect(packer.pack(value)).toHaveLength(5);
  expect(packer.pack(0.1)).toHaveLength(9);
});

test('keys with undefined are left out, whatever the size of the map; in an array it is null', () => {
  for (const keys of [3, 15, 16, 40, 70_000]) {
    const value = Object.fromEntries(Array.from({ length: keys }, (_, i) => [`k${i}`, i % 3 === 0 ? undefined : i]));
    const kept = Object.fromEntries(Object.entries(value).filter(([, entry]) => entry !== undefined));
    expect(decode(packer.pack(value))).toEqual(kept);
  }
  expect(decode(packer.pack([undefined, 1]))).toEqual([null, 1]);
});

test('a name is written the same the second time, and when there are more names than are remembered', () => {
  const names = ['id', 'größe', 'a\ud800b', 'n'.repeat(100), ...Array.from({ length: 3_000 }, (_, i) => `attribute-${i}`)];
  const value = Object.fromEntries(names.map((name, i) => [name, i]));
  const own = new Packer();
  const first = own.pack(value).slice();
  expect(decode(first)).toEqual(value);
  expect(own.pack(value)).toEqual(first);
});

test('a lone surrogate stays itself', () => {
  expect(decode(packer.pack('a\ud800b'))).toBe('a\ud800b');
  expect(decode(packer.pack('\udc00\ud800\u{1f600}'))).toBe('\udc00\ud800\u{1f600}');
});

test('long arrays, texts and bytes have the wide heads', () => {
  const values = ['x'.repeat(70_000), '\u00e4'.repeat(40_000), new Uint8Array(70_000).fill(7), Array.from({ length: 70_000 }, (_, i) => i)];
  for (const value of values) expect(decode(packer.pack(value))).toEqual(value);
});

test('what is not plain is refused: it would come back as something else', () => {
  const cycle: Record<string, unknown> = {};
  cycle['self'] = cycle;
  for (const value of [1n, () => 1, Symbol('s'), new Date(0), new Map(), cycle, new Float64Array(1)])
    expect(() => packer.pack(value)).toThrow(TypeError);
  expect(decode(packer.pack({ after: 'all' }))).toEqual({ after: 'all' });
});

test('float32 come back to the bit, as numbers one by one or as a block', () => {
  const extensionCodec = new ExtensionCodec();
  extensionCodec.register({ type: FLOATS_TYPE, encode: () => null, decode: readFloats });
  const blocks = new Packer({ floatBlocks: true });
  fc.assert(
    fc.property(fc.float32Array({ maxLength: 300 }), (vector) => {
      const numbers = Array.from(vector);
      expect(decode(packer.pack({ vector, after: 1 }))).toEqual({ vector: numbers, after: 1 });
      expect(decode(blocks.pack({ vector, after: 1 }), { extensionCodec })).toEqual({ vector: numbers, after: 1 });
    }),
    { seed: 23, numRuns: 500 },
  );
  // Longer than the packer's first buffer.
  const long = Float32Array.from({ length: 5_000 }, (_, i) => i / 3);
  expect(decode(blocks.pack(long), { extensionCodec })).toEqual(Array.from(long));
  expect(blocks.pack(new Float32Array(97)).length).toBeLessThan(97 * 4 + 10);
});
