import { sigmoidSlope, tanhSlope } from './activation.ts';
import { binary, unary } from './arithmetic.ts';
import { concatNode, reshape, slice, splitNode } from './layout.ts';
import { gemmNode } from './matrix.ts';
import { sum } from './reduction.ts';
import { known } from './shape.ts';
import type { Value } from './tape.ts';

/** Weights of a recurrent layer as ONNX lays them out, gates in its order: GRU z r h, LSTM i o f c. */
export interface RecurrentWeights {
  /** [gates * hidden, inputs] */
  readonly input: Value;
  /** [gates * hidden, hidden] */
  readonly recurrent: Value;
  /** [gates * hidden], added to the input's part. */
  readonly inputBias: Value;
  /** [gates * hidden], added to the recurrent part; it differs from the other only for the GRU's h. */
  readonly recurrentBias: Value;
}

interface Sizes {
  readonly steps: number;
  readonly n: number;
  readonly inputs: number;
  readonly hidden: number;
}

function sizesOf(x: Value, { recurrent }: RecurrentWeights): Sizes {
  const [steps, n, inputs] = x.shape.map(known);
  return { steps: steps!, n: n!, inputs: inputs!, hidden: known(recurrent.shape[1]) };
}

/** The states of ONNX's own operator: x is [steps, n, inputs], the answer [steps, n, hidden]. Not recorded. */
function statesOf(op: 'GRU' | 'LSTM', x: Value, weights: RecurrentWeights): Value {
  const { tape } = x;
  const [steps, n] = x.shape;
  const [rows, hidden] = weights.recurrent.shape.map(known);
  const layer = (value: Value) => reshape(value, [1, ...value.shape]);
  const bias = layer(concatNode([weights.inputBias, weights.recurrentBias], 0));
  const attributes = { hidden_size: { i: hidden! }, ...(op === 'GRU' ? { linear_before_reset: { i: 1 } } : {}) };
  if (rows !== hidden! * (op === 'GRU' ? 3 : 4)) throw new Error(`${op} weights have ${rows} rows for ${hidden} units`);
  const states = tape.node(op, [x, layer(weights.input), layer(weights.recurrent), bias], [steps!, 1, n!, hidden!], attributes);
  // Squeeze and not Reshape: serving knows neither the steps nor the rows beforehand.
  return tape.node('Squeeze', [states, tape.graph.ints(1)], [steps!, n!, hidden!]);
}

/** The state before each step: zeros, then all but the last. */
function stateBefore(states: Value, { steps, n, hidden }: Sizes): Value {
  const start = states.tape.zeros([1, n, hidden]);
  return steps === 1 ? start : concatNode([start, slice(states, 0, 0, steps - 1)], 0);
}

/** What the inputs and the states before give to every gate of every step, in two products: [steps, n, gates * hidden] each. */
function gateParts(x: Value, before: Value, weights: RecurrentWeights, { steps, n, inputs, hidden }: Sizes): { fromInput: Value; fromState: Value } {
  const rows = known(weights.input.shape[0]);
  const fromInput = gemmNode(reshape(x, [steps * n, inputs]), weights.input, { transB: true }, weights.inputBias);
  const fromState = gemmNode(reshape(before, [steps * n, hidden]), weights.recurrent, { transB: true }, weights.recurrentBias);
  return { fromInput: reshape(fromInput, [steps, n, rows]), fromState: reshape(fromState, [steps, n, rows]) };
}

/** Cuts [steps, …] into its steps, each without the first axis. */
function stepsOf(x: Value): Value[] {
  const parts = splitNode(
    x,
    0,
    Array.from({ length: known(x.shape[0]) }, () => 1),
  );
  return parts.map((part) => reshape(part, x.shape.slice(1)));
}

