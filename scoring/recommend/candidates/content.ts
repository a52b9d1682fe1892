import { NO_HANDLE } from '../../../contracts/handles.ts';
import type { VectorIndex } from '../../../index/contract.ts';
import type { CandidateContext, CandidateSource, SourceRun } from './contract.ts';
import { nearbyOf, nearbyTo, type Searched } from './nearby.ts';
import { nearestTo } from './nearest.ts';
import type { CandidateSet } from './set.ts';

/** The visitor's last items: what they look for now. Older ones blur what these have in common. */
const SEEDS_MAX = 5;
/** Each step back counts this much of the one after it. */
const SEED_DECAY = 0.8;
/** As good as the index's own among 4,000 products by their names, for less than half the time. */
const EF = 32;

/**
 * What is like the item on the page, else like the visitor's last items, by category, brand, words and attributes: an item is found from the moment that
 * it is put, before anybody met it; of items that the bundle knows only the one on the page is asked about. The column, how alike each of its own candidates is, is
 * for the blend alone: the trainer has no such index, so the ranker judges these candidates by what it knows of all.
 */
export const content: CandidateSource = {
  name: 'content',
  columns: [{ key: 'content', without: 0 }],
  isOptional: true,
  isServed: (models) => models.content?.index !== undefined,
  start(context) {
    const index = context.models.content?.index;
    if (!index) return undefined;
    const opened = context.item === NO_HANDLE ? undefined : nearbyOf(index).get(context.item, index);
    if (opened) return run(context, index, { handles: [context.item], vectors: opened.query }, opened);
    const seeds = seedsOf(index, context);
    return seeds.handles.length === 0 || areKnown(seeds, context) ? undefined : run(context, index, seeds);
  },
};

/**
 * Whether the bundle has learned of all items that a visitor without a page touched last: what people did with them then says more, and a search by
 * content would cost a fifth of the answer.
 */
function areKnown({ handles }: Seeds, { item, models: { itemIndex, foldIn } }: CandidateContext): boolean {
  const isKnown = (handle: number): boolean => foldIn?.isTrained(handle) ?? itemIndex?.has(itemIndex.handles.idOf(handle)) ?? false;
  return item === NO_HANDLE && handles.every(isKnown);
}

/** Items with their vectors, side by side. */
interface Seeds {
  readonly handles: readonly number[];
  readonly vectors: Float32Array;
}

function seedsOf(index: VectorIndex, { item, session, interactions, purchases }: CandidateContext): Seeds {
  const vectors = new Float32Array(SEEDS_MAX * index.dimensions);
  const handles: number[] = [];
  const take = (handle: number): void => {
    if (!handles.includes(handle) && index.copyTo(handle, vectors, handles.length * index.dimensions)) handles.push(handle);
  };
  if (item !== NO_HANDLE) take(item);
  if (handles.length > 0) return { handles, vectors };
  for (const touched of [session, interactions, purchases])
    for (let i = 0; i < touched.length && handles.length < SEEDS_MAX; i++) take(touched.handles[i]!);
  return { handles, vectors };
}

function run(context: CandidateContext, index: VectorIndex, seeds: Seeds, opened?: Searched): SourceRun {
  const query = opened?.query ?? sumOf(seeds, index.dimensions);
  return {
    find: (max, found) => near(index, seeds, query, opened, max, context, found),
    score(candidates, [column]) {
      const positions = positionsOf(candidates);
      const found = Int32Array.from(positions, (c) => candidates.handles[c]!);
      const similarities = new Float64Array(found.length);
      index.similaritiesTo(query, found, found.length, similarities);
      positions.forEach((c, i) => {
        column![c] = similarities[i]!;
      });
      noteSimilar(candidates, index, seeds, positions, found);
    },
  };
}

/** An item's page is opened by many, a visitor's last items are their own. */
function near(
  index: VectorIndex,
  seeds: Seeds,
  query: Float32Array,
  opened: Searched | undefined,
  max: number,
  context: CandidateContext,
  found: Int32Array,
): number {
  if (opened) return nearbyTo(index, opened, max, context, found, EF);
  // Of a page whose item says nothing of itself, it is the visitor's that are asked about.
  if (seeds.handles[0] !== context.item) return nearestTo(index, query, max, context, found, EF);
  return nearbyTo(index, nearbyOf(index).put(context.item, index.version, query), max, context, found, EF);
}

function sumOf({ handles, vectors }: Seeds, dimensions: number): Float32Array {
  const sum = new Float32Array(dimensions);
  for (let s = 0, weight = 1; s < handles.length; s++, weight *= SEED_DECAY)
    for (let i = 0; i < dimensions; i++) sum[i]! += weight * vectors[s * dimensions + i]!;
  return sum;
}

/** Of the candidates that this source found. Vectors of all would be read for the few answers that no ranker orders. */
function positionsOf(candidates: CandidateSet): number[] {
  const positions: number[] = [];
  for (let c = 0; c < candidates.count; c++) if (candidates.isFrom(c, 'content')) positions.push(c);
  return positions;
}

/** Notes of each of these candidates which seed it is most like, the newest of equals. */
function noteSimilar(
  candidates: CandidateSet,
  index: VectorIndex,
  { handles, vectors }: Seeds,
  positions: readonly number[],
  found: Int32Array,
): void {
  if (handles.length === 1) {
    for (const c of positions) candidates.similar[c] = handles[0]!;
    return;
  }
  const similarities = new Float64Array(found.length);
  const best = new Float64Array(found.length).fill(Number.NEGATIVE_INFINITY);
  handles.forEach((seed, s) => {
    index.similaritiesTo(vectors.subarray(s * index.dimensions, (s + 1) * index.dimensions), found, found.length, similarities);
    positions.forEach((c, i) => {
      if (similarities[i]! <= best[i]!) return;
      best[i] = similarities[i]!;
      candidates.similar[c] = seed;
    });
  });
}
