import { axisOf, known, reshapeTarget, type Shape, sizeOf, withDim } from './shape.ts';
import type { Value } from './tape.ts';

function reshapeNode(x: Value, shape: Shape): Value {
  return x.tape.node('Reshape', [x, x.tape.graph.ints(...reshapeTarget(shape))], shape);
}

export function reshape(x: Value, shape: Shape): Value {
  const allKnown = [...x.shape, ...shape].every((dim) => typeof dim === 'number');
  if (allKnown && sizeOf(x.shape) !== sizeOf(shape)) throw new Error(`[${x.shape.join(', ')}] cannot become [${shape.join(', ')}]`);
  return x.tape.applyOne(
    [x],
    () => reshapeNode(x, shape),
    (g) => [() => reshapeNode(g, x.shape)],
  );
}

function sliceNode(x: Value, axis: number, start: number, end: number): Value {
  const { graph } = x.tape;
  return x.tape.node('Slice', [x, graph.ints(start), graph.ints(end), graph.ints(axis)], withDim(x.shape, axis, end - start));
}

function padNode(x: Value, axis: number, before: number, after: number): Value {
  const pads = [...x.shape.map((_, at) => (at === axis ? before : 0)), ...x.shape.map((_, at) => (at === axis ? after : 0))];
  return x.tape.node('Pad', [x, x.tape.graph.ints(...pads)], withDim(x.shape, axis, known(x.shape[axis]) + before + after));
}

/** Values `start` to `end` - 1 of an axis. */
export function slice(x: Value, axis: number, start: number, end: number): Value {
  const at = axisOf(x.shape, axis);
  const size = known(x.shape[at]);
  if (start < 0 || end > size || start >= end) throw new Error(`${start}..${end} is not within an axis of ${size}`);
  return x.tape.applyOne(
    [x],
    () => sliceNode(x, at, start, end),
    (g) => [() => padNode(g, at, start, size - end)],
  );
}

/** Zeros before and after the values of an axis. */
export function pad(x: Value, axis: number, before: number, after: number): Value {
  const at = axisOf(x.shape, axis);
  const size = known(x.shape[at]);
  return x.tape.applyOne(
    [x],
    () => padNode(x, at, before, after),
    (g) => [() => sliceNode(g, at, before, before + size)],
  );
}

/** Writes values joined along an axis, not recorded. */
export function concatNode(parts: readonly Value[], axis: number): Value {
  const [first] = parts;
  const at = axisOf(first!.shape, axis);
  const total = parts.reduce((sum, part) => sum + known(part.shape[at]), 0);
  return first!.tape.node('Concat', parts, withDim(first!.shape, at, total), { axis: { i: at } });
}

/** Writes a value cut along an axis, not recorded. */
export function splitNode(x: Value, axis: number, sizes: readonly number[]): Value[] {
  const at = axisOf(x.shape, axis);
  if (sizes.reduce((sum, size) => sum + size, 0) !== x.shape[at]) throw new Error(`${sizes.join(' + ')} is not ${x.shape[at]}`);
  return x.tape.nodes(
    'Split',
    [x, x.tape.graph.ints(...sizes)],
    sizes.map((size) => withDim(x.shape, at, size)),
    { axis: { i: at } },
  );
}

export function concat(parts: readonly Value[], axis: number): Value {
  const { tape } = parts[0]!;
  const at = axisOf(parts[0]!.shape, axis);
  const sizes = parts.map((part) => known(part.shape[at]));
  return tape.applyOne(
    parts,
    () => concatNode(parts, at),
    (g) => {
      // One Split serves all parts; written when the first asks for it.
      let pieces: Value[] | undefined;
      return parts.map((_, i) => () => {
        pieces ??= splitNode(g, at, sizes);
        return pieces[i]!;
      });
    },
  );
}

export function split(x: Value, axis: number, sizes: readonly number[]): readonly Value[] {
  const { tape } = x;
  const at = axisOf(x.shape, axis);
  return tape.apply(
    [x],
    () => splitNode(x, at, sizes),
    (gradients, outputs) => [
      () =>
        concatNode(
          gradients.map((gradient, i) => gradient ?? tape.zeros(outputs[i]!.shape)),
          at,
        ),
    ],
  );
}

/**
 * Rows of a small table [rows, width] by int64 `indices` of any shape; indices may repeat. Gradients are added by ScatterElements, since
 * onnxruntime's threaded ScatterND loses sums where an index repeats.
 */
export function gather(table: Value, indices: Value): Value {
  const { tape } = table;
  const [rows, width] = table.shape.map(known);
  return tape.applyOne(
    [table],
    () => tape.node('Gather', [table, indices], [...indices.shape, width!], { axis: { i: 0 } }),
    (g) => [
      () => {
        const count = sizeOf(indices.shape);
        const column = reshapeNode(indices, [count, 1]);
        const places = tape.node('Expand', [column, tape.graph.ints(count, width!)], [count, width!]);
        const updates = reshapeNode(g, [count, width!]);
        const attributes = { axis: { i: 0 }, reduction: { s: 'add' } };
        return tape.node('ScatterElements', [tape.zeros([rows!, width!]), places, updates], table.shape, attributes);
      },
    ],
  );
}
