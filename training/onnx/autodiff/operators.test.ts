import { describe, expect, test } from 'vitest';
import { bindOnnx } from '../../../scoring/models/onnx.ts';
import { seededRandom } from '../../learners/random.ts';
import { gelu, geluTanh, relu, sigmoid, softplus, tanh } from './activation.ts';
import { add, div, dropout, exp, log, mul, neg, pow, scale, shift, sqrt, sub, where } from './arithmetic.ts';
import { conv1d, maxPool, meanPool } from './convolution.ts';
import { type CheckedInput, type CheckOptions, checkGradients, positive } from './gradients.suite.ts';
import { concat, gather, pad, reshape, slice, split } from './layout.ts';
import { binaryCrossEntropy, sampledSoftmax, softmaxCrossEntropy, squaredError, weightedSum } from './loss.ts';
import { gemm, linear, matmul, transpose } from './matrix.ts';
import { max, mean, sum } from './reduction.ts';
import { l2Normalise, layerNorm, logSoftmax, softmax } from './softmax.ts';
import { Tape, type Value } from './tape.ts';

const of = (...shape: number[]): CheckedInput => ({ shape });
const positiveOf = (...shape: number[]): CheckedInput => ({ shape, draw: positive });
/** Away from the kink at zero, where differences cannot be right. */
const awayFromZero = (...shape: number[]): CheckedInput => ({
  shape,
  draw: (random) => (random.next() < 0.5 ? -1 : 1) * (0.1 + random.next()),
});

type Case = [name: string, build: (inputs: readonly Value[]) => Value, inputs: readonly CheckedInput[], options?: CheckOptions];

const bools = (x: Value, name: string, values: readonly boolean[], shape: readonly number[]): Value => {
  const bits = x.tape.graph.initializer(name, Uint8Array.from(values, Number), shape, 'bool');
  return x.tape.wrap(bits, shape);
};
const integers = (x: Value, name: string, values: readonly number[], shape: readonly number[]): Value =>
  x.tape.constant(name, BigInt64Array.from(values, BigInt), shape);

