import { expect } from 'vitest';
import { bindOnnx, type OnnxBuffer } from '../../../scoring/models/onnx.ts';
import { type Random, seededRandom } from '../../learners/random.ts';
import { mul } from './arithmetic.ts';
import { sum } from './reduction.ts';
import { sizeOf } from './shape.ts';
import { type FloatType, Tape, type Value } from './tape.ts';

/** A tracked input of the function under test: its shape, and where its values lie (standard normal when absent). */
export interface CheckedInput {
  readonly shape: readonly number[];
  readonly draw?: (random: Random) => number;
}

export interface CheckOptions {
  /** float64 unless onnxruntime lacks a kernel: differences of float32 losses have only three digits. */
  readonly type?: FloatType;
  readonly seed?: number;
}

/** Step of the differences and largest error allowed, relative to the largest gradient of the input. */
const LIMITS = { float64: { step: 1e-5, error: 1e-7 }, float32: { step: 1e-2, error: 2e-3 } } as const;

export const positive = (random: Random): number => 0.5 + random.next();

type AnyFloats = Float32Array | Float64Array;

interface Compiled {
  readonly values: AnyFloats[];
  readonly gradients: AnyFloats[];
  readonly loss: AnyFloats;
  readonly run: () => Promise<void>;
  readonly release: () => Promise<void>;
}

/** The function with random weights on its outputs as a loss, and the gradients of its inputs. */
async function compile(
  build: (inputs: readonly Value[]) => Value,
  inputs: readonly CheckedInput[],
  type: FloatType,
  seed: number,
): Promise<Compiled> {
  const random = seededRandom(seed);
  const floats = (length: number, draw: () => number): AnyFloats => {
    const data = type === 'float64' ? new Float64Array(length) : new Float32Array(length);
    return data.map(draw);
  };
  const tape = new Tape('check', { type });
  const tracked = inputs.map(({ shape }, i) => tape.input(`x${i}`, shape, { tracked: true }));
  const out = build(tracked);
  const shape = out.shape.map(Number);
  const weights = tape.constant(
    'weights',
    floats(sizeOf(shape), () => random.normal()),
    shape,
  );
  const loss = sum(mul(out, weights));
  tape.output('loss', loss);
  tape.gradients(loss, tracked).forEach((gradient, i) => {
    tape.output(`d${i}`, gradient);
  });
  const values = inputs.map(({ shape, draw }) => floats(sizeOf(shape), () => (draw ? draw(random) : random.normal())));
  const gradients = inputs.map(({ shape }) => floats(sizeOf(shape), () => 0));
  const lossData = floats(1, () => 0);
  const named = (prefix: string, data: AnyFloats[]): Record<string, OnnxBuffer> =>
    Object.fromEntries(data.map((part, i) => [`${prefix}${i}`, { data: part, dims: inputs[i]!.shape }]));
  const bound = await bindOnnx(tape.graph.toBytes(), named('x', values), { ...named('d', gradients), loss: { data: lossData, dims: [] } });
  return { values, gradients, loss: lossData, run: bound.run, release: bound.release };
}

/** Expects that the gradients of `build` are what central differences say, for every value of every input. */
export async function checkGradients(
  build: (inputs: readonly Value[]) => Value,
  inputs: readonly CheckedInput[],
  options: CheckOptions = {},
): Promise<void> {
  const type = options.type ?? 'float64';
  const { step, error } = LIMITS[type];
  const { values, gradients, loss, run, release } = await compile(build, inputs, type, options.seed ?? 1);
  await run();
  const analytic = gradients.map((gradient) => gradient.slice());
  for (const [i, data] of values.entries()) {
    const numeric = new Float64Array(data.length);
    for (let at = 0; at < data.length; at++) {
      const centre = data[at]!;
      const lossAt = async (x: number): Promise<number> => {
        data[at] = x;
        await run();
        return loss[0]!;
      };
      const difference = (await lossAt(centre + step)) - (await lossAt(centre - step));
      numeric[at] = difference / (2 * step);
      data[at] = centre;
    }
    const largest = numeric.reduce((most, x) => Math.max(most, Math.abs(x)), 1e-2);
    numeric.forEach((x, at) => {
      expect(Math.abs(x - analytic[i]![at]!) / largest, `input ${i}, value ${at}: ${analytic[i]![at]} against ${x}`).toBeLessThan(error);
    });
  }
  await release();
}

/** Loss and gradients of `build` at seeded inputs, in float64: to compare a fast form with a plain one, or float32 with float64. */
export async function lossAndGradients(
  build: (inputs: readonly Value[]) => Value,
  inputs: readonly CheckedInput[],
  options: CheckOptions = {},
): Promise<{ loss: number; gradients: number[][] }> {
  const { gradients, loss, run, release } = await compile(build, inputs, options.type ?? 'float64', options.seed ?? 1);
  await run();
  await release();
  return { loss: loss[0]!, gradients: gradients.map((gradient) => [...gradient]) };
}
