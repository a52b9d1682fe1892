import { describe, expect, test } from 'vitest';
import { seededRandom } from '../random.ts';
import { minimise, type Smooth } from './lbfgs.ts';

const options = { tolerance: 1e-9, iterationsMax: 500 };

/** 1/2 x' diag(d) x - b' x. */
function quadratic(d: readonly number[], b: readonly number[]): Smooth {
  return (x, gradient) => {
    let value = 0;
    for (let i = 0; i < d.length; i++) {
      gradient[i] = d[i]! * x[i]! - b[i]!;
      value += x[i]! * (0.5 * d[i]! * x[i]! - b[i]!);
    }
    return value;
  };
}

describe('minimise', () => {
  test('finds the minimum of a badly scaled bowl', () => {
    const d = [1, 10, 100, 1000, 10_000];
    const found = minimise(quadratic(d, [1, 2, 3, 4, 5]), new Float64Array(5), options);
    expect(found.converged).toBe(true);
    for (let i = 0; i < 5; i++) expect(found.x[i]).toBeCloseTo((i + 1) / d[i]!, 9);
  });

  test('follows the curved valley of Rosenbrock', () => {
    const rosenbrock: Smooth = (x, gradient) => {
      const [a, b] = [1 - x[0]!, x[1]! - x[0]! * x[0]!];
      gradient[0] = -2 * a - 400 * x[0]! * b;
      gradient[1] = 200 * b;
      return a * a + 100 * b * b;
    };
    const start = Float64Array.of(-1.2, 1);
    const found = minimise(rosenbrock, start, options);
    expect(found.x[0]).toBeCloseTo(1, 7);
    expect(found.x[1]).toBeCloseTo(1, 7);
    expect([...start]).toEqual([-1.2, 1]);
  });

  test('with l1 finds the soft threshold, zeros included', () => {
    const random = seededRandom(3);
    const d = Array.from({ length: 40 }, () => 0.5 + 5 * random.next());
    const b = Array.from({ length: 40 }, () => 2 * random.normal());
    const l1 = Float64Array.from({ length: 40 }, (_, i) => (i === 0 ? 0 : 1.5));
    const found = minimise(quadratic(d, b), new Float64Array(40), { ...options, l1 });
    expect(found.converged).toBe(true);
    b.forEach((pull, i) => {
      const wanted = (Math.sign(pull) * Math.max(0, Math.abs(pull) - l1[i]!)) / d[i]!;
      expect(found.x[i]).toBeCloseTo(wanted, 8);
      if (wanted === 0) expect(Math.abs(found.x[i]!)).toBe(0);
    });
    expect(found.x.filter((value) => value === 0).length).toBeGreaterThan(10);
  });

  test('a step into what is not finite is shortened', () => {
    // -log x + x has its minimum at 1 and no value below 0.
    const barrier: Smooth = (x, gradient) => {
      gradient[0] = 1 - 1 / x[0]!;
      return x[0]! - Math.log(x[0]!);
    };
    expect(minimise(barrier, Float64Array.of(1e-3), options).x[0]).toBeCloseTo(1, 8);
    expect(() => minimise(barrier, Float64Array.of(-1), options)).toThrow('NaN at the start');
  });

  test('says so when it ran out of iterations', () => {
    const found = minimise(quadratic([1, 1e4], [1, 1]), new Float64Array(2), { tolerance: 1e-9, iterationsMax: 2 });
    expect(found).toMatchObject({ converged: false, iterations: 2 });
  });
});
