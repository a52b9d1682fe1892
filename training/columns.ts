/** Rows of numbers that grow: what an array of objects would hold, at a tenth of the memory. */
export class Column<A extends Uint8Array | Uint32Array | Int32Array | Float32Array | Float64Array> {
  #data: A;
  #length = 0;
  readonly #make: (length: number) => A;

  constructor(make: (length: number) => A, capacity = 1024) {
    this.#make = make;
    this.#data = make(capacity);
  }

  get length(): number {
    return this.#length;
  }

  push(value: number): void {
    if (this.#length === this.#data.length) this.#grow(this.#length + 1);
    this.#data[this.#length++] = value;
  }

  /** Appends a whole row of values. */
  append(values: ArrayLike<number>): void {
    if (this.#length + values.length > this.#data.length) this.#grow(this.#length + values.length);
    this.#data.set(values, this.#length);
    this.#length += values.length;
  }

  at(index: number): number {
    return this.#data[index]!;
  }

  /** What was pushed so far: a view, valid until the next push. */
  view(): A {
    return this.#data.subarray(0, this.#length) as A;
  }

  #grow(needed: number): void {
    const larger = this.#make(Math.max(needed, this.#data.length * 2));
    larger.set(this.#data);
    this.#data = larger;
  }
}

/** Numbers strings from 0 in the order in which they come. */
export class Names {
  readonly #index = new Map<string, number>();
  readonly #names: string[] = [];

  get size(): number {
    return this.#names.length;
  }

  add(name: string): number {
    let index = this.#index.get(name);
    if (index === undefined) {
      index = this.#names.length;
      this.#index.set(name, index);
      this.#names.push(name);
    }
    return index;
  }

  /** -1 where the name never came. */
  indexOf(name: string): number {
    return this.#index.get(name) ?? -1;
  }

  name(index: number): string {
    return this.#names[index]!;
  }

  all(): readonly string[] {
    return this.#names;
  }
}
