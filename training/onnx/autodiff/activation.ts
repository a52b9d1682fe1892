import { add, binary, mul, pow, scale, shift, unary } from './arithmetic.ts';
import type { Value } from './tape.ts';

export function relu(x: Value): Value {
  // The output's sign is 1 or 0: what passes, without a comparison and a selection.
  return x.tape.applyOne(
    [x],
    () => unary('Relu', x),
    (g, out) => [() => binary('Mul', g, unary('Sign', out))],
  );
}

export function sigmoid(x: Value): Value {
  return x.tape.applyOne(
    [x],
    () => unary('Sigmoid', x),
    (g, out) => [() => binary('Mul', g, sigmoidSlope(out))],
  );
}

export function tanh(x: Value): Value {
  return x.tape.applyOne(
    [x],
    () => unary('Tanh', x),
    (g, out) => [() => binary('Mul', g, tanhSlope(out))],
  );
}

/** Slope of the sigmoid where its value is s; not recorded. */
export function sigmoidSlope(s: Value): Value {
  return binary('Mul', s, binary('Sub', s.tape.scalar(1), s));
}

/** Slope of tanh where its value is t; not recorded. */
export function tanhSlope(t: Value): Value {
  return binary('Sub', t.tape.scalar(1), binary('Mul', t, t));
}

/** log(1 + e^x), exact for large |x|. */
export function softplus(x: Value): Value {
  const { tape } = x;
  const compute = (): Value => {
    if (tape.type === 'float32') return unary('Softplus', x);
    // onnxruntime has no float64 kernel: max(x, 0) + log(1 + e^-|x|).
    const tail = unary('Log', binary('Add', tape.scalar(1), unary('Exp', unary('Neg', unary('Abs', x)))));
    return binary('Add', unary('Relu', x), tail);
  };
  return tape.applyOne([x], compute, (g) => [() => binary('Mul', g, unary('Sigmoid', x))]);
}

const SQRT_HALF = Math.SQRT1_2;
const DENSITY_AT_ZERO = 1 / Math.sqrt(2 * Math.PI);

/** x times the normal distribution function at x. Float32 alone: onnxruntime has no float64 Erf. */
export function gelu(x: Value): Value {
  const { tape } = x;
  const number = (value: number) => tape.scalar(value);
  return tape.applyOne(
    [x],
    () => unary('Gelu', x),
    (g) => [
      () => {
        const half = binary('Mul', unary('Erf', binary('Mul', x, number(SQRT_HALF))), number(0.5));
        const density = binary('Mul', unary('Exp', binary('Mul', binary('Mul', x, x), number(-0.5))), number(DENSITY_AT_ZERO));
        const slope = binary('Add', binary('Add', half, number(0.5)), binary('Mul', x, density));
        return binary('Mul', g, slope);
      },
    ],
  );
}

/** The tanh approximation of GELU, as BERT and GPT use it. */
export function geluTanh(x: Value): Value {
  const inner = scale(add(x, scale(pow(x, 3), 0.044715)), Math.sqrt(2 / Math.PI));
  return mul(scale(x, 0.5), shift(tanh(inner), 1));
}
