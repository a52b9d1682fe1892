import type { FitOptions } from '../contract.ts';
import type { Random } from '../random.ts';

/** What neural learners take beside the contract's options. */
export interface NeuralFitOptions<Validation = never> extends FitOptions<Validation> {
  /** Ends training at the next step; `fit` then rejects with the signal's reason. */
  readonly signal?: AbortSignal;
  /** Threads of a training step, TRAINING_THREADS when absent. */
  readonly threads?: number;
}

export interface Loop {
  readonly epochs: number;
  /** Epochs without a smaller validation loss after which training stops; 0: never. */
  readonly patience: number;
  /** Steps of one epoch. */
  readonly steps: number;
  /** Called before the steps of an epoch: shuffles. */
  startEpoch(epoch: number): void;
  /** Trains one mini-batch; returns its loss. */
  train(step: number): Promise<number>;
  /** Loss on the validation rows, smaller is better; absent: all epochs run. */
  readonly validate?: () => Promise<number>;
  /** Keeps the weights of the best epoch, and brings them back. */
  readonly keep: () => void;
  readonly restore: () => void;
}

export interface History {
  readonly trainLosses: readonly number[];
  readonly validationLosses: readonly number[];
  /** Epochs that the returned weights have seen. */
  readonly epochs: number;
}

/** Runs epochs of mini-batches; with validation the weights of the best epoch are the ones left in place. */
export async function runEpochs(loop: Loop, { progress, signal }: Pick<NeuralFitOptions, 'progress' | 'signal'>): Promise<History> {
  const trainLosses: number[] = [];
  const validationLosses: number[] = [];
  let best = 0;
  for (let epoch = 0; epoch < loop.epochs; epoch++) {
    loop.startEpoch(epoch);
    let sum = 0;
    for (let step = 0; step < loop.steps; step++) {
      signal?.throwIfAborted();
      sum += await loop.train(step);
      progress?.(epoch * loop.steps + step + 1, loop.epochs * loop.steps, `epoch ${epoch + 1}, loss ${(sum / (step + 1)).toFixed(4)}`);
    }
    trainLosses.push(sum / loop.steps);
    if (!loop.validate) continue;
    validationLosses.push(await loop.validate());
    if (best === 0 || validationLosses[epoch]! < validationLosses[best - 1]!) {
      best = epoch + 1;
      loop.keep();
    } else if (loop.patience > 0 && epoch + 1 - best >= loop.patience) break;
  }
  if (best > 0) loop.restore();
  return { trainLosses, validationLosses, epochs: best > 0 ? best : trainLosses.length };
}

/** Shuffles in place (Fisher and Yates). */
export function shuffle(order: Int32Array, random: Random): void {
  for (let i = order.length - 1; i > 0; i--) {
    const j = random.int(i + 1);
    const kept = order[i]!;
    order[i] = order[j]!;
    order[j] = kept;
  }
}

/** Fills a dropout mask: 0 with probability `rate`, else what keeps the mean. */
export function fillDropout(mask: Float32Array, rate: number, random: Random): void {
  const kept = 1 / (1 - rate);
  for (let i = 0; i < mask.length; i++) mask[i] = random.next() < rate ? 0 : kept;
}
