import { describe, expect, test } from 'vitest';
import { sigmoid, tanh } from './activation.ts';
import { add, mul, neg, shift } from './arithmetic.ts';
import { type CheckedInput, checkGradients, lossAndGradients } from './gradients.suite.ts';
import { concat, reshape, slice, split } from './layout.ts';
import { gemm } from './matrix.ts';
import { gru, lstm } from './recurrent.ts';
import type { Value } from './tape.ts';

const [N, INPUTS, HIDDEN] = [3, 2, 4];

function inputs(steps: number, gates: number): CheckedInput[] {
  return [[steps, N, INPUTS], [gates * HIDDEN, INPUTS], [gates * HIDDEN, HIDDEN], [gates * HIDDEN], [gates * HIDDEN]].map((shape) => ({ shape }));
}

/** Step by step out of operators that are checked on their own: the form in the textbooks. */
function unroll(
  x: Value,
  step: (fromInput: readonly Value[], fromState: readonly Value[], state: Value) => Value,
  weights: readonly Value[],
  gates: number,
): Value {
  const [input, recurrent, inputBias, recurrentBias] = weights as [Value, Value, Value, Value];
  const cut = (value: Value) => split(value, 1, new Array<number>(gates).fill(HIDDEN));
  let state = x.tape.zeros([N, HIDDEN]);
  const states: Value[] = [];
  for (let t = 0; t < Number(x.shape[0]); t++) {
    const here = reshape(slice(x, 0, t, t + 1), [N, INPUTS]);
    state = step(cut(gemm(here, input, { transB: true }, inputBias)), cut(gemm(state, recurrent, { transB: true }, recurrentBias)), state);
    states.push(reshape(state, [1, N, HIDDEN]));
  }
  return concat(states, 0);
}

function plainGru([x, ...weights]: readonly Value[]): Value {
  return unroll(
    x!,
    (fromInput, fromState, state) => {
      const z = sigmoid(add(fromInput[0]!, fromState[0]!));
      const r = sigmoid(add(fromInput[1]!, fromState[1]!));
      const c = tanh(add(fromInput[2]!, mul(r, fromState[2]!)));
      return add(mul(shift(neg(z), 1), c), mul(z, state));
    },
    weights,
    3,
  );
}

function plainLstm([x, ...weights]: readonly Value[]): Value {
  let cell = x!.tape.zeros([N, HIDDEN]);
  return unroll(
    x!,
    (fromInput, fromState) => {
      const [i, o, f, c] = fromInput.map((part, gate) => add(part, fromState[gate]!)) as [Value, Value, Value, Value];
      cell = add(mul(sigmoid(f), cell), mul(sigmoid(i), tanh(c)));
      return mul(sigmoid(o), tanh(cell));
    },
    weights,
    4,
  );
}

const named = ([x, input, recurrent, inputBias, recurrentBias]: readonly Value[]) =>
  [x!, { input: input!, recurrent: recurrent!, inputBias: inputBias!, recurrentBias: recurrentBias! }] as const;

const LAYERS = [
  { name: 'gru', gates: 3, fast: (values: readonly Value[]) => gru(...named(values)), plain: plainGru },
  { name: 'lstm', gates: 4, fast: (values: readonly Value[]) => lstm(...named(values)), plain: plainLstm },
];

describe.each(LAYERS)('$name', ({ gates, fast, plain }) => {
  test('the plain form passes the gradient check', async () => {
    await checkGradients(plain, inputs(3, gates));
  });

  test.each([1, 2, 6])('equals the plain form in float64 over %i steps, with all gradients', async (steps) => {
    const truth = await lossAndGradients(plain, inputs(steps, gates));
    const found = await lossAndGradients(fast, inputs(steps, gates), { type: 'float32' });
    expect(Math.abs(found.loss - truth.loss)).toBeLessThan(1e-5);
    truth.gradients.forEach((gradient, input) => {
      const largest = Math.max(...gradient.map(Math.abs), 1e-2);
      gradient.forEach((x, at) => {
        expect(Math.abs(x - found.gradients[input]![at]!) / largest).toBeLessThan(1e-5);
      });
    });
  });

  test('passes the gradient check itself', async () => {
    await checkGradients(fast, inputs(3, gates), { type: 'float32' });
  });

  test('refuses weights for other units', async () => {
    await expect(
      lossAndGradients(fast, [...inputs(2, gates).slice(0, 2), { shape: [gates * HIDDEN, 5] }, ...inputs(2, gates).slice(3)]),
    ).rejects.toThrow('rows for 5 units');
  });
});