/** The gradients of the weights and the inputs from those of the gates, in one product each. */
function weightGradients(x: Value, before: Value, weights: RecurrentWeights, sizes: Sizes, intoInput: () => Value, intoState: () => Value) {
  const flat = (value: Value) => reshape(value, [sizes.steps * sizes.n, value.shape[2]!]);
  return [
    () => reshape(gemmNode(flat(intoInput()), weights.input), x.shape),
    () => gemmNode(flat(intoInput()), flat(x), { transA: true }),
    () => gemmNode(flat(intoState()), flat(before), { transA: true }),
    () => sum(flat(intoInput()), [0]),
    () => sum(flat(intoState()), [0]),
  ];
}

const lastAxis = (x: Value, hidden: number): Value[] =>
  splitNode(
    x,
    -1,
    Array.from({ length: known(x.shape.at(-1)) / hidden }, () => hidden),
  );

/** A value that several gradients share: written when the first asks for it. */
function once(compute: () => Value): () => Value {
  let value: Value | undefined;
  return () => {
    value ??= compute();
    return value;
  };
}

/**
 * Gated recurrent unit over x [steps, n, inputs] from a state of zeros; all states [steps, n, hidden]. The variant with the reset gate after
 * the product (ONNX's linear_before_reset = 1, PyTorch's):
 *
 *     z = σ(…)   r = σ(…)   a = h R + b   c = tanh(x W + b + r a)   h' = (1 - z) c + z h
 *
 * Forward is ONNX's operator. Backward knows all states, so the gates of every step come out of two large products; only the way of the
 * gradient from a state to the one before is walked step by step, and its factors (`slopes`) are ready by then.
 */
export function gru(x: Value, weights: RecurrentWeights): Value {
  const { tape } = x;
  const all = [x, weights.input, weights.recurrent, weights.inputBias, weights.recurrentBias];
  return tape.applyOne(
    all,
    () => statesOf('GRU', x, weights),
    (g, states) => {
      const sizes = sizesOf(x, weights);
      const { steps, n, hidden } = sizes;
      const before = stateBefore(states, sizes);
      const { fromInput, fromState } = gateParts(x, before, weights, sizes);
      const [inputGates, inputCandidate] = splitNode(fromInput, -1, [2 * hidden, hidden]);
      const [stateGates, candidateState] = splitNode(fromState, -1, [2 * hidden, hidden]);
      const [update, reset] = lastAxis(unary('Sigmoid', binary('Add', inputGates!, stateGates!)), hidden);
      const candidate = unary('Tanh', binary('Add', inputCandidate!, binary('Mul', reset!, candidateState!)));
      const intoCandidate = binary('Mul', binary('Sub', tape.scalar(1), update!), tanhSlope(candidate));
      const intoUpdate = binary('Mul', binary('Sub', before, candidate), sigmoidSlope(update!));
      const intoReset = binary('Mul', binary('Mul', intoCandidate, candidateState!), sigmoidSlope(reset!));
      // Slopes of the three gates' recurrent parts with respect to the state after the step.
      const slopes = concatNode([intoUpdate, intoReset, binary('Mul', intoCandidate, reset!)], -1);

      const walk = once(() => {
        const [outer, keep] = [stepsOf(g), stepsOf(update!)];
        const gateSlopes = stepsOf(reshape(slopes, [steps, n, 3, hidden]));
        const found: Value[] = new Array(steps);
        let carried: Value | undefined;
        for (let t = steps - 1; t >= 0; t--) {
          const here = carried ? binary('Add', outer[t]!, carried) : outer[t]!;
          found[t] = reshape(here, [1, n, hidden]);
          if (t === 0) break;
          const gates = binary('Mul', reshape(here, [n, 1, hidden]), gateSlopes[t]!);
          carried = gemmNode(reshape(gates, [n, 3 * hidden]), weights.recurrent, {}, binary('Mul', here, keep[t]!));
        }
        return reshape(concatNode(found, 0), [steps, n, 1, hidden]);
      });
      const times = (factors: Value) => reshape(binary('Mul', walk(), reshape(factors, [steps, n, 3, hidden])), [steps, n, 3 * hidden]);
      const intoState = once(() => times(slopes));
      const intoInput = once(() => times(concatNode([intoUpdate, intoReset, intoCandidate], -1)));
      return weightGradients(x, before, weights, sizes, intoInput, intoState);
    },
  );
}

