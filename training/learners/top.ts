export interface Top {
  offer(item: number, score: number): void;
  /** What was kept, the best first, the lower number first where equal; empties the heap. */
  take(): { items: Uint32Array; scores: Float32Array };
}

/** The k best offered, in a heap whose root is the worst of them. */
export function createTop(k: number): Top {
  let size = 0;
  const items = new Uint32Array(k);
  const scores = new Float32Array(k);
  const isWorse = (a: number, b: number): boolean => scores[a]! < scores[b]! || (scores[a]! === scores[b]! && items[a]! > items[b]!);
  const swap = (a: number, b: number): void => {
    [items[a], items[b]] = [items[b]!, items[a]!];
    [scores[a], scores[b]] = [scores[b]!, scores[a]!];
  };
  const sink = (end: number): void => {
    for (let at = 0; ; ) {
      const left = 2 * at + 1;
      let worst = at;
      if (left < end && isWorse(left, worst)) worst = left;
      if (left + 1 < end && isWorse(left + 1, worst)) worst = left + 1;
      if (worst === at) return;
      swap(at, worst);
      at = worst;
    }
  };
  return {
    offer(item, exact) {
      // Compared as it is stored, so that equal stored values are in order of their items.
      const score = Math.fround(exact);
      if (size === k) {
        if (score < scores[0]! || (score === scores[0]! && item > items[0]!)) return;
        items[0] = item;
        scores[0] = score;
        sink(size);
        return;
      }
      items[size] = item;
      scores[size] = score;
      for (let at = size++; at > 0; ) {
        const parent = (at - 1) >> 1;
        if (!isWorse(at, parent)) break;
        swap(at, parent);
        at = parent;
      }
    },
    take() {
      const count = size;
      while (size > 1) {
        size--;
        swap(0, size);
        sink(size);
      }
      size = 0;
      return { items: items.slice(0, count), scores: scores.slice(0, count) };
    },
  };
}
