import { NO_HANDLE } from '../../../contracts/handles.ts';
import { TopK } from '../../../contracts/topk.ts';
import { inTime, LateError } from '../../deadline.ts';
import type { EntityState, FeatureEngine } from '../../features/contract.ts';
import type { Catalogue } from '../catalogue.ts';
import { HandleMap } from '../handle-map.ts';
import type { RetrievalModels } from '../retrieval.ts';
import { TouchedItems } from '../touched.ts';
import type { Trending } from '../trending.ts';
import { buyAgain } from './buy-again.ts';
import { content } from './content.ts';
import type { CandidateContext, CandidateSource, PopularPart, SourceCaps, SourceRun } from './contract.ts';
import { editorial } from './editorial.ts';
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
  editorial,
  buyAgain,
  nextItem,
  sessionNeighbours,
  lookAlikes,
  linear,
  itemToItem,
  content,
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
  /** The category of the page; that of the item on it where nothing is said. */
  readonly category?: string | undefined;
  /** ISO 3166 code of where the visitor is. */
  readonly country?: string | undefined;
  readonly caps: SourceCaps;
  readonly allow: (handle: number) => boolean;
  readonly few?: Int32Array | undefined;
  readonly exact?: Int32Array | undefined;
  /** Candidates before any source is asked, if they are allowed. */
  readonly pins?: readonly number[];
  readonly editorial?: Int32Array;
  /** Absent: sources take the time that they take, and nobody looks. */
  readonly watch?: SourceWatch;
}

/** What a source did for an answer: found something or nothing to say, was switched off, had no model, was late, or threw. */
export const SOURCE_OUTCOMES = ['answered', 'silent', 'off', 'missing', 'late', 'failed'] as const;
export type SourceOutcome = (typeof SOURCE_OUTCOMES)[number];

/** How long sources may take, and who is told what they did. */
export interface SourceWatch {
  /** Of `deadline` and of the milliseconds told to `onDone`. */
  readonly now: () => number;
  /** When the whole answer has to be ranked: no model is waited for beyond it. */
  readonly deadline: number;
  /** Milliseconds that a source may take to start. */
  readonly limitsMs: Readonly<Partial<Record<CandidateSource['name'], number>>>;
  readonly onFound?: (source: CandidateSource['name'], found: Int32Array) => void;
  /** Told of each source once, when all have scored. */
  readonly onDone: (source: CandidateSource['name'], outcome: SourceOutcome, ms: number) => void;
}

export interface GatherDeps {
  readonly engine: FeatureEngine;
  readonly catalogue: Catalogue;
  readonly trending: Trending;
  readonly candidatesMax: number;
}

/** Shared by all requests: only used between two awaits. */
const TOP = new TopK();
const NONE = new Int32Array(0);
/** Reasons are in English. */
const COUNTRY_NAMES = new Intl.DisplayNames('en', { type: 'region' });

