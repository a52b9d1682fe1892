import { GatehouseError } from '../contracts/errors.ts';

/** Tries of a change that other gateways get ahead of: each try reads what they wrote, and analysts are few. */
const TRIES_MAX = 5;

/** Runs changes one at a time: two authors who save at once get two versions, not one that hides the other. */
export class Serial {
  #last: Promise<unknown> = Promise.resolve();

  run<T>(work: () => Promise<T>): Promise<T> {
    const next = this.#last.then(work, work);
    // Whoever asked hears of the failure; whoever comes next does not.
    this.#last = next.catch(() => undefined);
    return next;
  }

  /** The same for a change whose documents say what they expect: one that another gateway got ahead of is made again on what that one wrote. */
  change<T>(work: () => Promise<T>, readAgain: () => Promise<void>): Promise<T> {
    return this.run(async () => {
      for (let tries = 1; ; tries++) {
        try {
          return await work();
        } catch (error) {
          if (!isConflict(error) || tries === TRIES_MAX) throw error;
          await readAgain();
        }
      }
    });
  }
}

/** Whether another gateway was ahead of a write. */
export function isConflict(error: unknown): boolean {
  return error instanceof GatehouseError && error.code === 'document_conflict';
}
