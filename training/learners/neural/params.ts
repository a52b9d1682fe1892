import { requireParam } from '../contract.ts';
import type { OptimiserParams } from './optimiser.ts';

/** What every neural learner can be told about its training. */
export interface NeuralParams {
  learningRate: number;
  /** Share of all steps over which the learning rate rises from 0. */
  warmupShare: number;
  /** Share of the learning rate that its cosine ends at. */
  finalShare: number;
  /** Largest length of all gradients of a step together; 0: no limit. */
  clipNorm: number;
  batchSize: number;
  /** Epochs at most. */
  epochs: number;
  /** Epochs without a better validation loss after which training stops; 0: never. Needs validation rows. */
  patience: number;
}

export const NEURAL_DEFAULTS: NeuralParams = {
  learningRate: 1e-3,
  warmupShare: 0.02,
  finalShare: 0.03,
  clipNorm: 5,
  batchSize: 256,
  epochs: 10,
  patience: 2,
};

/** A step's buffers grow with the batch; none of the learners gains beyond this. */
const BATCH_SIZE_MAX = 65_536;
const EPOCHS_MAX = 10_000;
/** Units of one layer. */
const WIDTH_MAX = 8192;

export function checkNeural({ learningRate, warmupShare, finalShare, clipNorm, batchSize, epochs, patience }: NeuralParams): void {
  positive('learningRate', learningRate);
  share('warmupShare', warmupShare);
  requireParam(finalShare >= 0 && finalShare <= 1, `finalShare must be 0 to 1, not ${finalShare}`);
  requireParam(clipNorm >= 0, `clipNorm must be 0 or more, not ${clipNorm}`);
  whole('batchSize', batchSize, 1, BATCH_SIZE_MAX);
  whole('epochs', epochs, 1, EPOCHS_MAX);
  whole('patience', patience, 0, EPOCHS_MAX);
}

export function whole(name: string, value: number, low: number, high: number): void {
  requireParam(Number.isInteger(value) && value >= low && value <= high, `${name} must be a whole number from ${low} to ${high}, not ${value}`);
}

export function width(name: string, value: number): void {
  whole(name, value, 1, WIDTH_MAX);
}

export function positive(name: string, value: number): void {
  requireParam(Number.isFinite(value) && value > 0, `${name} must be positive, not ${value}`);
}

/** At least 0 and under 1: dropout of everything leaves nothing to scale. */
export function share(name: string, value: number): void {
  requireParam(value >= 0 && value < 1, `${name} must be at least 0 and under 1, not ${value}`);
}

export function optimiserParams(params: NeuralParams, totalSteps: number): OptimiserParams {
  const { learningRate, finalShare, clipNorm, warmupShare } = params;
  return { learningRate, finalShare, clipNorm, totalSteps, warmupSteps: Math.floor(warmupShare * totalSteps) };
}