/** What one request needs while it gathers. Kept and used again by the next one: nothing is allocated a candidate. */
export class Gathering {
  readonly #deps: GatherDeps;
  readonly set: CandidateSet;
  readonly interactions: TouchedItems;
  readonly purchases: TouchedItems;
  readonly session: TouchedItems;
  readonly #userVisit: TouchedItems;
  /** Whose demand the last answer began with. */
  popularIn: PopularPart | undefined;
  readonly #maps: HandleMap[] = [];
  #mapsUsed = 0;
  readonly #found: Int32Array;
  readonly #columns: readonly (readonly Float64Array[])[];
  readonly #runs: (SourceRun | undefined)[] = SOURCES.map(() => undefined);
  readonly #outcomes: SourceOutcome[] = SOURCES.map(() => 'off');
  readonly #tookMs = new Float64Array(SOURCES.length);
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
    this.#userVisit = new TouchedItems(handles);
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
   * had no model, were late or failed. The gateway and, at past times, the trainer both come here: the ranker learns from the rows that it will see.
   */
  async gather(request: Omit<CandidateRequest, 'user' | 'session'>, models: RetrievalModels): Promise<CandidateSource['name'][]> {
    const { catalogue, trending } = this.#deps;
    const { nowMs, caps, allow, few, exact, item = NO_HANDLE, watch } = request;
    const { interactions, purchases, session } = this;
    if (session.length === 0) this.#userVisit.loadVisit(interactions, nowMs);
    this.popularIn = caps.popular > 0 ? this.#part(request) : undefined;
    const context: CandidateContext = {
      nowMs,
      catalogue,
      trending,
      models,
      item,
      interactions,
      purchases,
      session,
      visit: session.length > 0 ? session : this.#userVisit,
      allow,
      few,
      exact,
      editorial: request.editorial ?? NONE,
      map: this.#map,
      popularIn: this.popularIn,
      top: TOP,
    };
    for (const pin of request.pins ?? []) if (allow(pin)) this.set.add(pin, 'pinned');
    const missing: CandidateSource['name'][] = [];
    // Each reading of the clock ends one source's time and begins the next one's.
    let readMs = watch?.now() ?? 0;
    for (let s = 0; s < SOURCES.length; s++) {
      const outcome = this.#find(s, context, caps, watch, readMs);
      this.#outcomes[s] = outcome instanceof Promise ? await outcome : outcome;
      if (!watch) continue;
      const nextMs = watch.now();
      this.#tookMs[s] = nextMs - readMs;
      readMs = nextMs;
    }
    for (let s = 0; s < SOURCES.length; s++) {
      const { name } = SOURCES[s]!;
      if (!this.#score(SOURCES[s]!, this.#runs[s], this.#columns[s]!)) this.#outcomes[s] = 'failed';
      const outcome = this.#outcomes[s]!;
      if (outcome === 'missing' || outcome === 'late' || outcome === 'failed') missing.push(name);
      if (!watch) continue;
      const nextMs = watch.now();
      watch.onDone(name, outcome, this.#tookMs[s]! + nextMs - readMs);
      readMs = nextMs;
    }
    return missing;
  }

  #part({ nowMs, category, country, item = NO_HANDLE }: Omit<CandidateRequest, 'user' | 'session'>): PopularPart | undefined {
    const { catalogue, trending } = this.#deps;
    const name = category ?? catalogue.at(item)?.category;
    if (name !== undefined) {
      const top = trending.inCategory(name, catalogue, nowMs);
      if (top.length > 0) return { name, top };
    }
    const top = country === undefined ? undefined : trending.inCountry(country, nowMs);
    return top && top.length > 0 ? { name: COUNTRY_NAMES.of(country!) ?? country!, top } : undefined;
  }

  /** Starts a source and takes its candidates; a promise only where it waits for a model. The others answer where it cannot; the caller counts it. */
  #find(
    s: number,
    context: CandidateContext,
    caps: SourceCaps,
    watch: SourceWatch | undefined,
    beganMs: number,
  ): SourceOutcome | Promise<SourceOutcome> {
    const { candidatesMax } = this.#deps;
    const source = SOURCES[s]!;
    const cap = Math.min(caps[source.name] ?? 0, source === newest ? Math.ceil(candidatesMax * SHARE_OF_NEW_MAX) : candidatesMax);
    this.#runs[s] = undefined;
    if (!source.isServed(context.models)) return cap > 0 && !source.isOptional ? 'missing' : 'off';
    const limitMs = watch?.limitsMs[source.name];
    const isLate = (): boolean => watch !== undefined && limitMs !== undefined && watch.now() - beganMs > limitMs;
    try {
      const started = source.start(context);
      if (!(started instanceof Promise)) return isLate() ? 'late' : this.#take(s, started, cap, watch);
      const waitMs = watch && Math.max(1, Math.min(limitMs ?? Number.POSITIVE_INFINITY, watch.deadline - beganMs));
      return inTime(started, waitMs, source.name)
        .then((run) => (isLate() ? 'late' : this.#take(s, run, cap, watch)))
        .catch(outcomeOf);
    } catch (cause) {
      return outcomeOf(cause);
    }
  }

  #take(s: number, run: SourceRun | undefined, cap: number, watch: SourceWatch | undefined): SourceOutcome {
    const { name } = SOURCES[s]!;
    const count = run && cap > 0 ? run.find(cap, this.#found) : 0;
    for (let i = 0; i < count; i++) this.set.add(this.#found[i]!, name);
    watch?.onFound?.(name, this.#found.subarray(0, count));
    this.#runs[s] = run;
    return cap === 0 ? 'off' : count > 0 ? 'answered' : 'silent';
  }

  /** Fills the source's columns; false where it threw, and they say what stands there without it. */
  #score(source: CandidateSource, run: SourceRun | undefined, columns: readonly Float64Array[]): boolean {
    for (let i = 0; i < columns.length; i++) columns[i]!.fill(source.columns[i]!.without, 0, this.set.count);
    if (!run) return true;
    try {
      run.score(this.set, columns);
      return true;
    } catch {
      for (let i = 0; i < columns.length; i++) columns[i]!.fill(source.columns[i]!.without, 0, this.set.count);
      return false;
    }
  }
}

function outcomeOf(cause: unknown): SourceOutcome {
  return cause instanceof LateError ? 'late' : 'failed';
}

const POPULAR_WEIGHT = 0.3;
/** What the best candidate of each source gets. */
const BLENDED = [
  ['user_vector', 1],
  ['item_to_item', 1],
  ['buy_again_due', 1],
  ['look_alike', 1],
  ['session_neighbours', 1],
  // More hides what all want behind what is like one item.
  ['content', 0.2],
] as const;

/** The declared fallback for the ranker: each source's score scaled to its best, summed with fixed weights. */
export function blend(set: CandidateSet): Float64Array {
  const scores = new Float64Array(set.count);
  for (const { key, weight } of blendTerms(set)) {
    const column = set.column(key);
    for (let c = 0; c < set.count; c++) if (column[c]! > 0) scores[c] = scores[c]! + weight * column[c]!;
  }
  return scores;
}

/** The columns that the blend adds up, each with what it is multiplied by; what is not above 0 adds nothing. */
export function blendTerms(set: CandidateSet): { readonly key: string; readonly weight: number }[] {
  const terms = [{ key: 'popular', weight: POPULAR_WEIGHT }];
  for (const [key, share] of BLENDED) {
    const column = set.column(key);
    let best = 0;
    for (let c = 0; c < set.count; c++) if (column[c]! > best) best = column[c]!;
    if (best > 0) terms.push({ key, weight: share / best });
  }
  return terms;
}
