import { relu } from '../../onnx/autodiff/activation.ts';
import { add, scale, where } from '../../onnx/autodiff/arithmetic.ts';
import { conv1d } from '../../onnx/autodiff/convolution.ts';
import { reshape, slice } from '../../onnx/autodiff/layout.ts';
import { matmul, transpose } from '../../onnx/autodiff/matrix.ts';
import { gru, lstm } from '../../onnx/autodiff/recurrent.ts';
import { known } from '../../onnx/autodiff/shape.ts';
import { layerNorm, softmax } from '../../onnx/autodiff/softmax.ts';
import type { Value } from '../../onnx/autodiff/tape.ts';
import type { Random } from '../random.ts';
import { dense } from './dense.ts';
import type { WeightOf } from './step.ts';
import { denseSpecs, glorot, he, ones, type WeightSpec } from './weights.ts';

export type EncoderName = 'gru' | 'lstm' | 'sasrec' | 'cnn';

export interface EncoderParams {
  readonly encoder: EncoderName;
  /** Of the embeddings and the states. */
  readonly width: number;
  /** Steps at most. */
  readonly lengthMax: number;
  /** sasrec and cnn: blocks on top of each other. */
  readonly blocks: number;
  /** sasrec: attention heads; they divide the width. */
  readonly heads: number;
  /** cnn: clicks that one convolution sees. */
  readonly kernel: number;
}

/**
 * Encodes what was clicked up to each step. Causal: state t depends on clicks 0..t alone, so one pass trains all prefixes of a sequence, and
 * whatever fills the places after the last click changes nothing.
 */
export interface Encoder {
  specs(params: EncoderParams): WeightSpec[];
  /** x [steps, n, width] to states [steps, n, width]; n may be a name. */
  states(x: Value, weight: WeightOf, params: EncoderParams): Value;
}

export const ENCODERS: Readonly<Record<EncoderName, Encoder>> = {
  gru: recurrent('gru', 3, gru),
  lstm: recurrent('lstm', 4, lstm),
  sasrec: { specs: sasrecSpecs, states: sasrecStates },
  cnn: { specs: cnnSpecs, states: cnnStates },
};

function recurrent(name: string, gates: number, layer: typeof gru): Encoder {
  return {
    specs({ width }) {
      // PyTorch's range, for its recurrent layers.
      const start = (random: Random) => (2 * random.next() - 1) / Math.sqrt(width);
      return [
        { name: `${name}.input`, shape: [gates * width, width], start },
        { name: `${name}.recurrent`, shape: [gates * width, width], start },
        { name: `${name}.input_bias`, shape: [gates * width] },
        { name: `${name}.recurrent_bias`, shape: [gates * width] },
      ];
    },
    states: (x, weight) =>
      layer(x, {
        input: weight(`${name}.input`),
        recurrent: weight(`${name}.recurrent`),
        inputBias: weight(`${name}.input_bias`),
        recurrentBias: weight(`${name}.recurrent_bias`),
      }),
  };
}

const normSpecs = (name: string, width: number): WeightSpec[] => [
  { name: `${name}.gain`, shape: [width], start: ones },
  { name: `${name}.bias`, shape: [width] },
];
const norm = (name: string, x: Value, weight: WeightOf): Value => layerNorm(x, weight(`${name}.gain`), weight(`${name}.bias`));

function sasrecSpecs({ width, lengthMax, blocks }: EncoderParams): WeightSpec[] {
  const positions = { name: 'positions', shape: [lengthMax, width], start: (random: Random) => 0.02 * random.normal() };
  const layers = Array.from({ length: blocks }, (_, block) => [
    ...normSpecs(`block${block}.before_attention`, width),
    ...['query', 'key', 'value', 'mix'].flatMap((part) => denseSpecs(`block${block}.${part}`, width, width, glorot(width, width))),
    ...normSpecs(`block${block}.before_network`, width),
    ...denseSpecs(`block${block}.widen`, width, 2 * width, he(width)),
    ...denseSpecs(`block${block}.narrow`, 2 * width, width),
  ]);
  return [positions, ...layers.flat(), ...normSpecs('last', width)];
}

/** Self-attention over the clicks so far (Kang and McAuley 2018), normalisation first. The first click has position 0, however long the sequence. */
function sasrecStates(x: Value, weight: WeightOf, { width, blocks, heads }: EncoderParams): Value {
  const steps = known(x.shape[0]);
  // The inputs are unit vectors: times the root of the width their values are as large as those of normalised layers.
  const scaled = scale(transpose(x, [1, 0, 2]), Math.sqrt(width));
  let value = add(scaled, slice(weight('positions'), 0, 0, steps));
  for (let block = 0; block < blocks; block++) {
    const name = `block${block}`;
    value = add(value, attention(name, norm(`${name}.before_attention`, value, weight), heads, weight));
    const inner = relu(dense(`${name}.widen`, norm(`${name}.before_network`, value, weight), weight));
    value = add(value, dense(`${name}.narrow`, inner, weight));
  }
  return transpose(norm('last', value, weight), [1, 0, 2]);
}

/** Low enough that its softmax is exactly 0. */
const MASKED_SCORE = -1e9;

function attention(name: string, x: Value, heads: number, weight: WeightOf): Value {
  const [n, steps, width] = [x.shape[0]!, known(x.shape[1]), known(x.shape[2])];
  const perHead = width / heads;
  const head = (part: string, perm: readonly number[]) => transpose(reshape(dense(`${name}.${part}`, x, weight), [n, steps, heads, perHead]), perm);
  const scores = scale(matmul(head('query', [0, 2, 1, 3]), head('key', [0, 2, 3, 1])), 1 / Math.sqrt(perHead));
  const masked = where(laterSteps(x, steps), x.tape.scalar(MASKED_SCORE), scores);
  const mixed = transpose(matmul(softmax(masked), head('value', [0, 2, 1, 3])), [0, 2, 1, 3]);
  return dense(`${name}.mix`, reshape(mixed, [n, steps, width]), weight);
}

/** Bool [steps, steps]: whether the column lies after the row. */
function laterSteps({ tape }: Value, steps: number): Value {
  const name = 'later_steps';
  if (!tape.graph.knowsName(name)) {
    const later = Uint8Array.from({ length: steps * steps }, (_, at) => Number(at % steps > Math.floor(at / steps)));
    tape.graph.initializer(name, later, [steps, steps], 'bool');
  }
  return tape.wrap(name, [steps, steps]);
}

function cnnSpecs({ width, blocks, kernel }: EncoderParams): WeightSpec[] {
  return Array.from({ length: blocks }, (_, block) => [
    ...normSpecs(`block${block}.before`, width),
    ...denseSpecs(`block${block}.taps`, kernel * width, width, he(kernel * width)),
    ...denseSpecs(`block${block}.mix`, width, width),
  ]).flat();
}

/** Causal dilated convolutions with residuals (Yuan et al. 2019): block b looks back 2^b (kernel - 1) steps. */
function cnnStates(x: Value, weight: WeightOf, { width, blocks, kernel }: EncoderParams): Value {
  let value = scale(transpose(x, [1, 0, 2]), Math.sqrt(width));
  for (let block = 0; block < blocks; block++) {
    const dilation = 2 ** block;
    const options = { kernel, dilation, padBefore: dilation * (kernel - 1) };
    const name = `block${block}`;
    const before = norm(`${name}.before`, value, weight);
    const seen = relu(conv1d(before, weight(`${name}.taps.weight`), weight(`${name}.taps.bias`), options));
    value = add(value, dense(`${name}.mix`, seen, weight));
  }
  return transpose(value, [1, 0, 2]);
}
