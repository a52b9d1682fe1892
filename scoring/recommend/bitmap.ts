/** A set of handles as bits, 32 to a word. */
export class Bitmap {
  #words = new Uint32Array(0);

  has(handle: number): boolean {
    return ((this.#words[handle >>> 5] ?? 0) & (1 << (handle & 31))) !== 0;
  }

  add(handle: number): void {
    const at = handle >>> 5;
    if (at >= this.#words.length) this.#grow(at + 1);
    this.#words[at] = this.#words[at]! | (1 << (handle & 31));
  }

  addAll(handles: Int32Array): void {
    for (let i = 0; i < handles.length; i++) this.add(handles[i]!);
  }

  delete(handle: number): void {
    const at = handle >>> 5;
    if (at < this.#words.length) this.#words[at] = this.#words[at]! & ~(1 << (handle & 31));
  }

  clear(): void {
    this.#words.fill(0);
  }

  /** Becomes a copy of the other. */
  copy(other: Bitmap): void {
    if (this.#words.length < other.#words.length) this.#words = other.#words.slice();
    else {
      this.#words.set(other.#words);
      this.#words.fill(0, other.#words.length);
    }
  }

  /** Keeps what the other has too. */
  and(other: Bitmap): void {
    const shared = Math.min(this.#words.length, other.#words.length);
    for (let i = 0; i < shared; i++) this.#words[i] = this.#words[i]! & other.#words[i]!;
    this.#words.fill(0, shared);
  }

  /** Keeps what the other has not. */
  andNot(other: Bitmap): void {
    const shared = Math.min(this.#words.length, other.#words.length);
    for (let i = 0; i < shared; i++) this.#words[i] = this.#words[i]! & ~other.#words[i]!;
  }

  or(other: Bitmap): void {
    if (this.#words.length < other.#words.length) this.#grow(other.#words.length);
    for (let i = 0; i < other.#words.length; i++) this.#words[i] = this.#words[i]! | other.#words[i]!;
  }

  /** How many there are. */
  count(): number {
    let count = 0;
    for (let i = 0; i < this.#words.length; i++) count += bitCount(this.#words[i]!);
    return count;
  }

  /** Calls `visit` with each, in ascending order. */
  each(visit: (handle: number) => void): void {
    for (let i = 0; i < this.#words.length; i++) {
      for (let word = this.#words[i]!; word !== 0; word &= word - 1) visit(32 * i + 31 - Math.clz32(word & -word));
    }
  }

  #grow(words: number): void {
    const longer = new Uint32Array(Math.max(words, 2 * this.#words.length, 32));
    longer.set(this.#words);
    this.#words = longer;
  }
}

/** Bits set in a word, added up in pairs, nibbles and bytes. */
function bitCount(word: number): number {
  const pairs = word - ((word >>> 1) & 0x55555555);
  const nibbles = (pairs & 0x33333333) + ((pairs >>> 2) & 0x33333333);
  return Math.imul((nibbles + (nibbles >>> 4)) & 0x0f0f0f0f, 0x01010101) >>> 24;
}
