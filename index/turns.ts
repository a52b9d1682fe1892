/** Rows that are gone through between two turns of the event loop: well under a millisecond for vectors of 64 numbers and their links. */
export const ROWS_PER_TURN = 2_048;
/** Bytes that are hashed between two turns: about a millisecond. */
export const BYTES_PER_TURN = 2 ** 20;

/** Lets whatever waits for the event loop have its turn, so that work on a million vectors delays nobody. */
export function nextTurn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
