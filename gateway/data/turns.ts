/**
 * Work on the same name runs one after the other, in the order of arrival; work on other names goes on beside it. Without it two changes of an item
 * that arrive together are both built on what was there before, and the second one undoes the first.
 *
 * Holds one entry for each name in work, so it is bounded by the requests in flight.
 */
export class Turns {
  readonly #last = new Map<string, Promise<void>>();

  /** Runs `work` once everything that came before it on any of `names` has ended, well or not. */
  async take<T>(names: readonly string[], work: () => Promise<T>): Promise<T> {
    const before = new Set<Promise<void>>();
    for (const name of names) {
      const last = this.#last.get(name);
      if (last) before.add(last);
    }
    // These never reject: whoever started that work has its error.
    const turn = Promise.all(before).then(work);
    const ended = turn.then(
      () => undefined,
      () => undefined,
    );
    for (const name of names) this.#last.set(name, ended);
    try {
      return await turn;
    } finally {
      for (const name of names) if (this.#last.get(name) === ended) this.#last.delete(name);
    }
  }

  /** Names that have work under way. */
  get size(): number {
    return this.#last.size;
  }
}
