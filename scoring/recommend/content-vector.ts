import { CONTENT_BUCKETS_MAX, CONTENT_DIMENSIONS_MAX, type ContentFile } from '../../contracts/bundle.ts';
import { GatehouseError } from '../../contracts/errors.ts';
import type { Item } from '../../contracts/item.ts';
import { alignedBuffer } from './retrieval.ts';

/** What content vectors are made with: learned offline from the catalogue, plain data. */
export interface ContentModel {
  readonly dimensions: number;
  /** Weight of the tokens of each bucket: its inverse document frequency. The length is a power of two. */
  readonly idf: Float32Array;
  /** Of a bucket that no item of the catalogue had. */
  readonly idfUnseen: number;
}

/** Of a shop without a bundle: every token counts alike. */
export const UNTRAINED_CONTENT: ContentModel = { dimensions: 128, idf: new Float32Array(1), idfUnseen: 1 };

/** Titles have some ten words; the rest of a very long one says little and costs time at every change of the item. */
export const TOKENS_MAX = 200;
/** Words count for less than what a shop declares: category and brand. */
const FIELD_WEIGHT = { title: 1, category: 2, brand: 2, attribute: 1 } as const;

const WORDS = /[\p{L}\p{N}]+/gu;

/** Tokens of an item with their weights: words of the title, category, brand, and each attribute that is a text or a flag. Numbers are left out. */
export function contentTokens(item: Item): Map<string, number> {
  const tokens = new Map<string, number>();
  const add = (token: string, weight: number) => {
    if (tokens.size < TOKENS_MAX || tokens.has(token)) tokens.set(token, (tokens.get(token) ?? 0) + weight);
  };
  if (item.category !== undefined) add(`category=${item.category.toLowerCase()}`, FIELD_WEIGHT.category);
  if (item.brand !== undefined) add(`brand=${item.brand.toLowerCase()}`, FIELD_WEIGHT.brand);
  // In name order, so that the limit cuts alike whatever order a shop sends.
  for (const [name, value] of Object.entries(item.attributes ?? {}).sort(([a], [b]) => (a < b ? -1 : 1))) {
    if (typeof value !== 'number') add(`${name}=${String(value).toLowerCase()}`, FIELD_WEIGHT.attribute);
  }
  for (const [word] of (item.title ?? '').toLowerCase().matchAll(WORDS)) add(word, FIELD_WEIGHT.title);
  return tokens;
}

/**
 * The vector of tokens: hashed TF-IDF, (1 + ln weight) x idf, projected on random signs that the hash itself decides (Achlioptas 2003), of length 1.
 * So an item that was never seen has a vector at once, and the cosine of two vectors is about that of their TF-IDF vectors. Zeros without tokens.
 */
export function contentVector({ dimensions, idf, idfUnseen }: ContentModel, tokens: ReadonlyMap<string, number>): Float32Array {
  const sums = new Float64Array(dimensions);
  for (const [token, weight] of tokens) {
    const hash = hashToken(token);
    const known = idf[bucketOf(hash, idf.length)]!;
    const value = (1 + Math.log(Math.max(1, weight))) * (known > 0 ? known : idfUnseen);
    let bits = 0;
    for (let i = 0; i < dimensions; i++, bits >>>= 1) {
      if (i % 32 === 0) bits = mix(hash + Math.imul(i / 32 + 1, 0x9e3779b9));
      // By a sum of signs, not by a branch: bits of a hash are what a processor cannot foresee, and a catalogue is gone through at each start.
      sums[i]! += value * (2 * (bits & 1) - 1);
    }
  }
  let squares = 0;
  for (let i = 0; i < dimensions; i++) squares += sums[i]! * sums[i]!;
  const vector = new Float32Array(dimensions);
  const length = Math.sqrt(squares);
  if (length > 0) for (let i = 0; i < dimensions; i++) vector[i] = sums[i]! / length;
  return vector;
}

/** The model of a bundle's table. Throws `bundle_corrupt`: one weight that is no number would spoil every vector with its word. */
export function contentModelOf(file: ContentFile | null): ContentModel {
  const { dimensions, idf_unseen: idfUnseen } = file ?? {};
  const isSize = Number.isInteger(dimensions) && dimensions! >= 1 && dimensions! <= CONTENT_DIMENSIONS_MAX;
  if (!file || !isSize || !isWeight(idfUnseen) || idfUnseen === 0) throw new GatehouseError('bundle_corrupt', 'the content table is none');
  const idf = new Float32Array(alignedBuffer(file.idf));
  const isPower = idf.length >= 1 && idf.length <= CONTENT_BUCKETS_MAX && Number.isInteger(Math.log2(idf.length));
  if (!isPower || !idf.every(isWeight)) throw new GatehouseError('bundle_corrupt', 'the content table does not hold together');
  return { dimensions: file.dimensions, idf, idfUnseen: file.idf_unseen };
}

/** Weights are logarithms of shares of a catalogue, so far below any of this. */
const WEIGHT_MAX = 1_000;

function isWeight(value: unknown): boolean {
  return typeof value === 'number' && value >= 0 && value <= WEIGHT_MAX;
}

/** FNV-1a over UTF-16 units, mixed. */
export function hashToken(token: string): number {
  let hash = 0x811c9dc5;
  for (let i = 0; i < token.length; i++) hash = Math.imul(hash ^ token.charCodeAt(i), 0x01000193);
  return mix(hash);
}

export function bucketOf(hash: number, buckets: number): number {
  return hash & (buckets - 1);
}

/** The finaliser of MurmurHash3: every bit of the input moves every bit of the output. */
function mix(value: number): number {
  let hash = value ^ (value >>> 16);
  hash = Math.imul(hash, 0x85ebca6b);
  hash ^= hash >>> 13;
  hash = Math.imul(hash, 0xc2b2ae35);
  return (hash ^ (hash >>> 16)) >>> 0;
}
