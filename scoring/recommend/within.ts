import type { Item } from '../../contracts/item.ts';
import type { VectorIndex } from '../../index/contract.ts';
import { byAge, type Catalogue } from './catalogue.ts';
import { first } from './first.ts';
import type { PopularityTable } from './retrieval.ts';
import type { Trending } from './trending.ts';

/**
 * Up to so many items, or this share of the catalogue, looking at each of them is cheaper than looking for them: a search whose filter lets one
 * of a hundred through visits everything, which took 90 ms at 100,000 items.
 */
const SCAN_ITEMS_MAX = 1_000;
const SCAN_SHARE_MAX = 0.05;

/** Whether the sources should go through these items instead of the whole catalogue. */
export function isFew(items: ReadonlySet<string>, catalogue: Catalogue): boolean {
  return items.size <= Math.max(SCAN_ITEMS_MAX, SCAN_SHARE_MAX * catalogue.size);
}

interface Scored {
  readonly id: string;
  readonly score: number;
}

/** The greater score first, ties by id. */
function byScore(a: Scored, b: Scored): number {
  return b.score - a.score || (a.id < b.id ? -1 : 1);
}

/** At most `count` of those that anybody asked for, in the order of the whole catalogue: live demand first, the trained table behind it. */
export function popularWithin(ids: readonly string[], count: number, trending: Trending, table: PopularityTable | undefined): string[] {
  const live: Scored[] = [];
  const trained: Scored[] = [];
  for (const id of ids) {
    const score = trending.score(id);
    if (score > 0) live.push({ id, score });
    else trained.push({ id, score: table?.score(id) ?? 0 });
  }
  const wanted = first(live, count, byScore);
  const behind = wanted.length < count ? trained.filter(({ score }) => score > 0) : [];
  return [...wanted, ...first(behind, count - wanted.length, byScore)].map(({ id }) => id);
}

/** The `count` newest, the newest first. */
export function newestWithin(ids: readonly string[], count: number, catalogue: Catalogue): string[] {
  const items: Item[] = [];
  for (const id of ids) {
    const item = catalogue.get(id);
    if (item) items.push(item);
  }
  return first(items, count, byAge).map(({ item_id }) => item_id);
}

/** The `count` with the greatest inner product, the greatest first. */
export function nearestWithin(ids: readonly string[], count: number, index: VectorIndex, user: Float32Array): string[] {
  const found: Scored[] = [];
  for (const id of ids) {
    const vector = index.get(id);
    if (vector) found.push({ id, score: dot(user, vector) });
  }
  return first(found, count, byScore).map(({ id }) => id);
}

export function dot(a: Float32Array, b: Float32Array): number {
  let sum = 0;
  for (let i = 0; i < a.length; i++) sum += a[i]! * b[i]!;
  return sum;
}
