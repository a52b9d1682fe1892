/** How much a candidate repeats what was picked before. */
export interface Variety {
  /** From 0, nothing like it, to 1. */
  repeats(position: number): number;
  picked(position: number): void;
}

/** The share of the picks so far that are in the same group; a group below 0 is none. */
export function groupVariety(group: (position: number) => number): Variety {
  const inGroup = new Map<number, number>();
  let picks = 0;
  return {
    repeats(position) {
      const name = group(position);
      return name < 0 || picks === 0 ? 0 : (inGroup.get(name) ?? 0) / picks;
    },
    picked(position) {
      picks++;
      const name = group(position);
      if (name >= 0) inGroup.set(name, (inGroup.get(name) ?? 0) + 1);
    },
  };
}

/**
 * The cosine to the most similar pick, 0 where that is below. `copyVector` writes the vector of a candidate and says whether there is one; candidates without
 * one are compared by `other`. A candidate is compared with each pick once, and only when its relevance could win it a place.
 */
export function vectorVariety(dimensions: number, copyVector: (position: number, out: Float32Array) => boolean, other: Variety): Variety {
  const picks: Float32Array[] = [];
  const known = new Map<number, { readonly vector: Float32Array | undefined; compared: number; most: number }>();
  const entryOf = (position: number) => {
    const found = known.get(position);
    if (found) return found;
    const vector = new Float32Array(dimensions);
    const made = { vector: copyVector(position, vector) && toUnit(vector) ? vector : undefined, compared: 0, most: 0 };
    known.set(position, made);
    return made;
  };
  return {
    repeats(position) {
      const entry = entryOf(position);
      const { vector } = entry;
      if (!vector) return other.repeats(position);
      for (; entry.compared < picks.length; entry.compared++) {
        const pick = picks[entry.compared]!;
        let cosine = 0;
        for (let i = 0; i < dimensions; i++) cosine += vector[i]! * pick[i]!;
        if (cosine > entry.most) entry.most = Math.min(1, cosine);
      }
      return entry.most;
    },
    picked(position) {
      other.picked(position);
      const { vector } = entryOf(position);
      if (vector) picks.push(vector);
    },
  };
}

/** Scales to length 1; false for one of zeros, which points nowhere. */
function toUnit(vector: Float32Array): boolean {
  let squares = 0;
  for (let i = 0; i < vector.length; i++) squares += vector[i]! * vector[i]!;
  const length = Math.sqrt(squares);
  if (!(length > 0)) return false;
  for (let i = 0; i < vector.length; i++) vector[i] = vector[i]! / length;
  return true;
}

export interface DiversifyOptions {
  readonly limit: number;
  readonly lambda: number;
  /** Score of the last of the candidates, in `order` or not. */
  readonly worst: number;
  readonly variety: Variety;
  /** Whether the candidate may be picked now. Asked again for each place. */
  readonly admits: (position: number) => boolean;
  readonly take: (position: number) => void;
}

/**
 * Maximal marginal relevance (Carbonell and Goldstein 1998): picks greedily by (1 - lambda) x relevance - lambda x what the candidate repeats. Relevance is
 * the score scaled to [0, 1] over the candidates.
 *
 * `order` holds positions, the best first. Returns at most `limit` positions. O(n x limit), and n is at most a few hundred.
 */
export function diversify(order: Int32Array, scores: ArrayLike<number>, options: DiversifyOptions): number[] {
  const { limit, lambda, worst, variety, admits, take } = options;
  const best = order.length > 0 ? scores[order[0]!]! : worst;
  const span = best > worst ? best - worst : 1;
  const left = [...order];
  const picked: number[] = [];
  while (picked.length < limit) {
    let bestAt = -1;
    let bestValue = Number.NEGATIVE_INFINITY;
    for (let i = 0; i < left.length; i++) {
      const position = left[i]!;
      const relevance = (scores[position]! - worst) / span;
      // The rest is sorted: nothing behind can pass the best by relevance alone.
      if ((1 - lambda) * relevance <= bestValue) break;
      if (!admits(position)) continue;
      const value = lambda === 0 ? relevance : (1 - lambda) * relevance - lambda * variety.repeats(position);
      if (value > bestValue) {
        bestValue = value;
        bestAt = i;
      }
    }
    if (bestAt < 0) break;
    const [position] = left.splice(bestAt, 1);
    picked.push(position!);
    variety.picked(position!);
    take(position!);
  }
  return picked;
}
