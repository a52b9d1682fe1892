import { cholesky, solveLower } from '../../scoring/cholesky.ts';
import { gram } from '../learners/als.ts';
import { requireParam } from '../learners/contract.ts';
import { GraphBuilder } from './graph.ts';

export interface FoldInOptions {
  /** Row-major items x factors: all of them, because the model knows what the user did not meet too. */
  readonly itemFactors: Float32Array;
  readonly factors: number;
  /** The one that the factors were fitted with. */
  readonly regularization: number;
  /** Steps of conjugate gradient; see STEPS. */
  readonly cgSteps?: number;
}

/**
 * Steps enough for 1e-6 of the direct solution at confidences up to hundreds. A step more costs a served call about 6 µs.
 */
const STEPS = 16;
const STEPS_MAX = 256;

/** Confidences and factors beyond these are cut, so that no product overflows; trained factors stay under 10. */
const CONFIDENCE_MAX = 1e9;
const FACTOR_MAX = 1e6;
/** Divisors are at least so large: a user of zeros is answered by zeros, not by 0 / 0. */
const DIVISOR_MIN = 1e-280;

/**
 * The user side of ALS as ONNX, for a user whom training never saw: inputs `items` float [n, factors] (factors of the items met) and
 * `confidence` float [n] (alpha * value, 0 or more), output `user` float [1, factors]. NaN inputs count as zero, so the answer is always finite.
 *
 * Solves (Y'Y + lambda I + sum of confidence y y') x = sum of (1 + confidence) y. With Y'Y + lambda I = L L', everything is expressed in
 * L' x and z = L^-1 y, where the matrix is I + sum of confidence z z': close to the identity, since each z z' is a leverage, at most 1 and
 * mostly far less. So a few steps of conjugate gradient reach what takes dozens otherwise, and one item takes two. In float64, as large
 * confidences would leave float32 no digits.
 */
export function foldInModel({ itemFactors, factors, regularization, cgSteps = STEPS }: FoldInOptions): Uint8Array {
  requireParam(Number.isFinite(regularization) && regularization > 0, `regularization must be positive, not ${regularization}`);
  requireParam(Number.isInteger(cgSteps) && cgSteps >= 1 && cgSteps <= STEPS_MAX, `cgSteps must be 1 to ${STEPS_MAX}, not ${cgSteps}`);
  const graph = new GraphBuilder('fold_in');
  graph.input('items', 'float32', ['n', factors]);
  graph.input('confidence', 'float32', ['n']);
  const whiten = graph.initializer('whiten', whitening(itemFactors, factors, regularization), [factors, factors]);
  const constant = (name: string, value: number): string => graph.initializer(name, Float64Array.of(value), []);
  const [zero, one, tiny] = [constant('zero', 0), constant('one', 1), constant('tiny', DIVISOR_MIN)];
  const toDouble = (name: string): string => graph.node('Cast', [name], { to: { i: 11 } });
  const dot = (a: string, b: string): string => graph.node('Gemm', [a, b], { transB: { i: 1 } });
  const divide = (a: string, b: string): string => graph.node('Div', [a, graph.node('Max', [b, tiny])]);

  // A comparison with NaN is false, so both guards also turn NaN into zero.
  const given = toDouble('items');
  const sane = graph.node('LessOrEqual', [graph.node('Abs', [given]), constant('factor_max', FACTOR_MAX)]);
  const items = graph.node('MatMul', [graph.node('Where', [sane, given, zero]), whiten]);
  const raw = toDouble('confidence');
  const positive = graph.node('Where', [graph.node('Greater', [raw, zero]), raw, zero]);
  const capped = graph.node('Min', [positive, constant('confidence_max', CONFIDENCE_MAX)]);
  const confidence = graph.node('Unsqueeze', [capped, graph.ints(0)]);

  let residual = graph.node('MatMul', [graph.node('Add', [confidence, one]), items]);
  let direction = residual;
  let size = dot(residual, residual);
  let user = '';
  for (let step = 0; step < cgSteps; step++) {
    const weighted = graph.node('Mul', [dot(direction, items), confidence]);
    const product = graph.node('Gemm', [weighted, items, direction]);
    const length = divide(size, dot(direction, product));
    const moved = graph.node('Mul', [length, direction]);
    user = step === 0 ? moved : graph.node('Add', [user, moved]);
    if (step === cgSteps - 1) break;
    residual = graph.node('Sub', [residual, graph.node('Mul', [length, product])]);
    const before = size;
    size = dot(residual, residual);
    direction = graph.node('Add', [residual, graph.node('Mul', [divide(size, before), direction])]);
  }
  graph.node('Cast', [dot(user, whiten)], { to: { i: 1 } }, 'user');
  graph.output('user', 'float32', [1, factors]);
  return graph.toBytes();
}

/** The inverse of L', row-major: items times it are the z of above, and x = it times L' x. */
function whitening(itemFactors: Float32Array, factors: number, regularization: number): Float64Array {
  const lower = gram(itemFactors, factors);
  for (let i = 0; i < factors; i++) lower[i * factors + i]! += regularization;
  cholesky(lower, factors);
  const out = new Float64Array(factors * factors);
  for (let row = 0; row < factors; row++) {
    // Column `row` of L^-1 is row `row` of its transpose.
    const column = out.subarray(row * factors, (row + 1) * factors);
    column[row] = 1;
    solveLower(lower, column);
  }
  return out;
}
