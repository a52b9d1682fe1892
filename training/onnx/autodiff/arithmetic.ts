import { sum } from './reduction.ts';
import { broadcast, type Shape, sameShape } from './shape.ts';
import type { Value } from './tape.ts';

/** Writes an elementwise operator on two values, not recorded. */
export function binary(op: string, a: Value, b: Value): Value {
  return a.tape.node(op, [a, b], broadcast(a.shape, b.shape));
}

/** Writes an elementwise operator on one value, not recorded. */
export function unary(op: string, x: Value): Value {
  return x.tape.node(op, [x], x.shape);
}

/** Sums a gradient over the axes that broadcasting had repeated. */
export function sumTo(gradient: Value, shape: Shape): Value {
  if (sameShape(gradient.shape, shape)) return gradient;
  const extra = gradient.shape.length - shape.length;
  const leading = Array.from({ length: extra }, (_, axis) => axis);
  const lead = leading.length > 0 ? sum(gradient, leading, false) : gradient;
  const repeated = shape.flatMap((dim, axis) => (dim === 1 && lead.shape[axis] !== 1 ? [axis] : []));
  return repeated.length > 0 ? sum(lead, repeated, true) : lead;
}

export function add(a: Value, b: Value): Value {
  return a.tape.applyOne(
    [a, b],
    () => binary('Add', a, b),
    (g) => [() => sumTo(g, a.shape), () => sumTo(g, b.shape)],
  );
}

export function sub(a: Value, b: Value): Value {
  return a.tape.applyOne(
    [a, b],
    () => binary('Sub', a, b),
    (g) => [() => sumTo(g, a.shape), () => sumTo(unary('Neg', g), b.shape)],
  );
}

export function mul(a: Value, b: Value): Value {
  return a.tape.applyOne(
    [a, b],
    () => binary('Mul', a, b),
    (g) => [() => sumTo(binary('Mul', g, b), a.shape), () => sumTo(binary('Mul', g, a), b.shape)],
  );
}

export function div(a: Value, b: Value): Value {
  return a.tape.applyOne(
    [a, b],
    () => binary('Div', a, b),
    (g, out) => [() => sumTo(binary('Div', g, b), a.shape), () => sumTo(unary('Neg', binary('Div', binary('Mul', g, out), b)), b.shape)],
  );
}

export function neg(x: Value): Value {
  return x.tape.applyOne(
    [x],
    () => unary('Neg', x),
    (g) => [() => unary('Neg', g)],
  );
}

/** x times a number. */
export function scale(x: Value, factor: number): Value {
  return mul(x, x.tape.scalar(factor));
}

/** x plus a number. */
export function shift(x: Value, by: number): Value {
  return add(x, x.tape.scalar(by));
}

/** x to a power that is a number. */
export function pow(x: Value, exponent: number): Value {
  const { tape } = x;
  const raise = (to: number) => binary('Pow', x, tape.scalar(to));
  return tape.applyOne(
    [x],
    () => raise(exponent),
    (g) => [() => binary('Mul', g, binary('Mul', raise(exponent - 1), tape.scalar(exponent)))],
  );
}

export function exp(x: Value): Value {
  return x.tape.applyOne(
    [x],
    () => unary('Exp', x),
    (g, out) => [() => binary('Mul', g, out)],
  );
}

export function log(x: Value): Value {
  return x.tape.applyOne(
    [x],
    () => unary('Log', x),
    (g) => [() => binary('Div', g, x)],
  );
}

export function sqrt(x: Value): Value {
  return x.tape.applyOne(
    [x],
    () => unary('Sqrt', x),
    (g, out) => [() => binary('Div', binary('Mul', g, x.tape.scalar(0.5)), out)],
  );
}

/** a where `condition` (bool) holds, b elsewhere. */
export function where(condition: Value, a: Value, b: Value): Value {
  const { tape } = a;
  const shape = broadcast(condition.shape, broadcast(a.shape, b.shape));
  const zero = tape.scalar(0);
  return tape.applyOne(
    [a, b],
    () => tape.node('Where', [condition, a, b], shape),
    (g) => [
      () => sumTo(tape.node('Where', [condition, g, zero], shape), a.shape),
      () => sumTo(tape.node('Where', [condition, zero, g], shape), b.shape),
    ],
  );
}

/**
 * Dropout with a mask that the caller makes and feeds: 1 / (1 - rate) where a value stays, 0 where it goes. Fed, because ONNX's own random
 * operators give other numbers in another runtime.
 */
export function dropout(x: Value, mask: Value): Value {
  return x.tape.applyOne(
    [x],
    () => binary('Mul', x, mask),
    (g) => [() => binary('Mul', g, mask)],
  );
}
