import { requireParam } from '../contract.ts';

/** Value of a smooth function at `x`; writes its gradient. */
export type Smooth = (x: Float64Array, gradient: Float64Array) => number;

export interface MinimiseOptions {
  /** Weight of |x_i| for each coordinate, 0 or more: the lasso's term, which has a corner at zero. */
  readonly l1?: Float64Array;
  /** Done when no coordinate of the gradient is larger. */
  readonly tolerance: number;
  readonly iterationsMax: number;
  readonly progress?: (done: number, total: number, note?: string) => void;
}

export interface Minimum {
  readonly x: Float64Array;
  readonly value: number;
  /** Largest coordinate of the gradient (with `l1`: of the subgradient of least length), by absolute value. */
  readonly gradientMax: number;
  readonly iterations: number;
  readonly converged: boolean;
}

/** Pairs kept of earlier steps; Liu and Nocedal (1989) found 3 to 20 alike. 50,000 terms x 3 classes take 24 MB. */
const HISTORY = 10;
/** A step must gain this share of what the slope promises (Armijo) ... */
const GAIN_SHARE = 1e-4;
/** ... and leave at most this share of the slope (Wolfe), so that every pair measures a positive curvature. */
const SLOPE_SHARE = 0.9;
/** Halvings of a step: after so many it is below what float64 tells apart. */
const TRIES_MAX = 50;

/**
 * Limited-memory BFGS (Liu, Nocedal 1989) with a bisecting Wolfe search; with `l1` OWL-QN (Andrew, Gao 2007). Deterministic. `start` is left
 * as it was. Ends unconverged where no step gains any more, which is as near as float64 comes, or after `iterationsMax`.
 */
export function minimise(smooth: Smooth, start: Float64Array, options: MinimiseOptions): Minimum {
  const { l1 } = options;
  requireParam(l1 === undefined || l1.length === start.length, `l1 must hold ${start.length} weights`);
  const n = start.length;
  const total = (at: Float64Array, gradient: Float64Array) => smooth(at, gradient) + (l1 ? absoluteSum(at, l1) : 0);
  const memory = createMemory();
  let x: Float64Array = start.slice();
  let gradient: Float64Array = new Float64Array(n);
  let value = total(x, gradient);
  requireParam(Number.isFinite(value), `the function is ${value} at the start`);
  let slope = l1 ? subgradient(x, gradient, l1) : gradient;
  let iterations = 0;
  let gradientMax = largest(slope);
  while (gradientMax > options.tolerance && iterations < options.iterationsMax) {
    const direction = memory.direction(slope);
    // A quasi-Newton step must not leave the orthant by way of a direction that the slope does not support.
    if (l1) for (let i = 0; i < n; i++) if (direction[i]! * slope[i]! >= 0) direction[i] = 0;
    const step = search(total, { x, value, slope, direction, l1 }, memory.isEmpty ? 1 / Math.max(1, norm(slope)) : 1);
    // Old curvature can mislead: forget it and go straight down once before giving up.
    if (step === undefined) {
      if (memory.isEmpty) break;
      memory.clear();
      continue;
    }
    iterations++;
    memory.push(difference(step.x, x), difference(step.gradient, gradient));
    ({ x, gradient, value } = step);
    slope = l1 ? subgradient(x, gradient, l1) : gradient;
    gradientMax = largest(slope);
    options.progress?.(iterations, options.iterationsMax, `loss ${value.toFixed(6)}`);
  }
  return { x, value, gradientMax, iterations, converged: gradientMax <= options.tolerance };
}

interface Place {
  readonly x: Float64Array;
  readonly value: number;
  readonly slope: Float64Array;
  readonly direction: Float64Array;
  readonly l1: Float64Array | undefined;
}

