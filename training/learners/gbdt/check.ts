import { requireData, requireParam } from '../contract.ts';
import type { GbdtRows } from './objective.ts';
import { checkFeatureParams, type GbdtParams } from './params.ts';

/** Relevance grades over this would overflow 2^grade - 1 in sums; LightGBM has the same limit. */
const GRADE_MAX = 31;
/** Categories are float32 in rows and in the model: whole numbers beyond are not told apart. */
const CATEGORY_MAX = 2 ** 24;

/** Throws `training_data_insufficient` for data that cannot be learned from, a RangeError for arrays that do not fit together. */
export function checkRows(data: GbdtRows, params: GbdtParams, featureCount = data.f): void {
  const { n, f, labels, weights, offsets } = data;
  requireData(n > 0 && f > 0, 'the table has no rows or no features');
  requireParam(f === featureCount, `validation rows have ${f} features, training rows ${featureCount}`);
  requireParam(data.rows.length === n * f, `rows must hold ${n} x ${f} values, not ${data.rows.length}`);
  requireParam(labels.length === n, `there must be ${n} labels, not ${labels.length}`);
  requireParam(weights === undefined || weights.length === n, `there must be ${n} weights`);
  requireParam(offsets === undefined || offsets.length === n, `there must be ${n} offsets`);
  requireData(offsets?.every(Number.isFinite) ?? true, 'an offset is not finite');
  checkFeatureParams(params, f);
  checkLabels(labels, params);
  let weightSum = 0;
  for (let i = 0; weights && i < n; i++) {
    requireData(weights[i]! >= 0 && weights[i]! < Infinity, `the weight of row ${i} is ${weights[i]}`);
    weightSum += weights[i]!;
  }
  requireData(!weights || weightSum > 0, 'all weights are zero');
  if (params.objective === 'lambdarank') checkGroups(data);
  for (const feature of params.categoricalFeature) checkCategories(data, feature);
}

function checkLabels(labels: Float32Array, { objective }: GbdtParams): void {
  for (let i = 0; i < labels.length; i++) {
    const label = labels[i]!;
    const valid =
      objective === 'binary'
        ? label === 0 || label === 1
        : objective !== 'lambdarank'
          ? Number.isFinite(label) && (objective !== 'poisson' || label >= 0)
          : Number.isInteger(label) && label >= 0 && label <= GRADE_MAX;
    if (!valid) requireData(false, `the label of row ${i} is ${label}: ${WANTED[objective]}`);
  }
}

const WANTED = {
  binary: 'it must be 0 or 1',
  regression: 'it must be finite',
  quantile: 'it must be finite',
  poisson: 'it must be finite, 0 or more',
  lambdarank: `it must be a whole number of 0 to ${GRADE_MAX}`,
} as const;

function checkGroups({ groups, n }: GbdtRows): void {
  requireParam(groups !== undefined, 'lambdarank needs groups: the sizes of the queries');
  const sum = groups.reduce((total, size) => total + size, 0);
  requireParam(sum === n && groups.every((size) => size > 0), `the group sizes must be positive and sum to ${n}`);
}

function checkCategories({ rows, n, f }: GbdtRows, feature: number): void {
  for (let row = 0; row < n; row++) {
    const x = rows[row * f + feature]!;
    const valid = Number.isNaN(x) || (Number.isInteger(x) && x >= 0 && x <= CATEGORY_MAX);
    if (!valid) requireData(false, `row ${row} has ${x} in categorical column ${feature}: categories are whole numbers from 0 to 2^24`);
  }
}
