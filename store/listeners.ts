/** Callbacks that are told the same thing, in the order in which they came. */
export class Listeners<A extends readonly unknown[]> {
  readonly #all = new Set<{ readonly call: (...args: A) => void }>();

  get size(): number {
    return this.#all.size;
  }

  /** Returns the function that removes it. The same callback may be added twice. */
  add(call: (...args: A) => void): () => void {
    const entry = { call };
    this.#all.add(entry);
    return () => {
      this.#all.delete(entry);
    };
  }

  tell(...args: A): void {
    for (const { call } of this.#all) {
      try {
        call(...args);
      } catch (error) {
        // A listener's bug must neither fail the writers nor go unseen.
        queueMicrotask(() => {
          throw error;
        });
      }
    }
  }
}
