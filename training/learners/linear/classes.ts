import { requireData, requireParam } from '../contract.ts';

/** How much each class counts: alike, by number of class, or so that every class has the same sum ('balanced': all weights / (classes x its own)). */
export type ClassWeights = 'balanced' | readonly number[] | undefined;

/** Classes beyond this are items, not classes: the weights of a linear model grow with their number. */
export const CLASSES_MAX = 1000;

/** Rows of each class. Throws `training_data_insufficient` unless the labels are 0, 1, ... and each of at least two classes has a row. */
export function countClasses(labels: Float32Array): Uint32Array {
  let most = 0;
  for (let i = 0; i < labels.length; i++) {
    const label = labels[i]!;
    if (!(Number.isInteger(label) && label >= 0 && label < CLASSES_MAX)) {
      requireData(false, `the label of row ${i} is ${label}, not a class from 0 to ${CLASSES_MAX - 1}`);
    }
    if (label > most) most = label;
  }
  requireData(most > 0, 'all labels are of one class');
  const counts = new Uint32Array(most + 1);
  for (const label of labels) counts[label]! += 1;
  const absent = counts.indexOf(0);
  requireData(absent < 0, `class ${absent} has no row`);
  return counts;
}

/** What each row counts: its own weight times that of its class. Throws `training_data_insufficient` for a class whose rows weigh nothing. */
export function rowWeights(labels: Float32Array, classes: number, own: Float32Array | undefined, classWeights: ClassWeights): Float64Array {
  const sums = new Float64Array(classes);
  let total = 0;
  for (let row = 0; row < labels.length; row++) {
    const weight = own ? own[row]! : 1;
    sums[labels[row]!]! += weight;
    total += weight;
  }
  const byClass = Array.from(sums, (sum, k) => {
    requireData(sum > 0, `the rows of class ${k} weigh nothing`);
    if (classWeights === undefined) return 1;
    return classWeights === 'balanced' ? total / (classes * sum) : classWeights[k];
  });
  for (const weight of byClass) {
    requireParam(weight !== undefined && weight > 0 && weight < Number.POSITIVE_INFINITY, `classWeights needs ${classes} positive numbers`);
  }
  return Float64Array.from(labels, (label, i) => byClass[label]! * (own ? own[i]! : 1));
}
