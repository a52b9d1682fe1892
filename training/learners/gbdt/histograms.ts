/** What a slot is taken from when none is free. */
interface Holder {
  readonly count: number;
  histogram: number;
}

/** Which of the numbered histograms are in use. */
export interface HistogramSlots {
  reset(): void;
  /** A free one; else that of the holder with the fewest rows (the oldest of equals), which is the cheapest to build again. */
  take(holders: readonly Holder[]): number;
  /** -1 is none. */
  release(slot: number): void;
}

export function createHistogramSlots(count: number): HistogramSlots {
  let free: number[] = [];
  return {
    reset() {
      free = Array.from({ length: count }, (_, i) => i);
    },
    take(holders) {
      const slot = free.pop();
      if (slot !== undefined) return slot;
      let poorest: Holder | undefined;
      for (const holder of holders) if (holder.histogram >= 0 && (!poorest || holder.count < poorest.count)) poorest = holder;
      if (!poorest) throw new Error('no histogram is free and none is held');
      const taken = poorest.histogram;
      poorest.histogram = -1;
      return taken;
    },
    release(slot) {
      if (slot >= 0) free.push(slot);
    },
  };
}
