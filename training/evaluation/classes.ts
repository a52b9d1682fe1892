import { requireParam } from '../learners/contract.ts';

export interface ClassMetrics {
  readonly accuracy: number;
  /** Mean of the classes' F1: a rare class counts as much as a frequent one. */
  readonly macroF1: number;
  /** Of each class; 0 where it was never said (precision) or never came (recall). */
  readonly precision: readonly number[];
  readonly recall: readonly number[];
  readonly f1: readonly number[];
  /** Rows by true class, then by said class. */
  readonly confusion: readonly (readonly number[])[];
}

/** The class with the largest of each row's values, the first of equal ones; row-major n x classes. */
export function largestClass(values: ArrayLike<number>, classes: number): Uint32Array {
  requireParam(classes > 0 && values.length % classes === 0, `there must be a multiple of ${classes} values, not ${values.length}`);
  return Uint32Array.from({ length: values.length / classes }, (_, row) => {
    let best = 0;
    for (let k = 1; k < classes; k++) if (values[row * classes + k]! > values[row * classes + best]!) best = k;
    return best;
  });
}

/** Measures said classes against true ones; both are 0 to classes - 1. */
export function classMetrics(said: ArrayLike<number>, truth: ArrayLike<number>, classes: number): ClassMetrics {
  requireParam(said.length === truth.length && said.length > 0, `${said.length} answers for ${truth.length} labels`);
  const confusion = Array.from({ length: classes }, () => new Array<number>(classes).fill(0));
  for (let row = 0; row < said.length; row++) {
    requireParam(confusion[truth[row]!]?.[said[row]!] !== undefined, `row ${row} has no class from 0 to ${classes - 1}`);
    confusion[truth[row]!]![said[row]!]! += 1;
  }
  const right = confusion.map((row, k) => row[k]!);
  const came = confusion.map((row) => row.reduce((sum, count) => sum + count, 0));
  const called = confusion.map((_, k) => confusion.reduce((sum, row) => sum + row[k]!, 0));
  const share = (part: number, whole: number) => (whole === 0 ? 0 : part / whole);
  const f1 = right.map((count, k) => share(2 * count, came[k]! + called[k]!));
  return {
    accuracy: right.reduce((sum, count) => sum + count, 0) / said.length,
    macroF1: f1.reduce((sum, value) => sum + value, 0) / classes,
    precision: right.map((count, k) => share(count, called[k]!)),
    recall: right.map((count, k) => share(count, came[k]!)),
    f1,
    confusion,
  };
}
