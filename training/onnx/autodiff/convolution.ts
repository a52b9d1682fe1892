import { concat, pad, slice } from './layout.ts';
import { linear } from './matrix.ts';
import { max, mean } from './reduction.ts';
import { known } from './shape.ts';
import type { Value } from './tape.ts';

export interface Conv1dOptions {
  readonly kernel: number;
  /** Steps between the taps of the kernel. */
  readonly dilation?: number;
  /** Zeros before the first step; kernel - 1 times the dilation makes the convolution causal: step t sees no later one. */
  readonly padBefore?: number;
  readonly padAfter?: number;
}

/**
 * Convolution over time as one matrix product: x is [n, steps, channels], the weight [kernel * channels, out] with the earliest tap first.
 *
 *     taps of step t:  x[t] | x[t + dilation] | …      side by side, times the weight
 */
export function conv1d(x: Value, weight: Value, bias: Value, options: Conv1dOptions): Value {
  const { kernel, dilation = 1, padBefore = 0, padAfter = 0 } = options;
  const padded = padBefore + padAfter > 0 ? pad(x, 1, padBefore, padAfter) : x;
  const steps = known(padded.shape[1]) - (kernel - 1) * dilation;
  if (steps < 1) throw new Error(`a kernel of ${kernel} does not fit ${padded.shape[1]} steps`);
  const taps = Array.from({ length: kernel }, (_, k) => slice(padded, 1, k * dilation, k * dilation + steps));
  return linear(taps.length === 1 ? taps[0]! : concat(taps, 2), weight, bias);
}

/** The largest value of each channel over all steps: [n, steps, channels] to [n, channels]. */
export function maxPool(x: Value): Value {
  return max(x, 1);
}

/** The mean of each channel over all steps: [n, steps, channels] to [n, channels]. */
export function meanPool(x: Value): Value {
  return mean(x, [1]);
}
