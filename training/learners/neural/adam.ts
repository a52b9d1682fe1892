/** Kingma and Ba's names and defaults. */
export interface AdamParams {
  readonly beta1: number;
  readonly beta2: number;
  readonly epsilon: number;
}

export const ADAM_DEFAULTS: AdamParams = { beta1: 0.9, beta2: 0.999, epsilon: 1e-8 };

export interface Moments {
  readonly first: Float32Array;
  readonly second: Float32Array;
}

export function createMoments(length: number): Moments {
  return { first: new Float32Array(length), second: new Float32Array(length) };
}

/** What Adam multiplies with in step `step` (1, 2, …): both bias corrections, folded into the rate and epsilon. */
export interface AdamStep {
  readonly rate: number;
  readonly epsilon: number;
}

export function adamStep(step: number, learningRate: number, { beta1, beta2, epsilon }: AdamParams): AdamStep {
  const correction = Math.sqrt(1 - beta2 ** step);
  return { rate: (learningRate * correction) / (1 - beta1 ** step), epsilon: epsilon * correction };
}

/**
 * Moves `length` values from `valueAt` (their moments lie at the same place) along the gradients from `gradientAt`, each times `scale` first.
 * The hot loop of training: plain arithmetic over typed arrays.
 */
export function adamUpdate(
  values: Float32Array,
  moments: Moments,
  valueAt: number,
  gradients: Float32Array,
  gradientAt: number,
  length: number,
  scale: number,
  { rate, epsilon }: AdamStep,
  { beta1, beta2 }: AdamParams,
): void {
  const { first, second } = moments;
  const rest1 = 1 - beta1;
  const rest2 = 1 - beta2;
  for (let i = 0; i < length; i++) {
    const at = valueAt + i;
    const gradient = gradients[gradientAt + i]! * scale;
    const mean = beta1 * first[at]! + rest1 * gradient;
    const square = beta2 * second[at]! + rest2 * gradient * gradient;
    first[at] = mean;
    second[at] = square;
    values[at]! -= (rate * mean) / (Math.sqrt(square) + epsilon);
  }
}

export function squaredNorm(gradients: Float32Array, length = gradients.length): number {
  let [a, b] = [0, 0];
  const even = length & ~1;
  // Two sums, so that an addition does not wait for the one before.
  for (let i = 0; i < even; i += 2) {
    a += gradients[i]! * gradients[i]!;
    b += gradients[i + 1]! * gradients[i + 1]!;
  }
  if (even < length) a += gradients[even]! * gradients[even]!;
  return a + b;
}

/** What to multiply all gradients with, so that their common length is at most `clipNorm`; 0 or less: no limit. */
export function clipScale(squaredNormOfAll: number, clipNorm: number): number {
  if (clipNorm <= 0) return 1;
  const norm = Math.sqrt(squaredNormOfAll);
  return norm > clipNorm ? clipNorm / norm : 1;
}
