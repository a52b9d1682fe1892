import { requireData, requireParam } from '../learners/contract.ts';
import { seededRandom } from '../learners/random.ts';

export interface BootstrapParams {
  /** Samples drawn: 1,000 make the ends of a 95 % interval steady to a few percent of its width. */
  replicates: number;
  /** Share of the samples inside the interval. */
  level: number;
  /** A number or name for each row: rows of one group (a customer's) are drawn together, as they are not independent. */
  groups?: ArrayLike<number | string>;
}

export interface Interval {
  /** The metric on all rows, each once. */
  readonly value: number;
  readonly low: number;
  readonly high: number;
  readonly standardError: number;
  /** Samples on which the metric was no number (one class only) and which do not count. */
  readonly undefinedSamples: number;
}

export const BOOTSTRAP_DEFAULTS: BootstrapParams = { replicates: 1000, level: 0.95 };

/** Beyond this the ends move less than anyone reads. */
const REPLICATES_MAX = 100_000;
/** With more samples lost than this share, what is left says little about the metric. */
const UNDEFINED_SHARE_MAX = 0.5;

/**
 * Percentile bootstrap (Efron 1979) of a metric of rows; `metric` gets row numbers, some of them several times. For a difference of two models
 * give the difference as the metric: the samples are then paired. Throws `training_data_insufficient` where the metric is no number on all
 * rows or on most samples.
 */
export function bootstrapInterval(rows: number, metric: (rows: Uint32Array) => number, seed: number, given: Partial<BootstrapParams> = {}): Interval {
  const { replicates, level, groups } = { ...BOOTSTRAP_DEFAULTS, ...given };
  requireParam(Number.isInteger(replicates) && replicates >= 2 && replicates <= REPLICATES_MAX, `replicates must be 2 to ${REPLICATES_MAX}`);
  requireParam(level > 0 && level < 1, `level must be between 0 and 1, not ${level}`);
  requireParam(groups === undefined || groups.length === rows, `there must be ${rows} groups`);
  const value = metric(Uint32Array.from({ length: rows }, (_, row) => row));
  requireData(rows > 0 && Number.isFinite(value), `the metric of all ${rows} rows is ${value}`);
  const units = groups ? rowsByGroup(groups) : undefined;
  const random = seededRandom(seed);
  const draw = (): Uint32Array => {
    if (!units) return Uint32Array.from({ length: rows }, () => random.int(rows));
    return Uint32Array.from(Array.from(units, () => units[random.int(units.length)]!).flat());
  };
  const samples = Float64Array.from({ length: replicates }, () => metric(draw()));
  const found = samples.filter(Number.isFinite).sort();
  const undefinedSamples = replicates - found.length;
  requireData(undefinedSamples <= UNDEFINED_SHARE_MAX * replicates, `the metric is no number on ${undefinedSamples} of ${replicates} samples`);
  const average = found.reduce((sum, x) => sum + x, 0) / found.length;
  const squares = found.reduce((sum, x) => sum + (x - average) ** 2, 0);
  return {
    value,
    low: quantile(found, (1 - level) / 2),
    high: quantile(found, (1 + level) / 2),
    standardError: Math.sqrt(squares / Math.max(1, found.length - 1)),
    undefinedSamples,
  };
}

/** Linear between order statistics (type 7). */
function quantile(sorted: Float64Array, share: number): number {
  const place = share * (sorted.length - 1);
  const low = Math.floor(place);
  const high = Math.min(sorted.length - 1, low + 1);
  return sorted[low]! + (place - low) * (sorted[high]! - sorted[low]!);
}

function rowsByGroup(groups: ArrayLike<number | string>): number[][] {
  const byGroup = new Map<number | string, number[]>();
  for (let row = 0; row < groups.length; row++) {
    const rows = byGroup.get(groups[row]!);
    if (rows) rows.push(row);
    else byGroup.set(groups[row]!, [row]);
  }
  return [...byGroup.values()];
}
