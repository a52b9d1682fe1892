import { CONTENT_BUCKETS_MAX, CONTENT_DIMENSIONS_MAX } from '../../contracts/bundle.ts';
import type { Item } from '../../contracts/item.ts';
import { bucketOf, type ContentModel, contentTokens, hashToken } from '../../scoring/recommend/content-vector.ts';
import { type FitOptions, requireData, requireParam } from './contract.ts';

export interface ContentParams {
  /** Of a vector. The cosine of two items is off by about 1 / root of this from that of their TF-IDF vectors. */
  dimensions: number;
  /** Tokens are counted in so many buckets, a power of two. */
  buckets: number;
}

export const CONTENT_DEFAULTS: ContentParams = { dimensions: 128, buckets: 65_536 };

/**
 * Learns how much each token of a catalogue tells: its inverse document frequency, ln((1 + items) / (1 + items with it)) + 1. The vectors themselves
 * come from scoring/recommend/content-vector.ts, for items of the catalogue and for those that come later: they are put into a cosine index as
 * any vectors are, a new one with the same call. Throws `training_data_insufficient` without an item that has a token.
 */
export function fitContent(items: readonly Item[], given: Partial<ContentParams>, options: FitOptions): ContentModel {
  const { dimensions, buckets } = { ...CONTENT_DEFAULTS, ...given };
  requireParam(
    Number.isInteger(dimensions) && dimensions >= 1 && dimensions <= CONTENT_DIMENSIONS_MAX,
    `dimensions must be 1 to ${CONTENT_DIMENSIONS_MAX}`,
  );
  requireParam(
    Number.isInteger(Math.log2(buckets)) && buckets <= CONTENT_BUCKETS_MAX,
    `buckets must be a power of two, at most ${CONTENT_BUCKETS_MAX}`,
  );
  const held = new Uint32Array(buckets);
  items.forEach((item, i) => {
    const met = new Set<number>();
    for (const token of contentTokens(item).keys()) met.add(bucketOf(hashToken(token), buckets));
    for (const bucket of met) held[bucket]! += 1;
    options.progress?.(i + 1, items.length);
  });
  requireData(
    held.some((count) => count > 0),
    'no item has a title, category, brand or attribute',
  );
  const idfOf = (count: number) => Math.log((1 + items.length) / (1 + count)) + 1;
  return { dimensions, idf: Float32Array.from(held, (count) => (count > 0 ? idfOf(count) : 0)), idfUnseen: idfOf(0) };
}
