import { NO_HANDLE } from '../../../contracts/handles.ts';
import { CANDIDATE_SOURCES, type CandidateSource as SourceName } from '../../../contracts/recommend.ts';
import { HandleMap } from '../handle-map.ts';
import type { CandidateSource } from './contract.ts';

const BIT = Object.fromEntries(CANDIDATE_SOURCES.map((source, i) => [source, 1 << i])) as Readonly<Record<SourceName, number>>;

/** The names of the set bits. */
export function sourceNames(bits: number): SourceName[] {
  return CANDIDATE_SOURCES.filter((source) => (bits & BIT[source]) !== 0);
}

/** The candidates of one answer as columns, each candidate once. Made once and cleared for each answer. */
export class CandidateSet {
  readonly capacity: number;
  readonly #positions = new HandleMap();
  readonly handles: Int32Array;
  /** Bits by position in CANDIDATE_SOURCES. */
  readonly #sources: Int32Array;
  /** The item of the visitor's history that points here most strongly, for the reason; NO_HANDLE without one. */
  readonly seeds: Int32Array;
  /** The item that it is like by its content, for the reason; NO_HANDLE without one. */
  readonly similar: Int32Array;
  readonly #columns: ReadonlyMap<string, Float64Array>;

  constructor(capacity: number, sources: readonly CandidateSource[]) {
    this.capacity = capacity;
    this.handles = new Int32Array(capacity);
    this.#sources = new Int32Array(capacity);
    this.seeds = new Int32Array(capacity);
    this.similar = new Int32Array(capacity);
    this.#columns = new Map(sources.flatMap(({ columns }) => columns.map(({ key }) => [key, new Float64Array(capacity)] as const)));
  }

  get count(): number {
    return this.#positions.count;
  }

  clear(): void {
    this.#positions.clear();
    this.seeds.fill(NO_HANDLE);
    this.similar.fill(NO_HANDLE);
  }

  /** Notes that the source found the item. One more than there is room for is passed over. */
  add(handle: number, source: SourceName): void {
    let at = this.#positions.positionOf(handle);
    if (at < 0) {
      if (this.count === this.capacity) return;
      at = this.#positions.add(handle);
      this.handles[at] = handle;
      this.#sources[at] = 0;
    }
    this.#sources[at] = this.#sources[at]! | BIT[source];
  }

  isFrom(at: number, source: SourceName): boolean {
    return (this.#sources[at]! & BIT[source]) !== 0;
  }

  sources(at: number): SourceName[] {
    return sourceNames(this.#sources[at]!);
  }

  /** What every source says of a candidate, by column; null: nothing. */
  numbers(at: number): Record<string, number | null> {
    return Object.fromEntries([...this.#columns].map(([key, column]) => [key, Number.isFinite(column[at]!) ? column[at]! : null]));
  }

  /** A column of a source, by position. Throws on a key that no source gives. */
  column(key: string): Float64Array {
    const column = this.#columns.get(key);
    if (!column) throw new Error(`no candidate source gives the context value ${key}`);
    return column;
  }
}
