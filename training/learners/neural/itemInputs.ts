import type { Value } from '../../onnx/autodiff/tape.ts';

/** Bool, of the shape of int64 `numbers`: whether each is the number of an item. All others stand for no item. */
export function isItemNumber(numbers: Value, items: number): Value {
  const { tape, shape } = numbers;
  const isHighEnough = tape.node('GreaterOrEqual', [numbers, tape.whole(0)], shape);
  return tape.node('And', [isHighEnough, tape.node('Less', [numbers, tape.whole(items)], shape)], shape);
}

/** Rows of the table (row-major items x width) for `numbers` of any shape; zeros where there is no item. */
export function embedItems(numbers: Value, isItem: Value, table: Float32Array, items: number): Value {
  const { tape, shape } = numbers;
  const width = table.length / items;
  const stored = tape.constant('item_embeddings', table, [items, width]);
  const safe = tape.node('Where', [isItem, numbers, tape.whole(0)], shape);
  const rowShape = [...shape, width];
  const rows = tape.node('Gather', [stored, safe], rowShape, { axis: { i: 0 } });
  return tape.node('Mul', [rows, column(asFloat(isItem))], rowShape);
}

/** 1 where it holds, 0 elsewhere. */
export function asFloat(isTrue: Value): Value {
  return isTrue.tape.node('Cast', [isTrue], isTrue.shape, { to: { i: 1 } });
}

/** [...] to [..., 1]. */
export function column(x: Value): Value {
  return x.tape.node('Unsqueeze', [x, x.tape.graph.ints(-1)], [...x.shape, 1]);
}
