import type { ErrorCode } from '../../contracts/errors.ts';
import { GatehouseError } from '../../contracts/errors.ts';

/** Called as a learner goes on; `done` of `total` steps (trees, iterations, users). Cheap to call: the receiver limits its own rate. */
export type Progress = (done: number, total: number, note?: string) => void;

/**
 * What every learner takes beside rows and parameters. The same rows, parameters and seed give the same model, bit for bit.
 * A learner never reads a clock or `Math.random`.
 */
export interface FitOptions<Validation = never> {
  readonly seed: number;
  readonly progress?: Progress;
  /** Rows that are only watched (early stopping), never learned from. */
  readonly validation?: Validation;
}

/**
 * A learner: `rows` are typed arrays, `params` have defaults for all but what the data must decide, the model is plain data.
 * Callers `await` the result: a learner that trains on other threads answers with a promise.
 */
export type Fit<Rows, Params, Model, Validation = never> = (
  rows: Rows,
  params: Partial<Params>,
  options: FitOptions<Validation>,
) => Model | Promise<Model>;

/** Throws `training_data_insufficient` (or `code`) unless the data are as a learner needs them. */
export function requireData(condition: boolean, detail: string, code: ErrorCode = 'training_data_insufficient'): asserts condition {
  if (!condition) throw new GatehouseError(code, detail);
}

/** Throws a RangeError: a wrong parameter or array length is the caller's mistake, not the data's. */
export function requireParam(condition: boolean, detail: string): asserts condition {
  if (!condition) throw new RangeError(detail);
}
