import { binary, sumTo, unary } from './arithmetic.ts';
import { sum } from './reduction.ts';
import type { Value } from './tape.ts';

const LAST = { axis: { i: -1 } };

/** Softmax over the last axis. */
export function softmax(x: Value): Value {
  return x.tape.applyOne(
    [x],
    () => x.tape.node('Softmax', [x], x.shape, LAST),
    (g, out) => [() => binary('Mul', out, binary('Sub', g, sum(binary('Mul', g, out), [-1], true)))],
  );
}

/** Logarithm of the softmax over the last axis. */
export function logSoftmax(x: Value): Value {
  return x.tape.applyOne(
    [x],
    () => x.tape.node('LogSoftmax', [x], x.shape, LAST),
    (g, out) => [() => binary('Sub', g, binary('Mul', unary('Exp', out), sum(g, [-1], true)))],
  );
}

/** Layer normalisation over the last axis, with gain and bias. */
export function layerNorm(x: Value, gain: Value, bias: Value, epsilon = 1e-5): Value {
  const { tape } = x;
  const [out, centre, inverse] = normalised(x, gain, bias, epsilon);
  return tape.applyOne(
    [x, gain, bias],
    () => out,
    (g) => {
      let known: Value | undefined;
      const standard = () => {
        known ??= binary('Mul', binary('Sub', x, centre), inverse);
        return known;
      };
      const level = (value: Value) => tape.node('ReduceMean', [value, tape.graph.ints(-1)], centre.shape);
      return [
        () => {
          const scaled = binary('Mul', g, gain);
          const tilt = binary('Mul', standard(), level(binary('Mul', scaled, standard())));
          return binary('Mul', inverse, binary('Sub', binary('Sub', scaled, level(scaled)), tilt));
        },
        () => sumTo(binary('Mul', g, standard()), gain.shape),
        () => sumTo(g, bias.shape),
      ];
    },
  );
}

/** Result, mean and inverse deviation: all three leave onnxruntime's operator, and the backward half needs them. */
function normalised(x: Value, gain: Value, bias: Value, epsilon: number): [Value, Value, Value] {
  const { tape } = x;
  const column = [...x.shape.slice(0, -1), 1];
  const attributes = { axis: { i: -1 }, epsilon: { f: epsilon } };
  if (tape.type === 'float32')
    return tape.nodes('LayerNormalization', [x, gain, bias], [x.shape, column, column], attributes) as [Value, Value, Value];
  // Of a float64 tensor the operator gives mean and deviation in float32 only.
  const level = (value: Value) => tape.node('ReduceMean', [value, tape.graph.ints(-1)], column);
  const centre = level(x);
  const offset = binary('Sub', x, centre);
  const variance = level(binary('Mul', offset, offset));
  const inverse = unary('Reciprocal', unary('Sqrt', binary('Add', variance, tape.scalar(epsilon))));
  return [binary('Add', binary('Mul', binary('Mul', offset, inverse), gain), bias), centre, inverse];
}

/** Added to a squared length: a vector of zeros stays one, and its gradient finite. */
const LENGTH_EPSILON = 1e-12;

/** Vectors of the last axis, divided by their length: a dot product of two is then their cosine. */
export function l2Normalise(x: Value): Value {
  const { tape } = x;
  const column = [...x.shape.slice(0, -1), 1];
  const squares = tape.node('ReduceSumSquare', [x, tape.graph.ints(-1)], column);
  const inverse = unary('Reciprocal', unary('Sqrt', binary('Add', squares, tape.scalar(LENGTH_EPSILON))));
  return tape.applyOne(
    [x],
    () => binary('Mul', x, inverse),
    (g, out) => [() => binary('Mul', inverse, binary('Sub', g, binary('Mul', out, sum(binary('Mul', g, out), [-1], true))))],
  );
}
