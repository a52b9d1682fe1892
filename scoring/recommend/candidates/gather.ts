import { NO_HANDLE } from '../../../contracts/handles.ts';
import { TopK } from '../../../contracts/topk.ts';
import type { EntityState, FeatureEngine } from '../../features/contract.ts';
import type { Catalogue } from '../catalogue.ts';
import { HandleMap } from '../handle-map.ts';
import type { RetrievalModels } from '../retrieval.ts';
import { TouchedItems } from '../touched.ts';
import type { Trending } from '../trending.ts';
import { buyAgain } from './buy-again.ts';
import type { CandidateContext, CandidateSource, SourceCaps, SourceRun } from './contract.ts';
import { itemToItem } from './item-to-item.ts';
import { linear } from './linear.ts';
import { lookAlikes } from './look-alikes.ts';
import { newest } from './newest.ts';
import { nextItem } from './next-item.ts';
import { popular } from './popular.ts';
import { sessionNeighbours } from './session-neighbours.ts';
import { CandidateSet } from './set.ts';
import { userVector } from './user-vector.ts';

/**
 * In the order in which they are given places, as long as there are any. New items come first, and take at most half: the others can fill every
 * place, and nobody would ever see a new item.
 */
export const SOURCES: readonly CandidateSource[] = [
  newest,
  buyAgain,
  nextItem,
  sessionNeighbours,
  lookAlikes,
  linear,
  itemToItem,
  userVector,
  popular,
];
const SHARE_OF_NEW_MAX = 0.5;

export interface CandidateRequest {
  readonly nowMs: number;
  readonly user: EntityState | undefined;
  readonly session: EntityState | undefined;
  /** The item on the page. */
  readonly item?: number;
  readonly caps: SourceCaps;
  readonly allow: (handle: number) => boolean;
  readonly few?: Int32Array | undefined;
  readonly exact?: Int32Array | undefined;
}

export interface GatherDeps {
  readonly engine: FeatureEngine;
  readonly catalogue: Catalogue;
  readonly trending: Trending;
  readonly candidatesMax: number;
}

/** Shared by all requests: only used between two awaits. */
const TOP = new TopK();

/** What one request needs while it gathers. Kept and used again by the next one: nothing is allocated a candidate. */
export class Gathering {
  readonly #deps: GatherDeps;
  readonly set: CandidateSet;
  readonly interactions: TouchedItems;
  readonly purchases: TouchedItems;
  readonly session: TouchedItems;
  readonly #maps: HandleMap[] = [];
  #mapsUsed = 0;
  readonly #found: Int32Array;
  readonly #columns: readonly (readonly Float64Array[])[];
  readonly #runs: (SourceRun | undefined)[] = SOURCES.map(() => undefined);
  readonly #map = (): HandleMap => {
    this.#maps[this.#mapsUsed] ??= new HandleMap();
    const map = this.#maps[this.#mapsUsed++]!;
    map.clear();
    return map;
  };

  constructor(deps: GatherDeps) {
    const { handles } = deps.catalogue;
    this.#deps = deps;
    this.set = new CandidateSet(deps.candidatesMax, SOURCES);
    this.interactions = new TouchedItems(handles);
    this.purchases = new TouchedItems(handles);
    this.session = new TouchedItems(handles);
    this.#found = new Int32Array(deps.candidatesMax);
    this.#columns = SOURCES.map(({ columns }) => columns.map(({ key }) => this.set.column(key)));
  }

  /** Begins anew: reads the histories. They are needed before it is known what may be shown. */
  begin(user: EntityState | undefined, session: EntityState | undefined): void {
    const { engine } = this.#deps;
    this.#mapsUsed = 0;
    this.set.clear();
    this.interactions.load(engine, user, 'interactions');
    this.purchases.load(engine, user, 'purchases');
    this.session.load(engine, session, 'interactions');
  }

  /** An empty map until the next `begin`. */
  map(): HandleMap {
    return this.#map();
  }

  /**
   * Gathers candidates from every source into `set` and scores each candidate by every source. Returns the sources that should have answered but
   * had no model or failed. The gateway and, at past times, the trainer both come here: the ranker learns from the rows that it will see.
   */
  async gather(request: Omit<CandidateRequest, 'user' | 'session'>, models: RetrievalModels): Promise<CandidateSource['name'][]> {
    const { catalogue, trending, candidatesMax } = this.#deps;
    const { nowMs, caps, allow, few, exact, item = NO_HANDLE } = request;
    const { interactions, purchases, session } = this;
    const context: CandidateContext = {
      nowMs,
      catalogue,
      trending,
      models,
      item,
      interactions,
      purchases,
      session,
      allow,
      few,
      exact,
      map: this.#map,
      top: TOP,
    };
    const missing: CandidateSource['name'][] = [];
    for (let s = 0; s < SOURCES.length; s++) {
      const source = SOURCES[s]!;
      const cap = Math.min(caps[source.name] ?? 0, source === newest ? Math.ceil(candidatesMax * SHARE_OF_NEW_MAX) : candidatesMax);
      this.#runs[s] = undefined;
      if (!source.isServed(models)) {
        if (cap > 0 && !source.isOptional) missing.push(source.name);
        continue;
      }
      try {
        const started = source.start(context);
        const run = started instanceof Promise ? await started : started;
        if (run && cap > 0) this.#take(source, run, cap);
        this.#runs[s] = run;
      } catch {
        // The other sources answer; the caller counts the missing one.
        missing.push(source.name);
      }
    }
    for (let s = 0; s < SOURCES.length; s++) this.#score(SOURCES[s]!, this.#runs[s], this.#columns[s]!, missing);
    return missing;
  }

  #take(source: CandidateSource, run: SourceRun, cap: number): void {
    const count = run.find(cap, this.#found);
    for (let i = 0; i < count; i++) this.set.add(this.#found[i]!, source.name);
  }

  #score(source: CandidateSource, run: SourceRun | undefined, columns: readonly Float64Array[], missing: CandidateSource['name'][]): void {
    for (let i = 0; i < columns.length; i++) columns[i]!.fill(source.columns[i]!.without, 0, this.set.count);
    if (!run) return;
    try {
      run.score(this.set, columns);
    } catch {
      for (let i = 0; i < columns.length; i++) columns[i]!.fill(source.columns[i]!.without, 0, this.set.count);
      missing.push(source.name);
    }
  }
}

/** The declared fallback for the ranker: each source's score scaled to its best, summed with fixed weights. */
export function blend(set: CandidateSet): Float64Array {
  const scores = new Float64Array(set.count);
  const live = set.column('popular');
  for (let c = 0; c < set.count; c++) scores[c] = 0.3 * live[c]!;
  for (const key of ['user_vector', 'item_to_item', 'buy_again', 'look_alike', 'session_neighbours']) {
    const column = set.column(key);
    let best = 0;
    for (let c = 0; c < set.count; c++) if (column[c]! > best) best = column[c]!;
    for (let c = 0; c < set.count && best > 0; c++) if (column[c]! > 0) scores[c] = scores[c]! + column[c]! / best;
  }
  return scores;
}
