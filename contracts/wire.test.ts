import { encode } from '@msgpack/msgpack';
import fc from 'fast-check';
import Type from 'typebox';
import { Compile } from 'typebox/compile';
import { describe, expect, test } from 'vitest';
import { type ErrorCode, GatehouseError } from './errors.ts';
import { checkShape, decodeBody, encodeBody, FIELD_ERRORS_MAX, JsonText, negotiate } from './wire.ts';

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);
const json = (text: string): unknown => decodeBody(bytes(text), 'application/json');
const packed = (value: unknown): unknown => decodeBody(encode(value, { useBigInt64: true }), 'application/msgpack');

function codeOf(act: () => unknown): ErrorCode | undefined {
  try {
    act();
    return undefined;
  } catch (error) {
    if (error instanceof GatehouseError) return error.code;
    throw error;
  }
}

describe('decodeBody', () => {
  test('reads the same value from both encodings', () => {
    const value = { a: [1, 2.5, 'ü', true, null], b: { c: -7 } };
    expect(json(JSON.stringify(value))).toEqual(value);
    expect(packed(value)).toEqual(value);
    expect(decodeBody(bytes('{"a":1}'), 'application/json; charset=utf-8')).toEqual({ a: 1 });
  });

  test.each<[string, () => unknown, ErrorCode]>([
    ['no content type', () => decodeBody(bytes('{}'), undefined), 'unsupported_media_type'],
    ['another content type', () => decodeBody(bytes('{}'), 'text/plain'), 'unsupported_media_type'],
    ['an empty body', () => json(''), 'malformed_body'],
    ['half of a value', () => json('{"a":'), 'malformed_body'],
    ['two values', () => json('{}{}'), 'malformed_body'],
    ['invalid UTF-8', () => decodeBody(Uint8Array.of(0x22, 0xff, 0x22), 'application/json'), 'malformed_body'],
    ['a number that overflows', () => json('{"a":1e999}'), 'malformed_body'],
    ['a whole number beyond 2^53', () => json('{"a":9007199254740993}'), 'malformed_body'],
    ['a MessagePack NaN', () => packed({ a: Number.NaN }), 'malformed_body'],
    ['a MessagePack bigint', () => packed({ a: 1n << 60n }), 'malformed_body'],
    ['MessagePack bytes', () => packed({ a: Uint8Array.of(1) }), 'malformed_body'],
    ['a MessagePack date', () => packed({ a: new Date(0) }), 'malformed_body'],
    ['trailing MessagePack', () => decodeBody(Uint8Array.of(0x80, 0x80), 'application/msgpack'), 'malformed_body'],
    ['__proto__', () => json('{"a":{"__proto__":{"x":1}}}'), 'forbidden_key'],
    ['an escaped __proto__', () => json('{"__pro\\u0074o__":1}'), 'forbidden_key'],
    ['constructor', () => packed({ constructor: 1 }), 'forbidden_key'],
    ['a MessagePack __proto__', () => decodeBody(Uint8Array.of(0x81, 0xa9, ...bytes('__proto__'), 1), 'application/msgpack'), 'forbidden_key'],
    ['nine levels', () => json('[[[[[[[[[]]]]]]]]]'), 'nesting_too_deep'],
    ['a megabyte of brackets', () => json('['.repeat(1_000_000)), 'nesting_too_deep'],
    ['a deep MessagePack', () => decodeBody(new Uint8Array(100_000).fill(0x91), 'application/msgpack'), 'malformed_body'],
  ])('refuses %s', (_, act, code) => {
    expect(codeOf(act)).toBe(code);
    expect(({} as Record<string, unknown>)['x']).toBeUndefined();
  });

  test('takes eight levels, and brackets in strings', () => {
    expect(json('[[[[[[[[]]]]]]]]')).toBeDefined();
    expect(json(`{"a":"${'['.repeat(50)}\\"[["}`)).toBeDefined();
  });

  test('random bytes give a value or a coded error', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), fc.constantFrom('application/json', 'application/msgpack'), (body, type) => {
        codeOf(() => decodeBody(body, type));
      }),
      { seed: 1, numRuns: 2000 },
    );
  });
});

test('negotiates the answer', () => {
  expect(negotiate(undefined)).toBe('json');
  expect(negotiate('*/*')).toBe('json');
  expect(negotiate('application/x-msgpack')).toBe('msgpack');
  expect(negotiate('application/json;q=0.5, application/msgpack')).toBe('msgpack');
  expect(negotiate('text/html, application/*;q=0.1')).toBe('json');
  expect(codeOf(() => negotiate('text/html'))).toBe('not_acceptable');
  expect(codeOf(() => negotiate('application/json;q=0'))).toBe('not_acceptable');
});

test('an encoded body decodes to the value', () => {
  for (const encoding of ['json', 'msgpack'] as const) {
    const { bytes: body, contentType } = encodeBody({ a: 1, b: undefined }, encoding);
    expect(decodeBody(typeof body === 'string' ? bytes(body) : body, contentType)).toEqual({ a: 1 });
  }
});

test('what is JSON already is sent as it is, or as the same value in MessagePack', () => {
  const text = '{ "a": [1, "\u00e9"] }';
  expect(encodeBody(new JsonText(text), 'json')).toEqual({ bytes: text, contentType: 'application/json' });
  const { bytes: body, contentType } = encodeBody(new JsonText(text), 'msgpack');
  expect(decodeBody(body as Uint8Array, contentType)).toEqual({ a: [1, '\u00e9'] });
});

test('a wrong shape names its places, a bounded number of them', () => {
  const validator = Compile(Type.Object({ list: Type.Array(Type.Number()) }, { additionalProperties: false }));
  expect(checkShape(validator, { list: [1] })).toEqual({ list: [1] });
  try {
    checkShape(validator, { list: Array.from({ length: 100 }, () => 'x'), extra: 1 });
    expect.unreachable();
  } catch (error) {
    expect(error).toBeInstanceOf(GatehouseError);
    const { code, errors } = error as GatehouseError;
    expect(code).toBe('invalid_request');
    expect(errors?.map(({ path }) => path)).toContain('/list/0');
    expect(errors?.length).toBeLessThanOrEqual(FIELD_ERRORS_MAX);
  }
});
