import type { SharedMemory } from '../threads/arena.ts';
import { type BinnedTable, GROUP, groupsOf } from './bins.ts';
import { MISSING_BIN } from './borders.ts';
import { FEATURE_BYTES, LEAF_BYTES, RESULT_BYTES, type Regions } from './layout.ts';
import type { GbdtParams } from './params.ts';
import type { Team } from './team.ts';

/** Gradients are fixed-point: these are the values of one unit. */
export interface Units {
  readonly gradient: number;
  readonly hessian: number;
}

/** Sums of a leaf in units, exact. */
export interface LeafSums {
  readonly gradient: bigint;
  readonly hessian: bigint;
}

export interface Split {
  readonly gain: number;
  readonly feature: number;
  /** Numeric: rows of bins 0..bin go left. The last value bin: all present values left, missing right. */
  readonly bin: number;
  readonly missingLeft: boolean;
  /** Categorical: a bit for each bin that goes left. */
  readonly members: Uint8Array | undefined;
  /** The sides' values are computed with catL2 on top of lambdaL2. */
  readonly withCatL2: boolean;
  readonly left: LeafSums;
}

/** What a search is told of a leaf. */
export interface SearchedLeaf extends LeafSums {
  readonly start: number;
  readonly count: number;
  /** Limits of the leaf's value, from monotone constraints above it. */
  readonly low: number;
  readonly high: number;
  /** Number of the leaf's histogram. */
  readonly histogram: number;
  /** The histogram holds the parent's: this sibling's is taken off. Otherwise it is built from the rows. */
  readonly minus: number | undefined;
  readonly features: Int32Array;
  /** False: the histogram alone is wanted. */
  readonly searched: boolean;
}

/** Steps that going through one feature's 256 bins takes, in rows added to a histogram. */
const BIN_STEPS = 600;

export interface LeafSearch {
  /** For each tree, before its first search. */
  begin(units: Units): void;
  /** The best split of each leaf (of two: siblings, the first may be subtracted from the second); undefined: none passes the limits. */
  run(leaves: readonly SearchedLeaf[]): (Split | undefined)[];
}

export function createLeafSearch(table: BinnedTable, at: Regions, params: GbdtParams, shared: SharedMemory, team: Team): LeafSearch {
  const { n, f } = table;
  const groups = groupsOf(f);
  const leafWords = shared.u32(at.leaves, (2 * LEAF_BYTES) / 4);
  const leafSums = shared.i64(at.leaves, (2 * LEAF_BYTES) / 8);
  const leafFloats = shared.f64(at.leaves, (2 * LEAF_BYTES) / 8);
  const masks = shared.u8(at.masks, 2 * GROUP * groups);
  const maskWords = shared.u64(at.masks, (2 * GROUP * groups) / 8);
  const groupList = shared.u32(at.groups, groups);
  const gains = shared.f64(at.results, (2 * RESULT_BYTES * GROUP * groups) / 8);
  const resultWords = shared.u32(at.results, (2 * RESULT_BYTES * GROUP * groups) / 4);
  const resultSums = shared.i64(at.results, (2 * RESULT_BYTES * GROUP * groups) / 8);
  const resultBytes = shared.u8(at.results, 2 * RESULT_BYTES * GROUP * groups);
  shared.i8(at.monotone, f).set(params.monotoneConstraints);

  /** The kernel's Search (kernel/split.as). */
  function begin(units: Units): void {
    const floats = shared.f64(at.search, 10);
    floats.set([units.gradient, units.hessian, params.lambdaL1, params.lambdaL2, params.minSumHessianInLeaf, params.minDataInLeaf]);
    floats.set([params.minGainToSplit, params.catL2, params.catSmooth, params.minDataPerGroup], 6);
    const limited = params.monotoneConstraints.some((sign) => sign !== 0) ? 1 : 0;
    shared.u32(at.search + 80, 5).set([params.maxCatThreshold, params.maxCatToOnehot, at.monotone, at.table.flags, limited]);
  }

  function describe(leaf: SearchedLeaf, which: number): number {
    const address = (number: number) => at.histograms + number * GROUP * groups * FEATURE_BYTES;
    const mask = which * GROUP * groups;
    masks.fill(0, mask, mask + GROUP * groups);
    for (const feature of leaf.features) masks[mask + feature] = leaf.searched ? 3 : 1;
    const minus = leaf.minus === undefined ? 0 : address(leaf.minus);
    const results = at.results + which * RESULT_BYTES * GROUP * groups;
    leafWords.set([leaf.start, leaf.count, address(leaf.histogram), minus, at.masks + mask, results], (which * LEAF_BYTES) / 4);
    const half = (which * LEAF_BYTES) / 8;
    leafSums[half + 4] = leaf.gradient;
    leafSums[half + 5] = leaf.hessian;
    leafFloats[half + 6] = leaf.low;
    leafFloats[half + 7] = leaf.high;
    return leaf.features.length * ((leaf.minus === undefined ? leaf.count : 0) + BIN_STEPS);
  }

  function run(leaves: readonly SearchedLeaf[]): (Split | undefined)[] {
    let steps = 0;
    leaves.forEach((leaf, which) => {
      steps += describe(leaf, which);
    });
    let tasks = 0;
    for (let group = 0; group < groups; group++) {
      if (maskWords[group]! !== 0n || (leaves.length > 1 && maskWords[groups + group]! !== 0n)) groupList[tasks++] = group;
    }
    const args = [at.leaves, leaves.length, at.groups, at.table.bins, n, at.rows, at.ordered, at.table.limits, at.search, at.scratch];
    team.run('searchLeaves', tasks, steps, args);
    return leaves.map((leaf, which) => (leaf.searched ? best(leaf.features, which) : undefined));
  }

  /** Of equals the lowest feature, so that the order of work never shows. */
  function best(features: Int32Array, which: number): Split | undefined {
    let gain = 0;
    let chosen = -1;
    for (const feature of features) {
      const found = gains[((which * GROUP * groups + feature) * RESULT_BYTES) / 8]!;
      if (found > gain) {
        gain = found;
        chosen = feature;
      }
    }
    if (chosen < 0) return undefined;
    const byte = (which * GROUP * groups + chosen) * RESULT_BYTES;
    const flags = resultWords[byte / 4 + 3]!;
    return {
      gain,
      feature: chosen,
      bin: resultWords[byte / 4 + 2]!,
      missingLeft: (flags & MISSING_LEFT) !== 0,
      members: flags & CATEGORICAL ? resultBytes.slice(byte + 32, byte + 64) : undefined,
      withCatL2: (flags & WITH_CAT_L2) !== 0,
      left: { gradient: resultSums[byte / 8 + 2]!, hessian: resultSums[byte / 8 + 3]! },
    };
  }

  return { begin, run };
}

/** Flags of a result, as in kernel/split.as. */
const MISSING_LEFT = 1;
const CATEGORICAL = 2;
const WITH_CAT_L2 = 4;

/** Fills the 256 bytes that say of each bin whether it goes left. */
export function writeSides(split: Split, sides: Uint8Array): void {
  const { members } = split;
  if (members) for (let bin = 0; bin <= MISSING_BIN; bin++) sides[bin] = isMember(members, bin) ? 1 : 0;
  else {
    sides.fill(1, 0, split.bin + 1);
    sides.fill(0, split.bin + 1);
    sides[MISSING_BIN] = split.missingLeft ? 1 : 0;
  }
}

export const isMember = (members: Uint8Array, bin: number): boolean => ((members[bin >> 3]! >> (bin & 7)) & 1) === 1;
