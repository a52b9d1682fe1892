import { axisOf, known, type Shape, withDim } from './shape.ts';
import type { Tape, Value } from './tape.ts';

function reduce(tape: Tape, op: string, x: Value, axes: readonly number[], keepDims: boolean): Value {
  const shape = keepDims ? axes.reduce<Shape>((kept, axis) => withDim(kept, axis, 1), x.shape) : x.shape.filter((_, axis) => !axes.includes(axis));
  return tape.node(op, [x, tape.graph.ints(...axes)], shape, { keepdims: { i: keepDims ? 1 : 0 } });
}

const allAxes = (x: Value): number[] => x.shape.map((_, axis) => axis);
const asAxes = (x: Value, axes: readonly number[] | undefined): number[] => (axes ? axes.map((axis) => axisOf(x.shape, axis)) : allAxes(x));

/** A gradient of a reduction, with the reduced axes put back as 1 and repeated. */
function spread(gradient: Value, x: Value, axes: readonly number[]): Value {
  const { tape } = x;
  const kept = axes.reduce<Shape>((shape, axis) => withDim(shape, axis, 1), x.shape);
  const column = tape.node('Reshape', [gradient, tape.graph.ints(...kept.map(known))], kept);
  return tape.node('Expand', [column, tape.graph.ints(...x.shape.map(known))], x.shape);
}

/** Sum over `axes`, all of them when absent. */
export function sum(x: Value, axes?: readonly number[], keepDims = false): Value {
  const over = asAxes(x, axes);
  return x.tape.applyOne(
    [x],
    () => reduce(x.tape, 'ReduceSum', x, over, keepDims),
    (g) => [() => spread(g, x, over)],
  );
}

/** Mean over `axes`, all of them when absent. */
export function mean(x: Value, axes?: readonly number[], keepDims = false): Value {
  const { tape } = x;
  const over = asAxes(x, axes);
  return tape.applyOne(
    [x],
    () => reduce(tape, 'ReduceMean', x, over, keepDims),
    (g) => {
      const count = over.reduce((product, axis) => product * known(x.shape[axis]), 1);
      return [() => spread(tape.node('Mul', [g, tape.scalar(1 / count)], g.shape), x, over)];
    },
  );
}

/**
 * Maximum over one axis. The gradient goes to the largest value, shared evenly where several are equal (after a ReLU many zeros are).
 */
export function max(x: Value, axis: number, keepDims = false): Value {
  const { tape } = x;
  const at = axisOf(x.shape, axis);
  return tape.applyOne(
    [x],
    () => reduce(tape, 'ReduceMax', x, [at], keepDims),
    (g) => [
      () => {
        const top = reduce(tape, 'ReduceMax', x, [at], true);
        const isTop = tape.node('Cast', [tape.node('Equal', [x, top], x.shape)], x.shape, { to: { i: tape.type === 'float64' ? 11 : 1 } });
        const count = reduce(tape, 'ReduceSum', isTop, [at], true);
        const column = tape.node('Reshape', [g, tape.graph.ints(...count.shape.map(known))], count.shape);
        return tape.node('Mul', [isTop, tape.node('Div', [column, count], count.shape)], x.shape);
      },
    ],
  );
}
