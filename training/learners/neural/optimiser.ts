import { requireParam } from '../contract.ts';
import { ADAM_DEFAULTS, type AdamParams, adamStep, adamUpdate, clipScale, createMoments, squaredNorm } from './adam.ts';
import type { Embedding } from './embedding.ts';
import type { Weights } from './weights.ts';

export interface OptimiserParams {
  readonly learningRate: number;
  /** Steps at the start over which the rate rises from 0. */
  readonly warmupSteps: number;
  /** Share of the rate that the cosine ends at. */
  readonly finalShare: number;
  readonly totalSteps: number;
  /** Largest length of all gradients together; 0: no limit. */
  readonly clipNorm: number;
  readonly adam?: AdamParams;
}

/** The learning rate of step `step` (0, 1, …): a linear warm-up, then half a cosine down to `finalShare` of the top. */
export function scheduledRate(
  step: number,
  { learningRate, warmupSteps, finalShare, totalSteps }: Omit<OptimiserParams, 'clipNorm' | 'adam'>,
): number {
  if (step < warmupSteps) return (learningRate * (step + 1)) / warmupSteps;
  const share = Math.min(1, (step - warmupSteps) / Math.max(1, totalSteps - warmupSteps));
  return learningRate * (finalShare + (1 - finalShare) * 0.5 * (1 + Math.cos(Math.PI * share)));
}

export interface Optimiser {
  /** Moves the weights and the embeddings along their gradients. Throws when a gradient is not finite. */
  step(): void;
}

/** Adam over dense weights and lazily over embeddings, one common gradient limit and one schedule for all. */
export function createOptimiser(weights: Weights, embeddings: readonly Embedding[], params: OptimiserParams): Optimiser {
  const { learningRate, finalShare, warmupSteps, totalSteps } = params;
  requireParam(Number.isFinite(learningRate) && learningRate > 0, `learningRate must be positive, not ${learningRate}`);
  requireParam(finalShare >= 0 && finalShare <= 1, `finalShare must be 0 to 1, not ${finalShare}`);
  requireParam(Number.isInteger(warmupSteps) && warmupSteps >= 0 && totalSteps >= 1, 'warmupSteps must be 0 or more, totalSteps 1 or more');
  const adam = params.adam ?? ADAM_DEFAULTS;
  const moments = createMoments(weights.values.length);
  let steps = 0;
  return {
    step() {
      const squares = embeddings.reduce((sum, embedding) => sum + embedding.pendingSquaredNorm(), squaredNorm(weights.gradients));
      // A weight that is once NaN stays so, and a model of NaN is found only by the evaluation: stop here, where the reason is near.
      if (!Number.isFinite(squares)) throw new Error(`the gradients of step ${steps} are not finite: lower the learning rate`);
      const scale = clipScale(squares, params.clipNorm);
      const here = adamStep(steps + 1, scheduledRate(steps, params), adam);
      adamUpdate(weights.values, moments, 0, weights.gradients, 0, weights.values.length, scale, here, adam);
      for (const embedding of embeddings) embedding.update(scale, here, adam);
      steps++;
    },
  };
}
