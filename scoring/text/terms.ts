/**
 * From a text to the numbers that a text model takes. The trainer and the gateway both call this, so a served text is cut into terms exactly as
 * the texts were that the model learned from. Pure, and bounded whatever the text is.
 */
import { hash53 } from '../features/hash.ts';

/** A review has 500 characters of title and 5,000 of text at most (contracts/event.ts); what is beyond twice that is not read. */
export const TEXT_CHARS_MAX = 11_000;
/** An ordinary review has about 60 words, the longest that an event can carry about 1,000. */
export const TOKENS_MAX = 2_000;
/** Longer runs are no words but codes and padding: only their start is kept. */
export const TOKEN_CHARS_MAX = 64;
/** As many buckets take 4 MiB an output as float32 weights; more hardly lowers the collisions of a shop's texts. */
export const BUCKETS_MAX = 2 ** 20;

/** Which terms a model knows: a list, or everything, hashed into buckets. */
export type Terms =
  | { readonly kind: 'vocabulary'; readonly ngrams: Ngrams; readonly terms: readonly string[] }
  | { readonly kind: 'hashed'; readonly ngrams: Ngrams; readonly buckets: number };
/** 1: words. 2: words and pairs of neighbours. */
export type Ngrams = 1 | 2;

/** Known terms of one text, ascending, each once, and how often each came. */
export interface TermCounts {
  readonly ids: Uint32Array;
  readonly counts: Float32Array;
}

/** Lower-case runs of ASCII letters, digits and apostrophes; everything else parts them. */
export function tokenize(text: string): string[] {
  // Cut before lowering: one character may become two.
  const tokens =
    text
      .slice(0, TEXT_CHARS_MAX)
      .toLowerCase()
      .match(/[a-z0-9']+/g) ?? [];
  if (tokens.length > TOKENS_MAX) tokens.length = TOKENS_MAX;
  return tokens.map((token) => (token.length > TOKEN_CHARS_MAX ? token.slice(0, TOKEN_CHARS_MAX) : token));
}

/** Words, and with `ngrams` 2 the pairs of neighbours after them, in the order of the text. */
export function termsOf(text: string, ngrams: Ngrams): string[] {
  const tokens = tokenize(text);
  const terms = tokens.slice();
  if (ngrams === 2) for (let i = 1; i < tokens.length; i++) terms.push(`${tokens[i - 1]} ${tokens[i]}`);
  return terms;
}

/** Numbers that terms can have. */
export function termCount(terms: Terms): number {
  return terms.kind === 'vocabulary' ? terms.terms.length : terms.buckets;
}

/** Makes the counter of one model; the vocabulary is indexed once. Throws a RangeError for buckets out of bounds or a term that comes twice. */
export function createTermCounter(terms: Terms): (text: string) => TermCounts {
  const idOf = termIds(terms);
  return (text) => {
    const counts = new Map<number, number>();
    for (const term of termsOf(text, terms.ngrams)) {
      const id = idOf(term);
      if (id !== undefined) counts.set(id, (counts.get(id) ?? 0) + 1);
    }
    const ids = Uint32Array.from(counts.keys()).sort();
    return { ids, counts: Float32Array.from(ids, (id) => counts.get(id)!) };
  };
}

/** The id of a term, undefined where the model does not know it. Throws as `createTermCounter` does. */
export function termIds(terms: Terms): (term: string) => number | undefined {
  return terms.kind === 'vocabulary' ? lookup(terms.terms) : hasher(terms.buckets);
}

function lookup(terms: readonly string[]): (term: string) => number | undefined {
  const index = new Map(terms.map((term, id) => [term, id]));
  if (index.size !== terms.length) throw new RangeError('a term comes twice in the vocabulary');
  return (term) => index.get(term);
}

function hasher(buckets: number): (term: string) => number {
  if (!(Number.isInteger(buckets) && buckets >= 1 && buckets <= BUCKETS_MAX)) {
    throw new RangeError(`buckets must be 1 to ${BUCKETS_MAX}, not ${buckets}`);
  }
  return (term) => hash53(term) % buckets;
}

/**
 * The inputs of a text model for some texts: `ids` int64 and `counts` float32, both [N, T] with T the terms of the longest. Shorter texts are
 * filled up with id 0 and count 0, which adds nothing.
 */
export function termTensors(texts: readonly TermCounts[]) {
  const width = Math.max(1, ...texts.map(({ ids }) => ids.length));
  const ids = new BigInt64Array(texts.length * width);
  const counts = new Float32Array(texts.length * width);
  texts.forEach((text, row) => {
    text.ids.forEach((id, place) => {
      ids[row * width + place] = BigInt(id);
    });
    counts.set(text.counts, row * width);
  });
  const dims = [texts.length, width] as const;
  return { ids: { data: ids, dims }, counts: { data: counts, dims } };
}
