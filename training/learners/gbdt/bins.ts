import { type Random, seededRandom } from '../random.ts';
import type { Arena, SharedMemory } from '../threads/arena.ts';
import { BORDER_SLOTS } from './borders.ts';
import type { Team } from './team.ts';

/** Bin borders come from a sample of this many rows (as LightGBM's bin_construct_sample_cnt): borders need no more, and a full sort would dominate. */
const BORDER_SAMPLE_ROWS = 200_000;
/** Features whose samples are in memory at a time. */
const SAMPLED_FEATURES = 8;
/** Rows pass through shared memory in blocks of about so many values: 2 MB, which stays in the cache. */
const BLOCK_VALUES = 1 << 19;

/** Bit of a feature's flags, as the kernel writes them: two rows differ. (Bit 0: a value is infinite.) */
const VARIES = 2;

/** Addresses of a binned table. Bins are column-major bytes, eight columns interleaved (kernel/common.as). */
export interface TableRegions {
  readonly n: number;
  readonly f: number;
  readonly bins: number;
  readonly borders: number;
  readonly limits: number;
  readonly flags: number;
  readonly categorical: number;
  readonly block: number;
  readonly blockRows: number;
  readonly sample: number;
  readonly sampleRows: number;
  readonly sizes: number;
}

export interface BinnedTable {
  readonly n: number;
  readonly f: number;
  /** Per feature: ascending float32 upper borders of all value bins but the last (a row is in the first bin whose border it is <=); or the categories. */
  readonly borders: readonly Float32Array[];
  readonly isCategorical: readonly boolean[];
  /** Features with at least two bins in use; the others can never split. */
  readonly usable: Int32Array;
}

/** Columns whose bins lie interleaved, as in kernel/common.as. */
export const GROUP = 8;
export const groupsOf = (f: number): number => Math.ceil(f / GROUP);

export function reserveTable(arena: Arena, n: number, f: number): TableRegions {
  const blockRows = Math.max(1, Math.min(n, Math.floor(BLOCK_VALUES / f)));
  // The rows of a rare class are repeated: in a balanced sample each class has a place for every row of the larger one.
  const sampleRows = Math.min(2 * n, BORDER_SAMPLE_ROWS);
  return {
    n,
    f,
    bins: arena.reserve(GROUP * n * groupsOf(f)),
    borders: arena.reserve(4 * BORDER_SLOTS * f),
    limits: arena.reserve(4 * f),
    flags: arena.reserve(f),
    categorical: arena.reserve(f),
    block: arena.reserve(4 * blockRows * f),
    blockRows,
    sample: arena.reserve(4 * sampleRows * Math.min(f, SAMPLED_FEATURES)),
    sampleRows,
    sizes: arena.reserve(4 * SAMPLED_FEATURES),
  };
}

/** Labels 0 and 1 of the rows, and their weights where they have some. */
export interface Classes {
  readonly labels: Float32Array;
  readonly weights?: Float32Array;
}

/**
 * Bins row-major float32 rows, NaN = missing. With `classes` the borders come from a sample with as many rows of each: bins that hold about the same
 * number of rows are wide where rows are few, and frauds of large amounts, say, would share one with the largest honest payments.
 */
export function binTable(
  rows: Float32Array,
  at: TableRegions,
  categorical: readonly number[],
  classes: Classes | undefined,
  seed: number,
  shared: SharedMemory,
  team: Team,
): BinnedTable {
  const { n, f } = at;
  const flagged = shared.u8(at.categorical, f);
  for (const feature of categorical) flagged[feature] = 1;
  const random = seededRandom(seed);
  const sample = (classes && balancedSample(classes, at.sampleRows, random)) ?? sampleRows(n, Math.min(n, BORDER_SAMPLE_ROWS), random);
  const sizes = shared.u32(at.sizes, SAMPLED_FEATURES);
  for (let first = 0; first < f; first += SAMPLED_FEATURES) {
    const count = Math.min(SAMPLED_FEATURES, f - first);
    takeSamples(rows, f, first, sample, shared.f32(at.sample, sample.length * count), sizes.subarray(0, count));
    const args = [at.sample, sample.length, at.sizes, first, at.borders, at.limits, at.categorical];
    team.run('chooseBorders', count, 10 * count * sample.length, args);
  }
  for (let first = 0; first < n; first += at.blockRows) {
    const count = Math.min(at.blockRows, n - first);
    shared.f32(at.block, count * f).set(rows.subarray(first * f, (first + count) * f));
    team.run('binColumns', groupsOf(f), 4 * count * f, [at.block, count, f, first, at.borders, at.limits, at.flags, at.bins, n]);
  }
  const limits = shared.i32(at.limits, f);
  const flags = shared.u8(at.flags, f);
  return {
    n,
    f,
    borders: Array.from({ length: f }, (_, i) => shared.f32(at.borders + 4 * BORDER_SLOTS * i, Math.abs(limits[i]!)).slice()),
    isCategorical: Array.from(flagged, (flag) => flag === 1),
    usable: Int32Array.from(Array.from({ length: f }, (_, i) => i).filter((i) => (flags[i]! & VARIES) !== 0)),
  };
}

/** The present values of the sampled rows, feature by feature, each with room for all rows; `sizes` are their numbers. Features share the way. */
function takeSamples(rows: Float32Array, f: number, first: number, sample: Uint32Array, out: Float32Array, sizes: Uint32Array): void {
  sizes.fill(0);
  for (let i = 0; i < sample.length; i++) {
    const from = sample[i]! * f + first;
    for (let k = 0; k < sizes.length; k++) {
      const value = rows[from + k]!;
      if (Number.isNaN(value)) continue;
      out[k * sample.length + sizes[k]!] = value;
      sizes[k]! += 1;
    }
  }
}

/** One random row of each equal stretch: spread over the whole table, no large permutation. Where there are more places than rows, rows repeat. */
function sampleRows(n: number, count: number, random: Random): Uint32Array {
  const sample = new Uint32Array(count);
  const stretch = n / count;
  for (let i = 0; i < count; i++) sample[i] = stretch === 1 ? i : Math.min(n - 1, Math.floor((i + random.next()) * stretch));
  return sample;
}

/** As many rows of each class, of those that weigh anything; undefined where there is one class alone. */
function balancedSample({ labels, weights }: Classes, most: number, random: Random): Uint32Array | undefined {
  const rows = Uint32Array.from(labels, (_, row) => row).filter((row) => !weights || weights[row]! > 0);
  const classes = [0, 1].map((wanted) => rows.filter((row) => labels[row] === wanted));
  const larger = Math.max(...classes.map((members) => members.length));
  if (larger === rows.length) return undefined;
  const each = Math.min(Math.floor(most / 2), larger);
  const sample = new Uint32Array(2 * each);
  classes.forEach((members, i) => {
    sample.set(
      sampleRows(members.length, each, random).map((place) => members[place]!),
      i * each,
    );
  });
  return sample;
}
