import { Bitmap } from './bitmap.ts';

/** From so many handles on they are kept as bits, 125 KB for a million items: a list is quick to go through while it is short, and slow to take out of. */
const BITS_FROM = 4_096;
/** Back to a list at half of that, so that one item that comes and goes does not turn it over each time. */
const LIST_FROM = BITS_FROM / 2;

/** Which items have one value of a field, in no particular order. */
export class Postings {
  #list = new Int32Array(4);
  #bits: Bitmap | undefined;
  #count = 0;

  get count(): number {
    return this.#count;
  }

  /** Adds a handle that is not there yet. */
  add(handle: number): void {
    this.#count++;
    if (this.#bits) this.#bits.add(handle);
    else if (this.#count > BITS_FROM) {
      const bits = new Bitmap();
      for (let i = 0; i < this.#count - 1; i++) bits.add(this.#list[i]!);
      bits.add(handle);
      this.#bits = bits;
    } else this.#push(handle, this.#count - 1);
  }

  /** Takes out a handle that is there. Returns how many are left. */
  remove(handle: number): number {
    if (this.#bits) this.#bits.delete(handle);
    else {
      const at = this.#list.subarray(0, this.#count).indexOf(handle);
      if (at < 0) throw new Error(`handle ${handle} is not among the postings`);
      this.#list[at] = this.#list[this.#count - 1]!;
    }
    this.#count--;
    if (this.#bits && this.#count < LIST_FROM) this.#toList(this.#bits);
    return this.#count;
  }

  each(visit: (handle: number) => void): void {
    if (this.#bits) this.#bits.each(visit);
    else for (let i = 0; i < this.#count; i++) visit(this.#list[i]!);
  }

  addTo(bitmap: Bitmap): void {
    if (this.#bits) bitmap.or(this.#bits);
    else for (let i = 0; i < this.#count; i++) bitmap.add(this.#list[i]!);
  }

  #toList(bits: Bitmap): void {
    this.#bits = undefined;
    let at = 0;
    bits.each((handle) => this.#push(handle, at++));
  }

  #push(handle: number, at: number): void {
    if (at === this.#list.length) {
      const longer = new Int32Array(2 * at);
      longer.set(this.#list);
      this.#list = longer;
    }
    this.#list[at] = handle;
  }
}
