/** Rescale before the weights leave the double's range: 2^500 is far from 2^1023. */
const RESCALE_HALF_LIVES = 500;

/**
 * Weights by forward decay (Cormode et al. 2009): an act adds 2^((t - landmark) / halfLife), so nothing has to be aged and the order of arrival does
 * not matter, as long as nothing has to be forgotten.
 */
export class ForwardDecay {
  readonly #halfLifeMs: number;
  #landmarkMs = 0;

  constructor(halfLifeMs: number) {
    this.#halfLifeMs = halfLifeMs;
  }

  /** What an act at `atMs` adds. Where that is too large to go on with, `rescale` is called first: everything that was added has to be multiplied by its factor. */
  weightAt(atMs: number, rescale: (factor: number) => void): number {
    if (this.#landmarkMs === 0) this.#landmarkMs = atMs;
    const halfLives = (atMs - this.#landmarkMs) / this.#halfLifeMs;
    if (halfLives <= RESCALE_HALF_LIVES) return 2 ** halfLives;
    rescale(2 ** -halfLives);
    this.#landmarkMs = atMs;
    return 1;
  }

  /** What everything that was added has to be multiplied by to be worth what it is at a moment; 1 act of that moment is 1. */
  ageAt(nowMs: number): number {
    return 2 ** ((this.#landmarkMs - nowMs) / this.#halfLifeMs);
  }
}

/** Takes out the lower counts until `keep` are left; among those as high as the last one that stays, the ones that came first. */
export function keepHighest(counts: Map<string, number>, keep: number): void {
  const lowest = Float64Array.from(counts.values()).sort()[counts.size - keep]!;
  for (const [id, count] of counts) if (count < lowest) counts.delete(id);
  for (const [id, count] of counts) {
    if (counts.size <= keep) break;
    if (count === lowest) counts.delete(id);
  }
}
