import { Histogram, type Registry } from 'prom-client';

/**
 * Seconds. From 50 µs, where a cached answer lies, to 10 s, where every deadline has passed: a factor of 1.5 to 2 apart, so that
 * a quantile read from them is off by at most that.
 */
export const LATENCY_BUCKETS_S: readonly number[] = [
  0.00005, 0.0001, 0.00015, 0.0002, 0.0003, 0.0005, 0.00075, 0.001, 0.0015, 0.002, 0.003, 0.005, 0.0075, 0.01, 0.015, 0.025, 0.05, 0.1, 0.25, 0.5, 1,
  2.5, 10,
];

/**
 * Counts of one label combination. prom-client's own `observe` costs 0.7 to 1 µs (it builds keys and walks objects); this one
 * costs some 10 ns, so that every request and every stage of it can be timed.
 *
 *   bounds  0.00005  0.0001  ...  10
 *   counts  [n<=b0]  [n<=b1] ...  [n<=b22]  [above]     not cumulative: made so when scraped
 */
export class LatencyCell {
  readonly labels: readonly string[];
  readonly counts: Float64Array;
  sumS = 0;
  readonly #bounds: Float64Array;

  constructor(labels: readonly string[], bounds: Float64Array) {
    this.labels = labels;
    this.#bounds = bounds;
    this.counts = new Float64Array(bounds.length + 1);
  }

  /** `seconds` must be finite; a negative one (a clock that stepped back) counts as 0. */
  observe(seconds: number): void {
    const bounds = this.#bounds;
    let low = 0;
    let high = bounds.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (seconds <= bounds[middle]!) high = middle;
      else low = middle + 1;
    }
    this.counts[low]! += 1;
    if (seconds > 0) this.sumS += seconds;
  }
}

interface Sample {
  readonly metricName: string;
  readonly labels: Record<string, string | number>;
  readonly sharedLabels: Record<string, string>;
  readonly value: number;
}

/** A histogram of `LatencyCell`s that prom-client's registry can render. */
export class LatencyHistogram extends Histogram<string> {
  readonly #name: string;
  readonly #help: string;
  readonly #labelNames: readonly string[];
  readonly #bounds = Float64Array.from(LATENCY_BUCKETS_S);
  readonly #cells = new Map<string, LatencyCell>();

  constructor(name: string, help: string, labelNames: readonly string[], registry: Registry) {
    super({ name, help, labelNames: [...labelNames], buckets: [...LATENCY_BUCKETS_S], registers: [registry] });
    this.#name = name;
    this.#help = help;
    this.#labelNames = labelNames;
  }

  /** The cell of these label values, made on first use. Keep it where the path is hot. */
  cell(labels: readonly string[]): LatencyCell {
    const key = labels.join('\n');
    let cell = this.#cells.get(key);
    if (cell === undefined) {
      cell = new LatencyCell(labels, this.#bounds);
      this.#cells.set(key, cell);
    }
    return cell;
  }

  cells(): Iterable<LatencyCell> {
    return this.#cells.values();
  }

  /** prom-client's registry, and `get`, read a histogram through this method. */
  getForPromString() {
    const values = [...this.#cells.values()].flatMap((cell) => this.#valuesOf(cell));
    return Promise.resolve({ name: this.#name, help: this.#help, type: 'histogram', values, aggregator: 'sum' });
  }

  #valuesOf(cell: LatencyCell): Sample[] {
    const sharedLabels: Record<string, string> = {};
    for (const [at, name] of this.#labelNames.entries()) sharedLabels[name] = cell.labels[at] ?? '';
    const samples: Sample[] = [];
    let cumulative = 0;
    for (const [at, count] of cell.counts.entries()) {
      cumulative += count;
      samples.push({ metricName: `${this.#name}_bucket`, labels: { le: this.#bounds[at] ?? '+Inf' }, sharedLabels, value: cumulative });
    }
    samples.push({ metricName: `${this.#name}_sum`, labels: {}, sharedLabels, value: cell.sumS });
    samples.push({ metricName: `${this.#name}_count`, labels: {}, sharedLabels, value: cumulative });
    return samples;
  }
}

/**
 * The q-quantile (0..1) in seconds of bucket counts (not cumulative, as in `LatencyCell`), linear within its bucket; undefined when empty.
 * What lies above the last bound is answered with the last bound.
 */
export function quantileOf(counts: ArrayLike<number>, q: number): number | undefined {
  let total = 0;
  for (let at = 0; at < counts.length; at++) total += counts[at]!;
  if (total === 0) return undefined;
  const rank = q * total;
  let below = 0;
  for (let at = 0; at < LATENCY_BUCKETS_S.length; at++) {
    const count = counts[at]!;
    if (count > 0 && below + count >= rank) {
      const from = at === 0 ? 0 : LATENCY_BUCKETS_S[at - 1]!;
      return from + ((LATENCY_BUCKETS_S[at]! - from) * Math.max(0, rank - below)) / count;
    }
    below += count;
  }
  return LATENCY_BUCKETS_S.at(-1);
}
