import type { Neighbour } from './contract.ts';

/**
 * Keeps the k best of a stream of (similarity, id), ties by id: a binary heap with the worst of the kept at its root, so that most
 * candidates cost one comparison with `floor`.
 */
export class TopK {
  readonly #k: number;
  readonly #similarities: number[] = [];
  readonly #ids: string[] = [];

  constructor(k: number) {
    this.#k = k;
  }

  /** A candidate below this can't enter. */
  get floor(): number {
    return this.#ids.length < this.#k ? Number.NEGATIVE_INFINITY : this.#k === 0 ? Number.POSITIVE_INFINITY : this.#similarities[0]!;
  }

  /** Whether `offer` would keep it; lets a caller skip a costly filter. */
  wants(similarity: number, id: string): boolean {
    if (this.#ids.length < this.#k) return true;
    if (this.#k === 0) return false;
    const worst = this.#similarities[0]!;
    return similarity > worst || (similarity === worst && id < this.#ids[0]!);
  }

  offer(similarity: number, id: string): void {
    if (!this.wants(similarity, id)) return;
    if (this.#ids.length < this.#k) {
      this.#similarities.push(similarity);
      this.#ids.push(id);
      this.#siftUp(this.#ids.length - 1);
    } else {
      this.#similarities[0] = similarity;
      this.#ids[0] = id;
      this.#siftDown();
    }
  }

  /** The kept ones, best first. */
  sorted(): Neighbour[] {
    const out = this.#ids.map((id, i) => ({ id, similarity: this.#similarities[i]! }));
    return out.sort((a, b) => b.similarity - a.similarity || (a.id < b.id ? -1 : 1));
  }

  #worse(a: number, b: number): boolean {
    const difference = this.#similarities[a]! - this.#similarities[b]!;
    return difference < 0 || (difference === 0 && this.#ids[a]! > this.#ids[b]!);
  }

  #swap(a: number, b: number): void {
    const similarity = this.#similarities[a]!;
    this.#similarities[a] = this.#similarities[b]!;
    this.#similarities[b] = similarity;
    const id = this.#ids[a]!;
    this.#ids[a] = this.#ids[b]!;
    this.#ids[b] = id;
  }

  #siftUp(start: number): void {
    let at = start;
    while (at > 0) {
      const parent = (at - 1) >> 1;
      if (!this.#worse(at, parent)) return;
      this.#swap(at, parent);
      at = parent;
    }
  }

  #siftDown(): void {
    let at = 0;
    const length = this.#ids.length;
    for (;;) {
      const left = 2 * at + 1;
      if (left >= length) return;
      const right = left + 1;
      const child = right < length && this.#worse(right, left) ? right : left;
      if (!this.#worse(child, at)) return;
      this.#swap(at, child);
      at = child;
    }
  }
}
