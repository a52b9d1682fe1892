import type { Handles } from './handles.ts';

/**
 * Keeps the k best of a stream of (similarity, handle), ties by id: a binary heap with the worst of the kept at its root, so that most
 * candidates cost one comparison with `floor`. Its arrays are used again from search to search.
 */
export class TopK {
  #k = 0;
  #count = 0;
  #similarities = new Float64Array(64);
  #handles = new Int32Array(64);
  #ids: Handles | undefined;

  /** Begins anew with the k best; `ids` tells ties apart. */
  reset(k: number, ids: Handles): void {
    this.#k = k;
    this.#count = 0;
    this.#ids = ids;
  }

  /** A candidate below this can't enter. */
  get floor(): number {
    return this.#count < this.#k ? Number.NEGATIVE_INFINITY : this.#k === 0 ? Number.POSITIVE_INFINITY : this.#similarities[0]!;
  }

  /** Whether `offer` would keep it; lets a caller skip a costly filter. */
  wants(similarity: number, handle: number): boolean {
    if (this.#count < this.#k) return true;
    if (this.#k === 0) return false;
    const worst = this.#similarities[0]!;
    return similarity > worst || (similarity === worst && this.#ids!.compare(handle, this.#handles[0]!) < 0);
  }

  offer(similarity: number, handle: number): void {
    if (!this.wants(similarity, handle)) return;
    if (this.#count < this.#k) {
      if (this.#count === this.#handles.length) this.#grow();
      this.#siftUp(this.#count++, similarity, handle);
    } else this.#siftDown(similarity, handle, this.#count);
  }

  /** Writes the kept ones, best first, and returns how many there are. The heap is empty afterwards. */
  drain(handles: Int32Array, similarities: Float64Array | undefined): number {
    const count = this.#count;
    for (let left = count - 1; left >= 0; left--) {
      handles[left] = this.#handles[0]!;
      if (similarities) similarities[left] = this.#similarities[0]!;
      if (left > 0) this.#siftDown(this.#similarities[left]!, this.#handles[left]!, left);
    }
    this.#count = 0;
    return count;
  }

  /** Whether the first is worse than the second. */
  #worse(similarity: number, handle: number, than: number): boolean {
    const other = this.#similarities[than]!;
    return similarity < other || (similarity === other && this.#ids!.compare(handle, this.#handles[than]!) > 0);
  }

  #put(at: number, similarity: number, handle: number): void {
    this.#similarities[at] = similarity;
    this.#handles[at] = handle;
  }

  #siftUp(start: number, similarity: number, handle: number): void {
    let at = start;
    while (at > 0) {
      const parent = (at - 1) >> 1;
      if (!this.#worse(similarity, handle, parent)) break;
      this.#put(at, this.#similarities[parent]!, this.#handles[parent]!);
      at = parent;
    }
    this.#put(at, similarity, handle);
  }

  /** Puts the pair in the place of the root of a heap of `length`. */
  #siftDown(similarity: number, handle: number, length: number): void {
    let at = 0;
    for (let child = 1; child < length; child = 2 * at + 1) {
      if (child + 1 < length && this.#worse(this.#similarities[child + 1]!, this.#handles[child + 1]!, child)) child++;
      if (this.#worse(similarity, handle, child)) break;
      this.#put(at, this.#similarities[child]!, this.#handles[child]!);
      at = child;
    }
    this.#put(at, similarity, handle);
  }

  #grow(): void {
    const similarities = new Float64Array(2 * this.#handles.length);
    similarities.set(this.#similarities);
    this.#similarities = similarities;
    const handles = new Int32Array(2 * this.#handles.length);
    handles.set(this.#handles);
    this.#handles = handles;
  }
}
