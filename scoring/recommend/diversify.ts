/**
 * Maximal marginal relevance (Carbonell and Goldstein 1998) over groups: picks greedily by (1 - lambda) x relevance - lambda x share of the picks so far
 * that are in the same group. Relevance is the score scaled to [0, 1] over the candidates: `worst` is the score of the last of them.
 *
 * `order` holds positions, the best first; a group below 0 is none. Returns at most `limit` positions. O(n x limit), and n is at most a few hundred.
 */
export function diversify(
  order: Int32Array,
  scores: ArrayLike<number>,
  group: (position: number) => number,
  limit: number,
  lambda: number,
  worst: number,
): number[] {
  if (lambda === 0 || order.length <= 1) return [...order.subarray(0, limit)];
  const best = scores[order[0]!]!;
  const span = best > worst ? best - worst : 1;
  const left = [...order];
  const picked: number[] = [];
  const inGroup = new Map<number, number>();
  while (picked.length < limit && left.length > 0) {
    let bestAt = 0;
    let bestValue = Number.NEGATIVE_INFINITY;
    for (let i = 0; i < left.length; i++) {
      const position = left[i]!;
      const relevance = (scores[position]! - worst) / span;
      // The rest is sorted: nothing behind can pass the best by relevance alone.
      if ((1 - lambda) * relevance <= bestValue) break;
      const name = group(position);
      const same = name < 0 || picked.length === 0 ? 0 : (inGroup.get(name) ?? 0) / picked.length;
      const value = (1 - lambda) * relevance - lambda * same;
      if (value > bestValue) {
        bestValue = value;
        bestAt = i;
      }
    }
    const [position] = left.splice(bestAt, 1);
    picked.push(position!);
    const name = group(position!);
    if (name >= 0) inGroup.set(name, (inGroup.get(name) ?? 0) + 1);
  }
  return picked;
}