/** A step that gains enough, or undefined. Without `l1` it also flattens the slope; with it the step stays in its orthant. */
function search(total: Smooth, place: Place, firstLength: number): { x: Float64Array; value: number; gradient: Float64Array } | undefined {
  const { x, value, slope, direction, l1 } = place;
  const descent = dot(slope, direction);
  if (!(descent < 0)) return undefined;
  const next = new Float64Array(x.length);
  const gradient = new Float64Array(x.length);
  let [low, high, length] = [0, Number.POSITIVE_INFINITY, firstLength];
  for (let attempt = 0; attempt < TRIES_MAX; attempt++) {
    for (let i = 0; i < x.length; i++) {
      next[i] = x[i]! + length * direction[i]!;
      // The orthant of a zero is the one that it moves into.
      if (l1?.[i] && next[i]! * (x[i] !== 0 ? x[i]! : -slope[i]!) <= 0) next[i] = 0;
    }
    const found = total(next, gradient);
    const promised = l1 ? slopeAlong(slope, next, x) : length * descent;
    if (!(found <= value + GAIN_SHARE * promised)) high = length;
    else if (!l1 && dot(gradient, direction) < SLOPE_SHARE * descent) low = length;
    else return { x: next, value: found, gradient };
    length = high === Number.POSITIVE_INFINITY ? 2 * length : (low + high) / 2;
  }
  return undefined;
}

/** Earlier steps and the change of the gradient along them: what stands for the inverse Hessian. */
function createMemory() {
  const pairs: { step: Float64Array; change: Float64Array; curvature: number }[] = [];
  return {
    get isEmpty() {
      return pairs.length === 0;
    },
    clear() {
      pairs.length = 0;
    },
    push(step: Float64Array, change: Float64Array): void {
      const curvature = dot(step, change);
      if (!(curvature > 1e-12 * dot(change, change))) return;
      pairs.push({ step, change, curvature });
      if (pairs.length > HISTORY) pairs.shift();
    },
    /** Minus the inverse Hessian times the slope (two-loop recursion). */
    direction(slope: Float64Array): Float64Array {
      const out = slope.map((g) => -g);
      const shares = new Float64Array(pairs.length);
      for (let p = pairs.length - 1; p >= 0; p--) {
        const { step, change, curvature } = pairs[p]!;
        shares[p] = dot(step, out) / curvature;
        addScaled(out, change, -shares[p]!);
      }
      const last = pairs.at(-1);
      if (last) scale(out, last.curvature / dot(last.change, last.change));
      pairs.forEach(({ step, change, curvature }, p) => {
        addScaled(out, step, shares[p]! - dot(change, out) / curvature);
      });
      return out;
    },
  };
}

/** The subgradient of least length of smooth + sum l1 |x|. */
function subgradient(x: Float64Array, gradient: Float64Array, l1: Float64Array): Float64Array {
  return gradient.map((g, i) => {
    const weight = l1[i]!;
    if (x[i]! !== 0) return g + weight * Math.sign(x[i]!);
    return Math.abs(g) <= weight ? 0 : g - weight * Math.sign(g);
  });
}

function absoluteSum(x: Float64Array, weights: Float64Array): number {
  let sum = 0;
  for (let i = 0; i < x.length; i++) sum += weights[i]! * Math.abs(x[i]!);
  return sum;
}

function slopeAlong(slope: Float64Array, to: Float64Array, from: Float64Array): number {
  let sum = 0;
  for (let i = 0; i < slope.length; i++) sum += slope[i]! * (to[i]! - from[i]!);
  return sum;
}

function dot(a: Float64Array, b: Float64Array): number {
  let sum = 0;
  for (let i = 0; i < a.length; i++) sum += a[i]! * b[i]!;
  return sum;
}

function norm(a: Float64Array): number {
  return Math.sqrt(dot(a, a));
}

function largest(a: Float64Array): number {
  let most = 0;
  for (const value of a) if (Math.abs(value) > most) most = Math.abs(value);
  return most;
}

function difference(a: Float64Array, b: Float64Array): Float64Array {
  return a.map((value, i) => value - b[i]!);
}

function addScaled(out: Float64Array, a: Float64Array, by: number): void {
  for (let i = 0; i < out.length; i++) out[i]! += by * a[i]!;
}

function scale(out: Float64Array, by: number): void {
  for (let i = 0; i < out.length; i++) out[i]! *= by;
}
