import type { Handles } from '../../contracts/handles.ts';
import type { CandidateSource } from '../../contracts/recommend.ts';
import { type RecommendTrace, TRACE_REFUSED_MAX, type TraceCandidate } from '../../contracts/recommend-trace.ts';
import type { SourceOutcome } from './candidates/gather.ts';
import type { CandidateSet } from './candidates/set.ts';
import type { Catalogue } from './catalogue.ts';
import type { Showable } from './showable.ts';

interface Proposals {
  found: string[];
  readonly refused: { readonly item_id: string; readonly reason: string }[];
  refusedTotal: number;
}

/** What the stages of one answer tell who asked for it. */
export class Trace {
  readonly #handles: Handles;
  readonly stages: { readonly stage: string; readonly ms: number }[] = [];
  readonly sources: RecommendTrace['sources'][number][] = [];
  /** Of the source that is being asked. */
  #current: Proposals = { found: [], refused: [], refusedTotal: 0 };
  readonly #asked = new Map<CandidateSource, Proposals>();
  readonly #drops = new Map<number, string>();
  candidates: readonly TraceCandidate[] = [];
  scoredBy: RecommendTrace['scored_by'] = 'blend';

  constructor(handles: Handles) {
    this.#handles = handles;
  }

  /** The same answers, each refusal noted with its reason. */
  watching({ allow, why, ...rest }: Showable): Showable {
    return {
      ...rest,
      why,
      allow: (handle) => {
        const allowed = allow(handle);
        if (!allowed) this.#refuse(handle, why(handle) ?? 'filter');
        return allowed;
      },
    };
  }

  #refuse(handle: number, reason: string): void {
    this.#current.refusedTotal++;
    if (this.#current.refused.length < TRACE_REFUSED_MAX) this.#current.refused.push({ item_id: this.#handles.idOf(handle), reason });
  }

  found(source: CandidateSource, found: ArrayLike<number>): void {
    this.#current.found = Array.from(found, (handle) => this.#handles.idOf(handle));
    this.#asked.set(source, this.#current);
    this.#current = { found: [], refused: [], refusedTotal: 0 };
  }

  done(source: CandidateSource, outcome: SourceOutcome, ms: number, cap: number): void {
    const { found = [], refused = [], refusedTotal = 0 } = this.#asked.get(source) ?? {};
    this.sources.push({ source, outcome, cap, ms, found, refused, refused_total: refusedTotal });
  }

  drop(position: number, reason: string): void {
    if (!this.#drops.has(position)) this.#drops.set(position, reason);
  }

  /** Writes down what became of each candidate; `order` has their positions, the best first. */
  ranked(
    catalogue: Catalogue,
    set: CandidateSet,
    by: { readonly order: Int32Array; readonly model: ArrayLike<number>; readonly scores: ArrayLike<number>; readonly shown: readonly number[] },
  ): void {
    this.candidates = Array.from(by.order, (position, n): TraceCandidate => {
      const handle = set.handles[position]!;
      const place = by.shown.indexOf(position);
      // Ranked well enough, and passed over by nothing that says why: something else was more varied, or stood there by right.
      const passedOver = this.#drops.get(position) ?? (n < by.shown.length ? 'diversity' : 'score');
      return {
        item_id: this.#handles.idOf(handle),
        title: catalogue.at(handle)?.title ?? null,
        sources: set.sources(position),
        source_scores: set.numbers(position),
        model_score: by.model[position]!,
        score: by.scores[position]!,
        rank: n + 1,
        place: place < 0 ? null : place + 1,
        dropped_by: place < 0 ? passedOver : null,
      };
    });
  }
}