const CASES: Case[] = [
  ['Add', ([a, b]) => add(a!, b!), [of(2, 3), of(2, 3)]],
  ['Add, broadcast on both sides', ([a, b]) => add(a!, b!), [of(2, 1, 3), of(4, 1)]],
  ['Add, a value to itself', ([a]) => add(a!, a!), [of(2, 3)]],
  ['Sub, broadcast', ([a, b]) => sub(a!, b!), [of(3), of(2, 3)]],
  ['Mul, broadcast', ([a, b]) => mul(a!, b!), [of(2, 3), of(2, 1)]],
  ['Mul, a value by itself', ([a]) => mul(a!, a!), [of(2, 3)]],
  ['Div, broadcast', ([a, b]) => div(a!, b!), [of(2, 3), positiveOf(3)]],
  ['Neg', ([a]) => neg(a!), [of(2, 3)]],
  ['times and plus a number', ([a]) => shift(scale(a!, -2.5), 4), [of(2, 3)]],
  ['Pow, a square', ([a]) => pow(a!, 2), [of(2, 3)]],
  ['Pow, a fraction', ([a]) => pow(a!, -1.5), [positiveOf(2, 3)]],
  ['Exp', ([a]) => exp(a!), [of(2, 3)]],
  ['Log', ([a]) => log(a!), [positiveOf(2, 3)]],
  ['Sqrt', ([a]) => sqrt(a!), [positiveOf(2, 3)]],
  ['Where, broadcast', ([a, b]) => where(bools(a!, 'c', [true, false, true], [3]), a!, b!), [of(2, 3), of(2, 1)]],
  ['dropout by a mask', ([a]) => dropout(a!, a!.tape.constant('mask', Float32Array.of(0, 2, 2, 0, 2, 0), [2, 3])), [of(2, 3)]],
  ['Relu', ([a]) => relu(a!), [awayFromZero(3, 4)]],
  ['Sigmoid', ([a]) => sigmoid(a!), [of(2, 3)]],
  ['Tanh', ([a]) => tanh(a!), [of(2, 3)]],
  ['Softplus', ([a]) => softplus(a!), [awayFromZero(2, 3)]],
  ['Softplus in float32', ([a]) => softplus(a!), [of(2, 3)], { type: 'float32' }],
  ['Gelu by erf', ([a]) => gelu(a!), [of(2, 3)], { type: 'float32' }],
  ['Gelu by tanh', ([a]) => geluTanh(a!), [of(2, 3)]],
  ['ReduceSum over all', ([a]) => sum(a!), [of(2, 3)]],
  ['ReduceSum over one axis', ([a]) => sum(a!, [-2]), [of(2, 3, 2)]],
  ['ReduceSum, axes kept', ([a]) => sum(a!, [0, 2], true), [of(2, 3, 2)]],
  ['ReduceMean over all', ([a]) => mean(a!), [of(2, 3)]],
  ['ReduceMean, axes kept', ([a]) => mean(a!, [1], true), [of(2, 3, 2)]],
  ['ReduceMax', ([a]) => max(a!, 1), [of(2, 4, 3)]],
  ['MatMul', ([a, b]) => matmul(a!, b!), [of(2, 3), of(3, 4)]],
  ['MatMul, batched and broadcast', ([a, b]) => matmul(a!, b!), [of(2, 1, 2, 3), of(3, 3, 2)]],
  ['Gemm', ([a, b, c]) => gemm(a!, b!, {}, c!), [of(2, 3), of(3, 4), of(4)]],
  ['Gemm, A transposed', ([a, b, c]) => gemm(a!, b!, { transA: true }, c!), [of(3, 2), of(3, 4), of(2, 1)]],
  ['Gemm, B transposed', ([a, b, c]) => gemm(a!, b!, { transB: true }, c!), [of(2, 3), of(4, 3), of(2, 4)]],
  ['Gemm, both transposed', ([a, b]) => gemm(a!, b!, { transA: true, transB: true }), [of(3, 2), of(4, 3)]],
  ['linear over the last of three axes', ([x, w, b]) => linear(x!, w!, b!), [of(2, 2, 3), of(3, 4), of(4)]],
  ['Transpose', ([a]) => transpose(a!, [2, 0, 1]), [of(2, 3, 4)]],
  ['Reshape', ([a]) => reshape(a!, [4, 3]), [of(2, 3, 2)]],
  ['Slice', ([a]) => slice(a!, 1, 1, 3), [of(2, 4, 2)]],
  ['Pad', ([a]) => pad(a!, -1, 2, 1), [of(2, 3)]],
  ['Concat', ([a, b]) => concat([a!, b!, a!], 1), [of(2, 1, 2), of(2, 3, 2)]],
  ['Split, all parts used', ([a]) => mul(split(a!, 1, [2, 2])[0]!, split(a!, 1, [2, 2])[1]!), [of(2, 4)]],
  ['Split, one part unused', ([a]) => split(a!, 0, [1, 2, 1])[1]!, [of(4, 2)]],
  ['Gather, indices repeated', ([t]) => gather(t!, integers(t!, 'i', [0, 3, 3, 1, 3, 0], [2, 3])), [of(4, 2)]],
  ['Softmax', ([a]) => softmax(a!), [of(2, 4)]],
  ['LogSoftmax', ([a]) => logSoftmax(a!), [of(2, 4)]],
  ['LayerNormalization', ([x, g, b]) => layerNorm(x!, g!, b!), [of(2, 2, 5), of(5), of(5)]],
  ['LayerNormalization in float32', ([x, g, b]) => layerNorm(x!, g!, b!), [of(2, 2, 5), of(5), of(5)], { type: 'float32' }],
  ['division by the length', ([a]) => l2Normalise(a!), [of(3, 4)]],
  ['convolution over time', ([x, w, b]) => conv1d(x!, w!, b!, { kernel: 3 }), [of(2, 5, 2), of(6, 3), of(3)]],
  [
    'convolution over time, causal and dilated',
    ([x, w, b]) => conv1d(x!, w!, b!, { kernel: 2, dilation: 2, padBefore: 2 }),
    [of(2, 4, 2), of(4, 3), of(3)],
  ],
  ['maximum over time', ([x]) => maxPool(x!), [of(2, 4, 3)]],
  ['mean over time', ([x]) => meanPool(x!), [of(2, 4, 3)]],
  [
    'binary cross-entropy with logits',
    ([x]) => binaryCrossEntropy(x!, x!.tape.constant('y', Float32Array.of(0, 1, 0.25, 1), [4])),
    [awayFromZero(4)],
  ],
  ['squared error', ([x, y]) => squaredError(x!, y!), [of(4), of(4)]],
  ['squared error of vectors', ([x, y]) => squaredError(x!, y!), [of(4, 3), of(4, 3)]],
  ['softmax cross-entropy', ([x]) => softmaxCrossEntropy(x!, integers(x!, 'y', [2, 0, 0], [3])), [of(3, 4)]],
  [
    'sampled softmax with hits left out',
    ([p, q]) => sampledSoftmax(p!, q!, bools(p!, 'h', [false, true, false, false, false, false, true, false, true], [3, 3])),
    [of(3, 1), of(3, 3)],
  ],
  ['sum by weights', ([x]) => weightedSum(x!, x!.tape.constant('w', Float32Array.of(1, 0, 0.5), [3])), [of(3)]],
];