/**
 * Long short-term memory over x [steps, n, inputs] from zeros; all states [steps, n, hidden]:
 *
 *     i, o, f = σ(…)   g = tanh(…)   c' = f c + i g   h' = o tanh(c')
 *
 * As with the GRU the gates of all steps are computed at once on the way back, and the cells walked along.
 */
export function lstm(x: Value, weights: RecurrentWeights): Value {
  const { tape } = x;
  const all = [x, weights.input, weights.recurrent, weights.inputBias, weights.recurrentBias];
  return tape.applyOne(
    all,
    () => statesOf('LSTM', x, weights),
    (g, states) => {
      const sizes = sizesOf(x, weights);
      const { steps, n, hidden } = sizes;
      const before = stateBefore(states, sizes);
      const { fromInput, fromState } = gateParts(x, before, weights, sizes);
      const [sigmoids, tanhs] = splitNode(binary('Add', fromInput, fromState), -1, [3 * hidden, hidden]);
      const [input, output, forget] = lastAxis(unary('Sigmoid', sigmoids!), hidden);
      const candidate = unary('Tanh', tanhs!);
      const cells = cellsOf(binary('Mul', input!, candidate), forget!);
      const cellBefore = stateBefore(cells, sizes);
      const squashed = unary('Tanh', cells);
      const intoCell = binary('Mul', output!, tanhSlope(squashed));
      const slopes = concatNode(
        [
          binary('Mul', candidate, sigmoidSlope(input!)),
          binary('Mul', cellBefore, sigmoidSlope(forget!)),
          binary('Mul', input!, tanhSlope(candidate)),
        ],
        -1,
      );
      const outputSlope = binary('Mul', squashed, sigmoidSlope(output!));

      const walk = once(() => {
        const [outer, cellSlope, keep] = [stepsOf(g), stepsOf(intoCell), stepsOf(forget!)];
        const [gateSlopes, outSlope] = [stepsOf(reshape(slopes, [steps, n, 3, hidden])), stepsOf(outputSlope)];
        const found: Value[] = new Array(steps);
        let carried: Value | undefined;
        let cellCarried: Value | undefined;
        for (let t = steps - 1; t >= 0; t--) {
          const here = carried ? binary('Add', outer[t]!, carried) : outer[t]!;
          const direct = binary('Mul', here, cellSlope[t]!);
          const cell: Value = cellCarried ? binary('Add', direct, cellCarried) : direct;
          const gates = binary('Mul', reshape(cell, [n, 1, hidden]), gateSlopes[t]!);
          const [i, fc] = splitNode(reshape(gates, [n, 3 * hidden]), 1, [hidden, 2 * hidden]);
          // Back into ONNX's order: i o f c.
          const ordered = concatNode([i!, binary('Mul', here, outSlope[t]!), fc!], 1);
          found[t] = reshape(ordered, [1, n, 4 * hidden]);
          if (t === 0) break;
          carried = gemmNode(ordered, weights.recurrent);
          cellCarried = binary('Mul', cell, keep[t]!);
        }
        return concatNode(found, 0);
      });
      return weightGradients(x, before, weights, sizes, walk, walk);
    },
  );
}

/** c' = f c + what comes in, step by step. */
function cellsOf(incoming: Value, forget: Value): Value {
  const [parts, keep] = [stepsOf(incoming), stepsOf(forget)];
  const cells: Value[] = [];
  for (let t = 0; t < parts.length; t++) {
    const last = cells[t - 1];
    cells.push(last ? binary('Add', binary('Mul', keep[t]!, last), parts[t]!) : parts[t]!);
  }
  return concatNode(
    cells.map((cell) => reshape(cell, [1, ...cell.shape])),
    0,
  );
}
