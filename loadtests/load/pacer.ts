import type { Random } from '../../training/learners/random.ts';

/** When one connection's requests are due, milliseconds: a Poisson process, as visitors do not wait for one another. */
export class Pacer {
  readonly #meanGapMs: number;
  readonly #random: Random;
  #dueMs: number;

  constructor(startMs: number, meanGapMs: number, random: Random) {
    this.#dueMs = startMs;
    this.#meanGapMs = meanGapMs;
    this.#random = random;
  }

  /** Later than the one before it, whatever became of that. */
  next(): number {
    this.#dueMs -= this.#meanGapMs * Math.log(1 - this.#random.next());
    return this.#dueMs;
  }
}
