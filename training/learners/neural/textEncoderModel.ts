import type { TermSequences } from '../../../scoring/text/sequence.ts';
import { termCount } from '../../../scoring/text/terms.ts';
import { relu } from '../../onnx/autodiff/activation.ts';
import { binary, dropout } from '../../onnx/autodiff/arithmetic.ts';
import { conv1d, maxPool } from '../../onnx/autodiff/convolution.ts';
import { concat } from '../../onnx/autodiff/layout.ts';
import { sum } from '../../onnx/autodiff/reduction.ts';
import { softmax } from '../../onnx/autodiff/softmax.ts';
import { Tape, type Value } from '../../onnx/autodiff/tape.ts';
import { dense } from './dense.ts';
import { asFloat, embedItems, isItemNumber } from './itemInputs.ts';
import type { History } from './loop.ts';
import { servedWeights, type WeightOf } from './step.ts';
import { denseSpecs, he, type StoredWeights, type WeightSpec } from './weights.ts';

export interface TextNetwork {
  /** bag: the mean of the terms' embeddings (Joulin et al. 2017). cnn: convolutions over the words, the largest answer over the text (Kim 2014). */
  readonly encoder: 'bag' | 'cnn';
  /** Of the embeddings. */
  readonly width: number;
  /** cnn: words that the convolutions see at once. */
  readonly kernels: readonly number[];
  /** cnn: outputs of each convolution. */
  readonly filters: number;
}

export interface TextEncoderModel {
  /** What the gateway needs beside the ONNX file: scoring/text/sequence.ts writes and reads it, and turns texts into the model's input. */
  readonly sequences: TermSequences;
  readonly network: TextNetwork;
  readonly classes: number;
  /** Row-major terms x width. */
  readonly embeddings: Float32Array;
  readonly weights: StoredWeights;
  readonly history: History;
}

/** Values that stand for one text before the classes are told apart. */
export function encodedWidth({ encoder, width, kernels, filters }: TextNetwork): number {
  return encoder === 'bag' ? width : kernels.length * filters;
}

export function textSpecs(network: TextNetwork, classes: number): WeightSpec[] {
  const { encoder, width, kernels, filters } = network;
  const convolutions = encoder === 'bag' ? [] : kernels.flatMap((k) => denseSpecs(`taps${k}`, k * width, filters, he(k * width)));
  return [...convolutions, ...denseSpecs('classes', encodedWidth(network), classes)];
}

/** Logits [n, classes] of texts: bag takes their mean embeddings [n, width], cnn the embeddings of each place [n, lengthMax, width], zeros for none. */
export function textLogits(x: Value, network: TextNetwork, weight: WeightOf, mask?: Value): Value {
  const encoded = network.encoder === 'bag' ? x : convolved(x, network.kernels, weight);
  return dense('classes', mask ? dropout(encoded, mask) : encoded, weight);
}

function convolved(x: Value, kernels: readonly number[], weight: WeightOf): Value {
  const parts = kernels.map((kernel) => maxPool(relu(conv1d(x, weight(`taps${kernel}.weight`), weight(`taps${kernel}.bias`), { kernel }))));
  return parts.length === 1 ? parts[0]! : concat(parts, 1);
}

/**
 * The model as ONNX: input `ids` int64 [N, lengthMax] of `sequenceTensor`, any number that is no term's counts as none; outputs `score` (logits) and
 * `probabilities`, both float [N, classes].
 */
export function textEncoderToOnnx(model: TextEncoderModel, metadata: Readonly<Record<string, string>> = {}): Uint8Array {
  const { sequences, network, embeddings } = model;
  const terms = termCount(sequences.terms);
  const tape = new Tape('text_encoder', { metadata });
  const ids = tape.input('ids', ['N', sequences.lengthMax], { type: 'int64' });
  const isTerm = isItemNumber(ids, terms);
  const rows = embedItems(ids, isTerm, embeddings, terms);
  const input = network.encoder === 'bag' ? meanOf(rows, isTerm) : rows;
  const logits = textLogits(input, network, servedWeights(tape, model.weights));
  tape.output('score', logits);
  tape.output('probabilities', softmax(logits));
  return tape.graph.toBytes();
}

/** Zeros for a text without a term. */
function meanOf(rows: Value, isTerm: Value): Value {
  const count = binary('Max', sum(asFloat(isTerm), [1], true), rows.tape.scalar(1));
  return binary('Div', sum(rows, [1]), count);
}
