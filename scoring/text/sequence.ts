/**
 * From a text to the term ids that a text encoder takes, and the file of a bundle that says which term has which id. The trainer learns from these very
 * ids and writes the file; the gateway reads it. Pure, and bounded whatever the text or the file is.
 */
import { GatehouseError } from '../../contracts/errors.ts';
import { BUCKETS_MAX, type Terms, TOKEN_CHARS_MAX, TOKENS_MAX, termIds, termsOf } from './terms.ts';

/** Every word of the longest text, and every pair. */
export const SEQUENCE_LENGTH_MAX = 2 * TOKENS_MAX;
/** As many as there may be buckets: an embedding table beyond that is larger than all else in a bundle. */
export const VOCABULARY_MAX = BUCKETS_MAX;
/** A full vocabulary of ordinary words and pairs takes about 16 MiB; a file beyond four of those is refused before it is parsed. */
const FILE_BYTES_MAX = 64 * 2 ** 20;
const FORMAT = 'gatehouse-terms-1';
/** Fills up short sequences: no term has this id. */
const NO_TERM = -1n;

export interface TermSequences {
  readonly terms: Terms;
  /** Ids that a text may have; those of later terms are left out. */
  readonly lengthMax: number;
}

/** Makes the reader of one model: ids of the known terms, words in the order of the text, then pairs. Unknown terms are left out. */
export function createTermSequencer({ terms, lengthMax }: TermSequences): (text: string) => Int32Array {
  if (!isLength(lengthMax)) throw new RangeError(`lengthMax must be 1 to ${SEQUENCE_LENGTH_MAX}, not ${lengthMax}`);
  const idOf = termIds(terms);
  return (text) => {
    const ids: number[] = [];
    for (const term of termsOf(text, terms.ngrams)) {
      const id = idOf(term);
      if (id !== undefined) ids.push(id);
      if (ids.length === lengthMax) break;
    }
    return Int32Array.from(ids);
  };
}

/** The input `ids` int64 [N, lengthMax] of a text encoder. */
export function sequenceTensor(sequences: readonly Int32Array[], lengthMax: number) {
  const data = new BigInt64Array(sequences.length * lengthMax).fill(NO_TERM);
  sequences.forEach((ids, row) => {
    ids.forEach((id, place) => {
      data[row * lengthMax + place] = BigInt(id);
    });
  });
  return { data, dims: [sequences.length, lengthMax] as const };
}

/** The file as bytes of JSON: the same for the same terms. */
export function writeTerms({ terms, lengthMax }: TermSequences): Uint8Array {
  return new TextEncoder().encode(JSON.stringify({ format: FORMAT, lengthMax, ...terms }));
}

/** Reads a file of `writeTerms`. Throws `bundle_corrupt` for anything else. */
export function readTerms(bytes: Uint8Array): TermSequences {
  if (bytes.byteLength > FILE_BYTES_MAX) throw corrupt(`it has ${bytes.byteLength} bytes, over ${FILE_BYTES_MAX}`);
  const { format, lengthMax, kind, ngrams, terms, buckets } = parse(bytes);
  if (format !== FORMAT) throw corrupt(`its format is not ${FORMAT}`);
  if (!isLength(lengthMax)) throw corrupt('its lengthMax is out of bounds');
  if (ngrams !== 1 && ngrams !== 2) throw corrupt('its ngrams are neither 1 nor 2');
  if (kind === 'hashed') {
    if (!isWhole(buckets, BUCKETS_MAX)) throw corrupt('its buckets are out of bounds');
    return { lengthMax, terms: { kind, ngrams, buckets } };
  }
  if (kind !== 'vocabulary' || !Array.isArray(terms) || !terms.every(isTerm)) throw corrupt('it lists no terms');
  if (!isWhole(terms.length, VOCABULARY_MAX) || new Set(terms).size !== terms.length) throw corrupt('it lists too many terms, none, or one twice');
  return { lengthMax, terms: { kind, ngrams, terms } };
}

function parse(bytes: Uint8Array): Readonly<Record<string, unknown>> {
  let value: unknown;
  try {
    value = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes));
  } catch (cause) {
    throw corrupt('it is no JSON', cause);
  }
  if (typeof value !== 'object' || value === null) throw corrupt('it is no object');
  return value as Record<string, unknown>;
}

/** A word, or two with a space between. */
const TERM_CHARS_MAX = 2 * TOKEN_CHARS_MAX + 1;
const isTerm = (term: unknown): term is string => typeof term === 'string' && term.length > 0 && term.length <= TERM_CHARS_MAX;
const isWhole = (value: unknown, most: number): value is number => Number.isInteger(value) && Number(value) >= 1 && Number(value) <= most;
const isLength = (value: unknown): value is number => isWhole(value, SEQUENCE_LENGTH_MAX);

function corrupt(detail: string, cause?: unknown): GatehouseError {
  return new GatehouseError('bundle_corrupt', `the file of terms cannot be used: ${detail}`, cause === undefined ? {} : { cause });
}
