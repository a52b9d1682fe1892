import { requireData } from '../contract.ts';
import type { Random } from '../random.ts';

/** Draws items with probability q ~ count^power, again and again the same item if it so happens. */
export interface NegativeSampler {
  /** log(draws q) of each item: what its logit is too large by when `draws` items stand for all. */
  readonly logExpected: Float32Array;
  draw(into: Int32Array): void;
}

/** Alias method (Vose 1991): a draw costs the same, however many items there are. Items that never occur are never drawn. */
export function createNegativeSampler(counts: Float64Array, power: number, draws: number, random: Random): NegativeSampler {
  const items = counts.length;
  const shares = counts.map((count) => (count > 0 ? count ** power : 0));
  const total = shares.reduce((sum, share) => sum + share, 0);
  requireData(total > 0, 'no item occurs');
  const logExpected = Float32Array.from(shares, (share) => Math.log((draws * share) / total));
  const keep = new Float64Array(items);
  const other = new Int32Array(items);
  const [small, large]: [number[], number[]] = [[], []];
  const scaled = shares.map((share) => (share * items) / total);
  scaled.forEach((share, item) => {
    (share < 1 ? small : large).push(item);
  });
  while (small.length > 0 && large.length > 0) {
    const less = small.pop()!;
    const more = large.at(-1)!;
    keep[less] = scaled[less]!;
    other[less] = more;
    scaled[more]! -= 1 - scaled[less]!;
    if (scaled[more]! < 1) small.push(large.pop()!);
  }
  // What is left is 1 but for rounding; an item that never occurs is not among it unless rounding left nobody else, and then it has an other.
  for (const item of large) keep[item] = 1;
  for (const item of small) {
    keep[item] = shares[item]! > 0 ? 1 : 0;
    other[item] = shares.findIndex((share) => share > 0);
  }
  return {
    logExpected,
    draw(into) {
      for (let i = 0; i < into.length; i++) {
        const item = random.int(items);
        into[i] = random.next() < keep[item]! ? item : other[item]!;
      }
    },
  };
}
