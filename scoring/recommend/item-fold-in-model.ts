import { CONTENT_DIMENSIONS_MAX, type ItemFoldInFile } from '../../contracts/bundle.ts';
import { GatehouseError } from '../../contracts/errors.ts';
import { alignedBuffer } from './retrieval.ts';

/** Wider factors than any learner makes. */
const FACTORS_MAX = 1024;

/** From content vectors to the trained space: `weights` has for each factor one number a component and a constant last. */
export interface ContentMap {
  readonly dimensions: number;
  readonly weights: Float32Array;
  /** Share of the variance of held-out items' factors that it explains. */
  readonly r2: number;
}

/** What places items that training did not know among those that it did. Learned offline, plain data. */
export interface ItemFoldInModel {
  readonly factors: number;
  readonly regularization: number;
  readonly alpha: number;
  /** Acts that training saw. */
  readonly acts: number;
  /** Gram matrix of all users' vectors, row-major. */
  readonly userGram: Float64Array;
  /** Absent where the content of items says nothing about their factors. */
  readonly contentMap?: ContentMap;
}

/** The factors that an item of this content is expected to have. */
export function expectedFactors({ dimensions, weights }: ContentMap, content: Float32Array): Float32Array {
  const width = dimensions + 1;
  return Float32Array.from({ length: weights.length / width }, (_, factor) => {
    let sum = weights[factor * width + dimensions]!;
    for (let i = 0; i < dimensions; i++) sum += weights[factor * width + i]! * content[i]!;
    return sum;
  });
}

/** The model of a bundle's table. Throws `bundle_corrupt`. */
export function itemFoldInOf(file: ItemFoldInFile | null): ItemFoldInModel {
  const { factors, regularization, alpha, acts } = file ?? {};
  const isPositive = (value: unknown): boolean => typeof value === 'number' && Number.isFinite(value) && value > 0;
  if (!file || !Number.isInteger(factors) || !isPositive(factors) || factors! > FACTORS_MAX || ![regularization, alpha, acts].every(isPositive))
    throw new GatehouseError('bundle_corrupt', 'the table of the item fold-in is none');
  const gramBytes = alignedBuffer(file.user_gram);
  const holds = gramBytes.byteLength === 8 * file.factors ** 2;
  const userGram = holds ? new Float64Array(gramBytes) : undefined;
  // Anything else than sums of squares on its diagonal could leave a system without a solution.
  if (!userGram?.every((value, i) => Number.isFinite(value) && (i % (file.factors + 1) !== 0 || value >= 0)) || !isSymmetric(userGram, file.factors))
    throw new GatehouseError('bundle_corrupt', 'the table of the item fold-in does not hold together');
  const contentMap = file.content && contentMapOf(file.content, file.factors);
  return {
    factors: file.factors,
    regularization: file.regularization,
    alpha: file.alpha,
    acts: file.acts,
    userGram,
    ...(contentMap && { contentMap }),
  };
}

function contentMapOf({ dimensions, weights, r2 }: NonNullable<ItemFoldInFile['content']>, factors: number): ContentMap {
  const table = new Float32Array(alignedBuffer(weights));
  const isSize = Number.isInteger(dimensions) && dimensions >= 1 && dimensions <= CONTENT_DIMENSIONS_MAX;
  if (!isSize || table.length !== factors * (dimensions + 1) || !table.every(Number.isFinite) || !Number.isFinite(r2))
    throw new GatehouseError('bundle_corrupt', 'the map from content to factors does not hold together');
  return { dimensions, weights: table, r2 };
}

function isSymmetric(matrix: Float64Array, n: number): boolean {
  for (let i = 0; i < n; i++) for (let j = 0; j < i; j++) if (matrix[i * n + j] !== matrix[j * n + i]) return false;
  return true;
}
