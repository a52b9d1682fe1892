/** Rows of one model call. 64 rows of a 100-tree model take about 0.1 ms, well under the millisecond that a call may block the event loop. */
export const BATCH_ROWS_MAX = 64;

interface Waiting {
  readonly row: Float32Array;
  readonly resolve: (value: number) => void;
  readonly reject: (cause: unknown) => void;
}

/**
 * Collects the rows that arrive while the event loop handles one round of sockets and sends them to the model in one call: a call costs far more than
 * a row. Nobody waits for a timer: the batch leaves at the end of the round. Rows of one batch come from one model, so a bundle swap can't mix two.
 */
export class MicroBatcher {
  readonly #width: number;
  readonly #run: (rows: Float32Array, n: number) => Promise<ArrayLike<number>>;
  #waiting: Waiting[] = [];

  constructor(width: number, run: (rows: Float32Array, n: number) => Promise<ArrayLike<number>>) {
    this.#width = width;
    this.#run = run;
  }

  /** The model's output for the row. A row of another width is the caller's mistake and rejects alone, not its whole batch. */
  predict(row: Float32Array): Promise<number> {
    if (row.length !== this.#width) return Promise.reject(new RangeError(`a row has ${this.#width} values, not ${row.length}`));
    return new Promise((resolve, reject) => {
      this.#waiting.push({ row, resolve, reject });
      if (this.#waiting.length >= BATCH_ROWS_MAX) this.#flush();
      else if (this.#waiting.length === 1) setImmediate(() => this.#flush());
    });
  }

  #flush(): void {
    const batch = this.#waiting;
    if (batch.length === 0) return;
    this.#waiting = [];
    const rows = new Float32Array(batch.length * this.#width);
    for (let i = 0; i < batch.length; i++) rows.set(batch[i]!.row, i * this.#width);
    this.#run(rows, batch.length).then(
      (outputs) => {
        for (let i = 0; i < batch.length; i++) batch[i]!.resolve(outputs[i]!);
      },
      (cause) => {
        for (const waiting of batch) waiting.reject(cause);
      },
    );
  }
}
