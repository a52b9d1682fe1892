import type { Dim } from '../graph.ts';

/** Sizes of a value. A name stands for a size that only the caller of the served model knows; training graphs have numbers alone. */
export type Shape = readonly Dim[];

/** Values of a shape; throws when a dimension is only a name. */
export function sizeOf(shape: Shape): number {
  return shape.reduce<number>((product, dim) => product * known(dim), 1);
}

export function known(dim: Dim | undefined): number {
  if (typeof dim !== 'number') throw new Error(`the size ${dim} must be a number here`);
  return dim;
}

/** The axis counted from the front: -1 is the last. */
export function axisOf(shape: Shape, axis: number): number {
  const at = axis < 0 ? shape.length + axis : axis;
  if (!Number.isInteger(at) || at < 0 || at >= shape.length) throw new Error(`axis ${axis} is not in [${shape.join(', ')}]`);
  return at;
}

export function withDim(shape: Shape, axis: number, dim: Dim): Shape {
  return shape.map((old, at) => (at === axis ? dim : old));
}

export function sameShape(a: Shape, b: Shape): boolean {
  return a.length === b.length && a.every((dim, i) => dim === b[i]);
}

/** The shape of an operation on two values, by the rules of NumPy and ONNX. */
export function broadcast(a: Shape, b: Shape): Shape {
  const rank = Math.max(a.length, b.length);
  return Array.from({ length: rank }, (_, i) => {
    const x = a[i - rank + a.length] ?? 1;
    const y = b[i - rank + b.length] ?? 1;
    if (x === y || y === 1) return x;
    if (x === 1) return y;
    throw new Error(`[${a.join(', ')}] and [${b.join(', ')}] do not fit`);
  });
}

/** A shape as ONNX's Reshape takes it: one unknown size is -1. Throws with two of them. */
export function reshapeTarget(shape: Shape): number[] {
  const named = shape.filter((dim) => typeof dim === 'string');
  if (named.length > 1) throw new Error(`[${shape.join(', ')}] has more than one unknown size`);
  return shape.map((dim) => (typeof dim === 'number' ? dim : -1));
}
