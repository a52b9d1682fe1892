/** Runs changes one at a time: two authors who save at once get two versions, not one that hides the other. */
export class Serial {
  #last: Promise<unknown> = Promise.resolve();

  run<T>(work: () => Promise<T>): Promise<T> {
    const next = this.#last.then(work, work);
    // Whoever asked hears of the failure; whoever comes next does not.
    this.#last = next.catch(() => undefined);
    return next;
  }
}