describe('the gradient of every operator is what central differences say', () => {
  for (const [name, build, inputs, options] of CASES) {
    test(name, () => checkGradients(build, inputs, options));
  }
});

describe('composite graphs', () => {
  test('a two-layer network with a value used by both branches', async () => {
    await checkGradients(
      ([x, w, b, v]) => {
        const hidden = tanh(linear(x!, w!, b!));
        return softplus(add(matmul(hidden, v!), mean(mul(hidden, hidden), [1], true)));
      },
      [of(3, 4), of(4, 5), of(5), of(5, 2)],
    );
  });

  test('causal self-attention with residual and normalisation', async () => {
    const [n, steps, width] = [2, 3, 4];
    await checkGradients(
      ([x, q, k, v, g, b]) => {
        const scores = scale(matmul(linear(x!, q!), transpose(linear(x!, k!), [0, 2, 1])), 1 / Math.sqrt(width));
        const later = bools(
          x!,
          'later',
          Array.from({ length: steps * steps }, (_, at) => at % steps > Math.floor(at / steps)),
          [1, steps, steps],
        );
        const masked = where(later, x!.tape.scalar(-1e9), scores);
        return layerNorm(add(x!, matmul(softmax(masked), linear(x!, v!))), g!, b!);
      },
      [of(n, steps, width), of(width, width), of(width, width), of(width, width), of(width), of(width)],
    );
  });

  test('what the loss does not depend on has a gradient of zero', async () => {
    await checkGradients(([a]) => exp(a!), [of(2), of(3)]);
  });
});

test('gradients of rows gathered many times are summed rightly by two threads, run after run', async () => {
  const [rows, width, count] = [40, 16, 4096];
  const random = seededRandom(1);
  const indices = Int32Array.from({ length: count }, () => random.int(rows));
  const weights = Float32Array.from({ length: count * width }, () => random.normal());
  const tape = new Tape('many');
  const table = tape.input('table', [rows, width], { tracked: true });
  const gathered = gather(table, tape.constant('indices', BigInt64Array.from(indices, BigInt), [count]));
  const loss = sum(mul(gathered, tape.constant('weights', weights, [count, width])));
  tape.output('gradient', tape.gradients(loss, [table])[0]!);
  const expected = new Float64Array(rows * width);
  indices.forEach((row, i) => {
    for (let d = 0; d < width; d++) expected[row * width + d]! += weights[i * width + d]!;
  });
  const found = new Float32Array(rows * width);
  const feeds = { table: { data: new Float32Array(rows * width), dims: [rows, width] } };
  const bound = await bindOnnx(tape.graph.toBytes(), feeds, { gradient: { data: found, dims: [rows, width] } }, { intraOpThreads: 2 });
  for (let run = 0; run < 10; run++) {
    found.fill(Number.NaN);
    await bound.run();
    found.forEach((x, i) => {
      expect(Math.abs(x - expected[i]!)).toBeLessThan(1e-4);
    });
  }
  await bound.release();
});

describe('misuse', () => {
  test('a gradient needs a scalar; shapes must fit', () => {
    const tape = new Tape('misuse');
    const x = tape.input('x', [2, 3], { tracked: true });
    expect(() => tape.gradients(x, [x])).toThrow('scalar');
    expect(() => add(x, tape.input('y', [4]))).toThrow('do not fit');
    expect(() => matmul(x, x)).toThrow('cannot multiply');
    expect(() => gemm(x, x)).toThrow('cannot multiply');
    expect(() => reshape(x, [5])).toThrow('cannot become');
    expect(() => slice(x, 1, 2, 4)).toThrow('within');
    expect(() => split(x, 1, [1, 1])).toThrow('is not 3');
    expect(() => transpose(x, [0, 0])).toThrow('does not order');
    expect(() => sum(x, [2])).toThrow('axis 2');
  });
});
