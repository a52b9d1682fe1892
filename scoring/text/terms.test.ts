import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { createTermCounter, TEXT_CHARS_MAX, TOKEN_CHARS_MAX, TOKENS_MAX, termsOf, termTensors, tokenize } from './terms.ts';

describe('tokenize', () => {
  test.each([
    ["It's GREAT -- 10/10!", ["it's", 'great', '10', '10']],
    ['', []],
    ['  \n\t ', []],
    ["''", ["''"]],
    // Letters beyond ASCII part words, as in the protocol's [a-z0-9']+.
    ['café crème', ['caf', 'cr', 'me']],
    ['日本語 ok', ['ok']],
    ['a\u{1f600}b', ['a', 'b']],
    // The Kelvin sign and the dotted capital I have ASCII letters in lower case.
    ['\u212a \u0130x', ['k', 'i', 'x']],
    ['x\u0000y\u200bz', ['x', 'y', 'z']],
    ['\ud800lone\udfff', ['lone']],
  ])('%j', (text, tokens) => {
    expect(tokenize(text)).toEqual(tokens);
  });

  test('is bounded whatever comes', () => {
    expect(tokenize('a'.repeat(5_000_000))).toEqual(['a'.repeat(TOKEN_CHARS_MAX)]);
    expect(tokenize('a '.repeat(1_000_000))).toHaveLength(TOKENS_MAX);
    expect(tokenize(`${' '.repeat(TEXT_CHARS_MAX)}late`)).toEqual([]);
    expect(tokenize('\u0130'.repeat(1_000_000)).length).toBeLessThanOrEqual(TOKENS_MAX);
  });

  test('any string gives clean tokens, and giving them again gives the same', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary', maxLength: 200 }), (text) => {
        const tokens = tokenize(text);
        expect(tokens.filter((token) => !/^[a-z0-9']{1,64}$/.test(token))).toEqual([]);
        expect(tokenize(tokens.join(' '))).toEqual(tokens);
      }),
      { seed: 2 },
    );
  });
});

test('terms are words and pairs of neighbours', () => {
  expect(termsOf('Not good, not BAD', 1)).toEqual(['not', 'good', 'not', 'bad']);
  expect(termsOf('Not good, not BAD', 2)).toEqual(['not', 'good', 'not', 'bad', 'not good', 'good not', 'not bad']);
  expect(termsOf('one', 2)).toEqual(['one']);
});

describe('counter', () => {
  test('counts the terms that it knows', () => {
    const count = createTermCounter({ kind: 'vocabulary', ngrams: 2, terms: ['bad', 'not', 'not good'] });
    expect(count('Not good, not bad, not good')).toEqual({ ids: Uint32Array.of(0, 1, 2), counts: Float32Array.of(1, 3, 2) });
    expect(count('nothing known')).toEqual({ ids: new Uint32Array(0), counts: new Float32Array(0) });
    expect(count('constructor __proto__ toString').ids).toHaveLength(0);
  });

  test('hashed, every term has a bucket and shares add up', () => {
    const count = createTermCounter({ kind: 'hashed', ngrams: 2, buckets: 7 });
    const { ids, counts } = count('a b c d e f g h i j');
    expect(counts.reduce((sum, n) => sum + n, 0)).toBe(19);
    expect([...ids]).toEqual([...new Set(ids)].sort((a, b) => a - b));
    expect(Math.max(...ids)).toBeLessThan(7);
  });

  test('refuses a vocabulary with a term twice, and buckets out of bounds', () => {
    expect(() => createTermCounter({ kind: 'vocabulary', ngrams: 1, terms: ['a', 'a'] })).toThrow(RangeError);
    for (const buckets of [0, 1.5, 2 ** 21, Number.NaN]) {
      expect(() => createTermCounter({ kind: 'hashed', ngrams: 1, buckets })).toThrow(RangeError);
    }
  });
});

test('tensors are as wide as the longest text, and never without a column', () => {
  const count = createTermCounter({ kind: 'vocabulary', ngrams: 1, terms: ['a', 'b', 'c'] });
  const { ids, counts } = termTensors([count('c'), count(''), count('a b b')]);
  expect(ids).toEqual({ data: BigInt64Array.of(2n, 0n, 0n, 0n, 0n, 1n), dims: [3, 2] });
  expect(counts).toEqual({ data: Float32Array.of(1, 0, 0, 0, 1, 2), dims: [3, 2] });
  expect(termTensors([count('')]).ids.dims).toEqual([1, 1]);
});
