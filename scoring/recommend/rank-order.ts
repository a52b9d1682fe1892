/** Positions are the low digits of a key: with 32 bits of score above them a key is exact in a double. */
const POSITIONS_MAX = 2 ** 20;
const FLOAT = new Float32Array(1);
const WORD = new Uint32Array(FLOAT.buffer);

/**
 * Orders the positions 0 to `order.length` - 1 by score, the greatest first; `tie` decides between equals. Scores must be finite.
 *
 * The scores become whole numbers that sort as they do, with the position behind them, so that the built-in sort runs without calling back: a sixth of
 * the time of one with a comparison, for 200 scores. float32 tells nearly all scores apart; what it can't is compared exactly.
 */
export function rankOrder(scores: ArrayLike<number>, order: Int32Array, keys: Float64Array, tie: (a: number, b: number) => number): void {
  const n = order.length;
  for (let i = 0; i < n; i++) keys[i] = descending(scores[i]!) * POSITIONS_MAX + i;
  keys.subarray(0, n).sort();
  for (let i = 0; i < n; i++) order[i] = keys[i]! % POSITIONS_MAX;
  const exact = (a: number, b: number): number => scores[b]! - scores[a]! || tie(a, b);
  for (let from = 0; from < n; ) {
    const word = Math.floor(keys[from]! / POSITIONS_MAX);
    let to = from + 1;
    while (to < n && Math.floor(keys[to]! / POSITIONS_MAX) === word) to++;
    if (to - from > 1) order.subarray(from, to).sort(exact);
    from = to;
  }
}

/** The bits of a float, turned so that the greatest comes first. `+ 0` makes -0 and 0 one. */
function descending(score: number): number {
  FLOAT[0] = score + 0;
  const bits = WORD[0]!;
  return bits >= 0x8000_0000 ? bits : 0x7fff_ffff - bits;
}
