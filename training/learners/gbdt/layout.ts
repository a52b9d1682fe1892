import type { Arena } from '../threads/arena.ts';
import { GROUP, groupsOf, reserveTable, type TableRegions } from './bins.ts';
import { chunksOf } from './kernel.ts';
import type { GbdtParams } from './params.ts';
import { reserveControl } from './team.ts';

/** Bytes of one feature's histogram: 256 bins of two i64, as in kernel/histogram.as. */
export const FEATURE_BYTES = 4096;
/** Of a leaf of a search job, and of a feature's best split. */
export const LEAF_BYTES = 64;
export const RESULT_BYTES = 64;
/** The 256 bytes that say of each bin whether it goes left. */
export const SIDES_BYTES = 256;
const SEARCH_BYTES = 128;
const SCRATCH_BYTES = 4096;

/** A parent's and its two children's. */
const HISTOGRAMS_MIN = 3;

/** Addresses of everything that is trained on and with. */
export interface Regions {
  readonly control: number;
  readonly table: TableRegions;
  /** Row numbers of the leaves, one after the other, and a copy to sort them in. */
  readonly rows: number;
  readonly spare: number;
  /** (i32 gradient, i32 hessian) by row, and in the order of `rows`. */
  readonly pairs: number;
  readonly ordered: number;
  readonly scores: number;
  readonly labels: number;
  /** 0: all weights are 1. */
  readonly weights: number;
  /** Float64 gradients and hessians by row, for objectives that the kernel does not know; 0: none. */
  readonly gradients: number;
  readonly hessians: number;
  readonly scales: number;
  /** A float64 or two i64 a chunk. */
  readonly chunkSums: number;
  readonly chunkCounts: number;
  readonly chunkBefore: number;
  readonly search: number;
  readonly monotone: number;
  readonly leaves: number;
  readonly results: number;
  readonly masks: number;
  readonly groups: number;
  readonly scratch: number;
  readonly sides: number;
  readonly leafValues: number;
  readonly nodes: number;
  readonly nodeValues: number;
  readonly histograms: number;
  readonly histogramCount: number;
}

export interface LayoutNeeds {
  readonly weighted: boolean;
  readonly ownGradients: boolean;
  /** Trees add their values to the scores: the next tree needs them. */
  readonly scored: boolean;
}

export function reserveRegions(arena: Arena, n: number, f: number, params: GbdtParams, needs: LayoutNeeds): Regions {
  // The kernel goes over rows two by two.
  const padded = n + 2;
  const groups = groupsOf(f);
  const chunks = chunksOf(n);
  const histogramBytes = GROUP * groups * FEATURE_BYTES;
  const kept = params.featureFractionByNode < 1 ? HISTOGRAMS_MIN : params.numLeaves + 2;
  const histogramCount = Math.max(HISTOGRAMS_MIN, Math.min(kept, Math.floor(params.histogramPoolBytes / histogramBytes)));
  return {
    control: reserveControl(arena),
    table: reserveTable(arena, n, f),
    rows: arena.reserve(4 * padded),
    spare: arena.reserve(4 * padded),
    pairs: arena.reserve(8 * padded),
    ordered: arena.reserve(8 * padded),
    scores: arena.reserve(8 * padded),
    labels: arena.reserve(4 * padded),
    weights: needs.weighted ? arena.reserve(4 * padded) : 0,
    gradients: needs.ownGradients ? arena.reserve(8 * padded) : 0,
    hessians: needs.ownGradients ? arena.reserve(8 * padded) : 0,
    scales: arena.reserve(16),
    chunkSums: arena.reserve(16 * chunks),
    chunkCounts: arena.reserve(4 * chunks),
    chunkBefore: arena.reserve(4 * chunks),
    search: arena.reserve(SEARCH_BYTES),
    monotone: arena.reserve(f),
    leaves: arena.reserve(2 * LEAF_BYTES),
    results: arena.reserve(2 * RESULT_BYTES * GROUP * groups),
    masks: arena.reserve(2 * GROUP * groups),
    groups: arena.reserve(4 * groups),
    scratch: arena.reserve(SCRATCH_BYTES * groups),
    sides: arena.reserve(SIDES_BYTES * params.numLeaves),
    leafValues: arena.reserve(16 * params.numLeaves),
    nodes: arena.reserve(16 * 2 * params.numLeaves),
    nodeValues: arena.reserve(8 * 2 * params.numLeaves),
    histograms: arena.reserve(histogramBytes * histogramCount),
    histogramCount,
  };
}
