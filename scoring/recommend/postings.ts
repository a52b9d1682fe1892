/** Which items have one value of an attribute: their handles, in no particular order. */
export class Postings {
  handles = new Int32Array(4);
  count = 0;

  add(handle: number): void {
    if (this.count === this.handles.length) {
      const longer = new Int32Array(2 * this.count);
      longer.set(this.handles);
      this.handles = longer;
    }
    this.handles[this.count++] = handle;
  }

  /** The last one takes its place. Looks through the list: an item changes its category far less often than a request reads it. */
  remove(handle: number): void {
    const at = this.handles.indexOf(handle);
    if (at < 0 || at >= this.count) throw new Error(`handle ${handle} is not among the postings`);
    this.handles[at] = this.handles[--this.count]!;
  }
}
