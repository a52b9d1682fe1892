import { bindOnnx, type OnnxBuffer } from '../../../scoring/models/onnx.ts';
import { sizeOf } from '../../onnx/autodiff/shape.ts';
import { Tape, type Value } from '../../onnx/autodiff/tape.ts';
import type { StoredWeights, Weights } from './weights.ts';

/** Threads of a training step. A fixed number and not the machine's, because the order of a sum, and with it the model, may depend on it. */
export const TRAINING_THREADS = 2;

/** Finds a weight by its name: a tracked input while training, a constant when serving. Layers are written against this alone. */
export type WeightOf = (name: string) => Value;

export interface StepInputs {
  readonly tape: Tape;
  readonly weight: WeightOf;
  /** Data fed in each step; `rows` of embeddings get a gradient back. */
  floats(name: string, shape: readonly number[]): Value;
  rows(name: string, shape: readonly number[]): Value;
  indices(name: string, shape: readonly number[]): Value;
}

/** One compiled training step of fixed sizes: write the feeds, run, read the loss and the gradients. Weight gradients lie in `weights`. */
export interface TrainingStep {
  readonly floats: Readonly<Record<string, Float32Array>>;
  readonly indices: Readonly<Record<string, BigInt64Array>>;
  /** Gradients of what `rows` declared. */
  readonly rowGradients: Readonly<Record<string, Float32Array>>;
  /** Computes all gradients; returns the loss. */
  run(): Promise<number>;
  release(): Promise<void>;
}

/** Writes forward and backward halves of `build`'s loss into one graph and binds it to buffers; with `lossOnly` the forward half alone. */
export async function compileStep(
  name: string,
  weights: Weights,
  build: (inputs: StepInputs) => Value,
  options: { readonly threads?: number | undefined; readonly lossOnly?: boolean } = {},
): Promise<TrainingStep> {
  const tape = new Tape(name);
  const feeds: Record<string, OnnxBuffer> = {};
  const floats: Record<string, Float32Array> = {};
  const indices: Record<string, BigInt64Array> = {};
  const rowGradients: Record<string, Float32Array> = {};
  const wanted: { value: Value; into: Float32Array }[] = [];
  const used = new Map<string, Value>();

  const floatFeed = (input: string, shape: readonly number[], tracked: boolean): Value => {
    const data = new Float32Array(sizeOf(shape));
    floats[input] = data;
    feeds[input] = { data, dims: shape };
    return tape.input(input, shape, { tracked });
  };
  const loss = build({
    tape,
    weight: (weightName) => {
      let value = used.get(weightName);
      if (!value) {
        const weight = weights.byName.get(weightName);
        if (!weight) throw new Error(`there is no weight ${weightName}`);
        value = tape.input(weightName, weight.shape, { tracked: true });
        feeds[weightName] = { data: weight.value, dims: weight.shape };
        used.set(weightName, value);
        wanted.push({ value, into: weight.gradient });
      }
      return value;
    },
    floats: (input, shape) => floatFeed(input, shape, false),
    rows: (input, shape) => {
      const value = floatFeed(input, shape, true);
      const into = new Float32Array(sizeOf(shape));
      rowGradients[input] = into;
      wanted.push({ value, into });
      return value;
    },
    indices: (input, shape) => {
      const data = new BigInt64Array(sizeOf(shape));
      indices[input] = data;
      feeds[input] = { data, dims: shape };
      return tape.input(input, shape, { type: 'int64' });
    },
  });

  const lossData = new Float32Array(1);
  const fetches: Record<string, OnnxBuffer> = { [tape.output('loss', loss)]: { data: lossData, dims: [] } };
  const { lossOnly = false } = options;
  const values = wanted.map(({ value }) => value);
  const gradients = lossOnly ? [] : tape.gradients(loss, values);
  gradients.forEach((gradient, i) => {
    const { value, into } = wanted[i]!;
    fetches[tape.output(`gradient of ${value.name}`, gradient)] = { data: into, dims: value.shape.map(Number) };
  });
  const bound = await bindOnnx(tape.graph.toBytes(), feeds, fetches, { intraOpThreads: options.threads ?? TRAINING_THREADS });
  return {
    floats,
    indices,
    rowGradients,
    async run() {
      await bound.run();
      return lossData[0]!;
    },
    release: bound.release,
  };
}

/** Weights as constants of a graph that is served. */
export function servedWeights(tape: Tape, weights: StoredWeights): WeightOf {
  const stored = new Map<string, Value>();
  return (name) => {
    let value = stored.get(name);
    if (!value) {
      const weight = weights[name];
      if (!weight) throw new Error(`there is no weight ${name}`);
      value = tape.constant(name, weight.value, weight.shape);
      stored.set(name, value);
    }
    return value;
  };
}
