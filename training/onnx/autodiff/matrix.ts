import { sumTo } from './arithmetic.ts';
import { reshape } from './layout.ts';
import { broadcast, type Shape } from './shape.ts';
import type { Value } from './tape.ts';

export interface GemmOptions {
  readonly transA?: boolean;
  readonly transB?: boolean;
}

/** Writes A B (+ c) on matrices, not recorded. */
export function gemmNode(a: Value, b: Value, options: GemmOptions = {}, c?: Value): Value {
  const rows = a.shape[options.transA ? 1 : 0]!;
  const columns = b.shape[options.transB ? 0 : 1]!;
  const inner = [a.shape[options.transA ? 0 : 1], b.shape[options.transB ? 1 : 0]];
  if (a.shape.length !== 2 || b.shape.length !== 2 || inner[0] !== inner[1]) {
    throw new Error(`cannot multiply [${a.shape.join(', ')}] and [${b.shape.join(', ')}]`);
  }
  const attributes = { ...(options.transA ? { transA: { i: 1 } } : {}), ...(options.transB ? { transB: { i: 1 } } : {}) };
  return a.tape.node('Gemm', c ? [a, b, c] : [a, b], [rows, columns], attributes);
}

/** A B + c on matrices, either side transposed, c broadcast to the product. */
export function gemm(a: Value, b: Value, options: GemmOptions = {}, c?: Value): Value {
  const { transA = false, transB = false } = options;
  return a.tape.applyOne(
    c ? [a, b, c] : [a, b],
    () => gemmNode(a, b, options, c),
    (g) => {
      const left = () => (transA ? gemmNode(b, g, { transA: transB, transB: true }) : gemmNode(g, b, { transB: !transB }));
      const right = () => (transB ? gemmNode(g, a, { transA: true, transB: transA }) : gemmNode(a, g, { transA: !transA }));
      return c ? [left, right, () => sumTo(g, c.shape)] : [left, right];
    },
  );
}

/** x W + b over the last axis of x: W is [in, out]. */
export function linear(x: Value, weight: Value, bias?: Value): Value {
  if (x.shape.length === 2) return gemm(x, weight, {}, bias);
  const flat = gemm(reshape(x, [leadingSize(x.shape), x.shape.at(-1)!]), weight, {}, bias);
  return reshape(flat, [...x.shape.slice(0, -1), weight.shape[1]!]);
}

/** All leading dimensions as one; a name when any of them is only known later. */
function leadingSize(shape: Shape): number | string {
  const leading = shape.slice(0, -1);
  return leading.every((dim) => typeof dim === 'number') ? leading.reduce<number>((product, dim) => product * Number(dim), 1) : leading.join('*');
}

function transposeNode(x: Value, perm: readonly number[]): Value {
  return x.tape.node(
    'Transpose',
    [x],
    perm.map((axis) => x.shape[axis]!),
    { perm: { ints: perm } },
  );
}

export function transpose(x: Value, perm: readonly number[]): Value {
  if (perm.length !== x.shape.length || new Set(perm).size !== perm.length) {
    throw new Error(`[${perm.join(', ')}] does not order the axes of [${x.shape.join(', ')}]`);
  }
  const back = perm.map((_, axis) => perm.indexOf(axis));
  return x.tape.applyOne(
    [x],
    () => transposeNode(x, perm),
    (g) => [() => transposeNode(g, back)],
  );
}

function swapLast(x: Value): Value {
  const rank = x.shape.length;
  return transposeNode(
    x,
    x.shape.map((_, axis) => (axis === rank - 1 ? rank - 2 : axis === rank - 2 ? rank - 1 : axis)),
  );
}

/** Writes the product of the last two axes, the others broadcast; not recorded. */
function product(a: Value, b: Value): Value {
  if (a.shape.length < 2 || b.shape.length < 2 || a.shape.at(-1) !== b.shape.at(-2)) {
    throw new Error(`cannot multiply [${a.shape.join(', ')}] and [${b.shape.join(', ')}]`);
  }
  const shape = [...broadcast(a.shape.slice(0, -2), b.shape.slice(0, -2)), a.shape.at(-2)!, b.shape.at(-1)!];
  return a.tape.node('MatMul', [a, b], shape);
}

/** The product of the last two axes, batched over the others. onnxruntime folds the transposes of the backward half into the products. */
export function matmul(a: Value, b: Value): Value {
  return a.tape.applyOne(
    [a, b],
    () => product(a, b),
    (g) => [() => sumTo(product(g, swapLast(b)), a.shape), () => sumTo(product(swapLast(a), g), b.shape)],
  );
}
