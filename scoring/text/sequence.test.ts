import { describe, expect, test } from 'vitest';
import { createTermSequencer, readTerms, SEQUENCE_LENGTH_MAX, sequenceTensor, type TermSequences, writeTerms } from './sequence.ts';

const known: TermSequences = { lengthMax: 5, terms: { kind: 'vocabulary', ngrams: 2, terms: ['bad', 'good', 'not', 'not good', 'so'] } };
const hashed: TermSequences = { lengthMax: 64, terms: { kind: 'hashed', ngrams: 1, buckets: 1000 } };

describe('sequence', () => {
  const idsOf = createTermSequencer(known);

  test('words in the order of the text, then pairs; unknown terms are left out', () => {
    expect([...idsOf('So NOT (good), said Ann')]).toEqual([4, 2, 1, 3]);
    expect([...idsOf('')]).toEqual([]);
    expect([...idsOf('nothing known')]).toEqual([]);
    expect([...idsOf('constructor __proto__')]).toEqual([]);
  });

  test('is cut at its length', () => {
    expect([...idsOf('good '.repeat(5000))]).toEqual([1, 1, 1, 1, 1]);
    expect(createTermSequencer(hashed)('a b '.repeat(500))).toHaveLength(64);
    for (const lengthMax of [0, 1.5, SEQUENCE_LENGTH_MAX + 1, Number.NaN]) {
      expect(() => createTermSequencer({ ...known, lengthMax })).toThrow(RangeError);
    }
  });

  test('tensors are filled up with -1', () => {
    const { data, dims } = sequenceTensor([idsOf('bad'), idsOf(''), idsOf('not so bad')], 4);
    expect(dims).toEqual([3, 4]);
    expect([...data]).toEqual([0n, -1n, -1n, -1n, -1n, -1n, -1n, -1n, 2n, 4n, 0n, -1n]);
  });
});

describe('file of terms', () => {
  test.each([known, hashed])('is read as it was written', (one) => {
    expect(readTerms(writeTerms(one))).toEqual(one);
    expect(writeTerms(readTerms(writeTerms(one)))).toEqual(writeTerms(one));
  });

  const file = (change: object) => new TextEncoder().encode(JSON.stringify({ format: 'gatehouse-terms-1', lengthMax: 5, ...known.terms, ...change }));

  test.each<[string, Uint8Array]>([
    ['nothing', new Uint8Array(0)],
    ['bytes that are no text', Uint8Array.of(0xff, 0xfe)],
    ['null', new TextEncoder().encode('null')],
    ['a list', new TextEncoder().encode('[]')],
    ['another format', file({ format: 'gatehouse-terms-2' })],
    ['no length', file({ lengthMax: 0 })],
    ['a length beyond all texts', file({ lengthMax: SEQUENCE_LENGTH_MAX + 1 })],
    ['triples', file({ ngrams: 3 })],
    ['no terms', file({ terms: [] })],
    ['a term twice', file({ terms: ['a', 'a'] })],
    ['a term that is no text', file({ terms: ['a', 1] })],
    ['a term beyond all words', file({ terms: ['a'.repeat(130)] })],
    ['another kind', file({ kind: 'other' })],
    ['no buckets', file({ kind: 'hashed', buckets: 0 })],
    ['half of a file', writeTerms(known).subarray(0, 20)],
  ])('refuses %s', (_, bytes) => {
    expect(() => readTerms(bytes)).toThrow(expect.objectContaining({ code: 'bundle_corrupt' }));
  });

  test('the unchanged file of these changes is read', () => {
    expect(readTerms(file({}))).toEqual(known);
  });
});
