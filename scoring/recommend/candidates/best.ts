import type { HandleMap } from '../handle-map.ts';
import { rankOrder } from '../rank-order.ts';
import type { CandidateContext } from './contract.ts';
import type { CandidateSet } from './set.ts';

/** Writes the best-scored items that may be shown into `found`, at most `max`; returns how many. Scores of 0 and below are no reason to show an item. */
export function bestOf(scores: HandleMap, max: number, { top, catalogue, allow, item }: CandidateContext, found: Int32Array): number {
  top.reset(max, catalogue.handles);
  for (let i = 0; i < scores.count; i++) {
    const score = scores.scores[i]!;
    const handle = scores.handleAt(i);
    if (score > 0 && handle !== item && top.wants(score, handle) && allow(handle)) top.offer(score, handle);
  }
  return top.drain(found, undefined);
}

/** Fills a column with each candidate's score, and another with its peak; 0 where it has none. */
export function scoreColumn(scores: HandleMap, candidates: CandidateSet, column: Float64Array, other?: Float64Array): void {
  for (let c = 0; c < candidates.count; c++) {
    const at = scores.positionOf(candidates.handles[c]!);
    column[c] = at < 0 ? 0 : scores.scores[at]!;
    if (other) other[c] = at < 0 ? 0 : scores.peaks[at]!;
  }
}

/** Fills a column with the first `count` numbers of another over the largest of them, 0 where that is not above 0: how good, for this visitor. */
export function shareColumn(column: Float64Array, count: number, share: Float64Array): void {
  let best = 0;
  for (let c = 0; c < count; c++) if (column[c]! > best) best = column[c]!;
  for (let c = 0; c < count; c++) share[c] = best > 0 ? column[c]! / best : 0;
}

/** Fills a column with the first `count` numbers of another less the largest of them, so that the best has 0; what is missing stays so. */
export function gapColumn(column: Float64Array, count: number, gap: Float64Array): void {
  let best = Number.NEGATIVE_INFINITY;
  for (let c = 0; c < count; c++) if (column[c]! > best) best = column[c]!;
  for (let c = 0; c < count; c++) gap[c] = column[c]! - best;
}

/** Only used between two awaits; grows to the longest candidate list. */
let order = new Int32Array(0);
let finite = new Float64Array(0);

/** Fills a column with places by another, 1 for the largest; equals share the first of their places, and what is missing has none. */
export function rankColumn(column: Float64Array, count: number, ranks: Float64Array): void {
  if (count > order.length) {
    order = new Int32Array(count);
    finite = new Float64Array(count);
  }
  for (let c = 0; c < count; c++) finite[c] = Number.isNaN(column[c]!) ? -Number.MAX_VALUE : column[c]!;
  const ranked = order.subarray(0, count);
  rankOrder(finite, ranked, (a, b) => a - b);
  for (let i = 0; i < count; i++) {
    const c = ranked[i]!;
    const before = i > 0 ? ranked[i - 1]! : -1;
    if (Number.isNaN(column[c]!)) ranks[c] = Number.NaN;
    else ranks[c] = before >= 0 && column[before] === column[c] ? ranks[before]! : i + 1;
  }
}
