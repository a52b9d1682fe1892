import { add } from '../../onnx/autodiff/arithmetic.ts';
import { linear } from '../../onnx/autodiff/matrix.ts';
import { l2Normalise } from '../../onnx/autodiff/softmax.ts';
import type { Value } from '../../onnx/autodiff/tape.ts';
import type { EncoderParams } from './encoders.ts';
import type { History } from './loop.ts';
import type { WeightOf } from './step.ts';
import type { StoredWeights } from './weights.ts';

export interface NextItemModel extends EncoderParams {
  readonly items: number;
  readonly logitScale: number;
  /** Row-major items x width, each row of length 1. */
  readonly itemEmbeddings: Float32Array;
  readonly itemBias: Float32Array;
  readonly weights: StoredWeights;
  readonly history: History;
}

/** What is asked for after each click: a unit vector of the state and the click itself, both [..., width]. */
export function queryOf(state: Value, click: Value, weight: WeightOf): Value {
  return l2Normalise(add(linear(state, weight('state.weight'), weight('state.bias')), linear(click, weight('click.weight'))));
}
