/** How a number was distributed where the model learned: shares of the bins between `edges` (ascending; a value belongs right of an edge that it equals), and of missing values last. */
export interface Reference {
  readonly name: string;
  readonly edges: readonly number[];
  /** `edges.length + 2` shares that add up to 1. */
  readonly shares: readonly number[];
}

/** Of each feature, in the order of the feature set, and of the model's raw score. */
export interface DriftReference {
  readonly features: readonly Reference[];
  readonly score: Reference;
}

/** Deciles: the usual choice for the index, fine enough to see a tail move, coarse enough that a thousand values fill every bin. */
const BINS = 10;
/** Stands in for an empty bin, whose logarithm has no value; the usual floor. */
const SHARE_MIN = 1e-4;

export interface ReferenceOptions {
  /** Which column of row-major rows of this width. */
  readonly column?: number;
  readonly width?: number;
  /** How many payments each row stands for; 1 if left out. */
  readonly weights?: ArrayLike<number> | undefined;
}

/** Bins of equal share over the rows' values, fewer where values repeat, with the share of all payments in each. */
export function referenceOf(name: string, values: ArrayLike<number>, { column = 0, width = 1, weights }: ReferenceOptions = {}): Reference {
  const n = Math.floor(values.length / width);
  const present: number[] = [];
  for (let row = 0; row < n; row++) {
    const value = values[row * width + column]!;
    if (!Number.isNaN(value)) present.push(value);
  }
  const sorted = Float64Array.from(present).sort();
  const edges: number[] = [];
  for (let bin = 1; bin < BINS; bin++) {
    const edge = sorted[Math.floor((bin * sorted.length) / BINS)];
    // An edge at the least value would leave the bin before it empty.
    if (edge !== undefined && edge > (edges.at(-1) ?? sorted[0]!)) edges.push(edge);
  }
  const counts = new Float64Array(edges.length + 2);
  let payments = 0;
  for (let row = 0; row < n; row++) {
    const weight = weights === undefined ? 1 : weights[row]!;
    counts[binOf(edges, values[row * width + column]!)]! += weight;
    payments += weight;
  }
  return { name, edges, shares: Array.from(counts, (count) => (payments > 0 ? count / payments : 0)) };
}

/** Position of a value's share. */
function binOf(edges: readonly number[], value: number): number {
  if (Number.isNaN(value)) return edges.length + 1;
  let bin = 0;
  while (bin < edges.length && value >= edges[bin]!) bin++;
  return bin;
}

/**
 * Population stability index of counts against the shares of a reference: the sum of (a - e) ln(a / e) over the bins (Siddiqi, Credit Risk
 * Scorecards, 2006). Below 0.1 nothing has changed; over 0.25 the population is another one.
 */
export function stabilityIndex(shares: readonly number[], counts: ArrayLike<number>): number {
  let total = 0;
  for (let bin = 0; bin < shares.length; bin++) total += counts[bin]!;
  let index = 0;
  for (let bin = 0; bin < shares.length; bin++) {
    const expected = Math.max(SHARE_MIN, shares[bin]!);
    const actual = Math.max(SHARE_MIN, counts[bin]! / total);
    index += (actual - expected) * Math.log(actual / expected);
  }
  return index;
}

/** Slots of the window; a slot is forgotten whole. */
const SLOTS = 24;

/** What came in the last `windowMs`, as counts of the reference's bins. Its size depends on the number of features alone. */
export class DriftWindow {
  readonly #columns: readonly Reference[];
  readonly #slotMs: number;
  /** Where each column's bins begin in a slot. */
  readonly #starts: readonly number[];
  readonly #slots: Uint32Array[];
  readonly #rows = new Uint32Array(SLOTS);
  #slot: number;

  constructor(reference: DriftReference, windowMs: number, nowMs: number) {
    this.#columns = [...reference.features, reference.score];
    this.#slotMs = windowMs / SLOTS;
    const starts = [0];
    for (const { shares } of this.#columns) starts.push(starts.at(-1)! + shares.length);
    this.#starts = starts;
    this.#slots = Array.from({ length: SLOTS }, () => new Uint32Array(starts.at(-1)!));
    this.#slot = Math.floor(nowMs / this.#slotMs);
  }

  /** A vector as it was scored, and the raw score; NaN where no model answered. */
  add(vector: ArrayLike<number>, score: number, nowMs: number): void {
    this.#advance(nowMs);
    const counts = this.#slots[this.#slot % SLOTS]!;
    const last = this.#columns.length - 1;
    for (let i = 0; i < last; i++) counts[this.#starts[i]! + binOf(this.#columns[i]!.edges, vector[i]!)]!++;
    counts[this.#starts[last]! + binOf(this.#columns[last]!.edges, score)]!++;
    this.#rows[this.#slot % SLOTS]!++;
  }

  rows(nowMs: number): number {
    this.#advance(nowMs);
    return this.#rows.reduce((sum, rows) => sum + rows, 0);
  }

  /** The index of each column, the score's last. Meaningless without rows. */
  indices(nowMs: number): { readonly name: string; readonly index: number }[] {
    this.#advance(nowMs);
    return this.#columns.map(({ name, shares }, column) => {
      const counts = new Float64Array(shares.length);
      for (const slot of this.#slots) for (let bin = 0; bin < shares.length; bin++) counts[bin]! += slot[this.#starts[column]! + bin]!;
      return { name, index: stabilityIndex(shares, counts) };
    });
  }

  #advance(nowMs: number): void {
    const slot = Math.floor(nowMs / this.#slotMs);
    for (let passed = Math.max(this.#slot + 1, slot - SLOTS + 1); passed <= slot; passed++) {
      this.#slots[passed % SLOTS]!.fill(0);
      this.#rows[passed % SLOTS] = 0;
    }
    this.#slot = Math.max(this.#slot, slot);
  }
}
