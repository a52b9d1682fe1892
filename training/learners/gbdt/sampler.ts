import { type Random, sampleSorted } from '../random.ts';

export interface Sampler {
  /** Draws the next tree's rows into the row list: in-bag rows first (ascending), then the others. Answers how many are in the bag. */
  draw(): number;
}

/**
 * Samples a share of the units (rows, or whole queries of the given sizes: a torn query has other pairs). When all are taken nothing is written:
 * every row is in the bag.
 */
export function createSampler(rows: Uint32Array, sizes: Int32Array | undefined, fraction: number, random: Random): Sampler {
  const n = rows.length;
  const units = sizes?.length ?? n;
  const wanted = Math.max(1, Math.round(units * fraction));
  const isIn = new Uint8Array(wanted === units ? 0 : units);
  return {
    draw() {
      if (wanted === units) return n;
      isIn.fill(0);
      for (const unit of sampleSorted(random, units, wanted)) isIn[unit] = 1;
      let inBag = 0;
      let at = 0;
      for (let wantIn = 1; wantIn >= 0; wantIn--) {
        let row = 0;
        for (let unit = 0; unit < units; unit++) {
          const size = sizes ? sizes[unit]! : 1;
          if (isIn[unit] === wantIn) for (let i = 0; i < size; i++) rows[at++] = row + i;
          row += size;
        }
        if (wantIn === 1) inBag = at;
      }
      return inBag;
    },
  };
}
