import type { TopK } from '../../../contracts/topk.ts';
import type { Catalogue } from '../catalogue.ts';
import type { HandleMap } from '../handle-map.ts';
import type { Placement } from '../placements.ts';
import type { RetrievalModels } from '../retrieval.ts';
import type { TouchedItems } from '../touched.ts';
import type { Trending } from '../trending.ts';
import type { CandidateSet } from './set.ts';

/** How many candidates each source may give. 0, or none for one that not every bundle has, switches a source off. */
export type SourceCaps = Placement['sources'];

/** A part of the shop, or of its visitors, whose demand counts before that of all. */
export interface PopularPart {
  /** For the shopper. */
  readonly name: string;
  /** Its most wanted items, the most wanted first; at least one. */
  readonly top: Int32Array;
}

/** What a source is asked about: one visitor, at one time. Items are handles of the catalogue. */
export interface CandidateContext {
  readonly nowMs: number;
  readonly catalogue: Catalogue;
  readonly trending: Trending;
  readonly models: RetrievalModels;
  /** The item on the page; NO_HANDLE without one. */
  readonly item: number;
  /** What the user, and what this visit, did with which items. */
  readonly interactions: TouchedItems;
  readonly purchases: TouchedItems;
  readonly session: TouchedItems;
  /** The session; where nothing is known of one, what the user did until now without a rest (`VISIT_GAP_MS`): shops that send no session ids have visits too. */
  readonly visit: TouchedItems;
  /** Whether an item may be shown: sellable, not excluded, not suppressed. */
  readonly allow: (handle: number) => boolean;
  /** Where only few may be shown: all of them. A source then goes through them instead of the whole catalogue. */
  readonly few: Int32Array | undefined;
  /** Where searching exactly among some costs less than searching an index: these. Ask `allow` of each. */
  readonly exact: Int32Array | undefined;
  /** What editors chose for the placement, in their order; an item may stand there twice. */
  readonly editorial: Int32Array;
  /** An empty map that is the caller's own until the answer is made. */
  readonly map: () => HandleMap;
  /** The page's category or the visitor's country, where enough is wanted there. */
  readonly popularIn: PopularPart | undefined;
  /** For use between two awaits: other requests use it as well. */
  readonly top: TopK;
}

/** One source's part in one answer. */
export interface SourceRun {
  /** Writes at most `max` items into `found`, the best first, each once and each allowed; returns how many. */
  find(max: number, found: Int32Array): number;
  /** Fills the source's columns for every candidate, whichever source found it, so that the ranker sees the same columns for all. */
  score(candidates: CandidateSet, columns: readonly Float64Array[]): void;
}

/**
 * A place that candidates come from; one file each. The gateway and, at past times, the trainer run the same sources: the rows that the ranker
 * learns from are the rows that it will see. A source that throws is left out of the answer, which says so.
 */
export interface CandidateSource {
  readonly name: keyof SourceCaps;
  /** The numbers it gives of each candidate: context keys of the `rank` feature set, with what stands there when the source has no say. */
  readonly columns: readonly { readonly key: string; readonly without: number }[];
  /** Not every shop's data are enough for it: an answer is whole without it. */
  readonly isOptional?: boolean;
  /** Whether the bundle has what the source needs. */
  isServed(models: RetrievalModels): boolean;
  /** Prepares one answer; undefined where the source has nothing to say to this visitor. A promise only where a model has to run. */
  start(context: CandidateContext): SourceRun | undefined | Promise<SourceRun | undefined>;
}
