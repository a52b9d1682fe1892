/** Below this every microsecond has a counter of its own (400 KB), above it every millisecond up to a minute. */
const FINE_US = 100_000;
const COARSE_MS = 60_000;

/** Latencies without keeping each: exact to a microsecond up to 100 ms, to a millisecond above. */
export class Latencies {
  readonly #fine = new Uint32Array(FINE_US);
  readonly #coarse = new Uint32Array(COARSE_MS + 1);
  count = 0;

  add(ms: number): void {
    this.count++;
    const us = Math.round(ms * 1000);
    if (us < FINE_US) this.#fine[us]!++;
    else this.#coarse[Math.min(COARSE_MS, Math.floor(ms))]!++;
  }

  clear(): void {
    this.count = 0;
    this.#fine.fill(0);
    this.#coarse.fill(0);
  }

  /** Milliseconds below which `share` of the latencies are; NaN of none. */
  quantileMs(share: number): number {
    if (this.count === 0) return Number.NaN;
    let left = Math.max(1, Math.ceil(share * this.count));
    for (let us = 0; us < FINE_US; us++) {
      left -= this.#fine[us]!;
      if (left <= 0) return us / 1000;
    }
    for (let ms = 0; ms <= COARSE_MS; ms++) {
      left -= this.#coarse[ms]!;
      if (left <= 0) return ms;
    }
    return COARSE_MS;
  }
}
