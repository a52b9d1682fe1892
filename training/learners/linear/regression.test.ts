import { describe, expect, test } from 'vitest';
import { seededRandom } from '../random.ts';
import { expectClose, join, MESSY_PARAMS, messy, REAL, STRANGE, serve, WEIGHTS } from './linear.testing.ts';
import { fitLinearRegression, linearRegressionToOnnx, predictLinearRegression } from './regression.ts';

const insufficient = expect.objectContaining({ code: 'training_data_insufficient' });

describe('linear regression', () => {
  test.each([
    ['without ridge', { l2: 0 }, undefined, [1.4114322, -0.706181987, -0.000550680736], 0.3272073845],
    ['with ridge', { l2: 2 }, undefined, [1.36620002, -0.68400158, -0.00174517], 0.3272073845],
    ['with weights', { l2: 2 }, WEIGHTS, [1.39240422, -0.69992002, 0.01137493], 0.3275659467],
  ])('is scikit-learn 1.9 on the same table, %s', (_, params, weights, coefficients, intercept) => {
    const model = fitLinearRegression(weights ? { ...REAL, weights } : REAL, params, { seed: 1 });
    expectClose(model.coefficients, coefficients, 1e-6);
    expect(model.intercepts[0]).toBeCloseTo(intercept, 6);
  });

  test('without noise it is the plane itself', () => {
    const random = seededRandom(2);
    const rows = Float32Array.from({ length: 200 }, () => 100 * random.next());
    const labels = Float32Array.from({ length: 100 }, (_, i) => 3 * rows[2 * i]! - 0.5 * rows[2 * i + 1]! + 4);
    const model = fitLinearRegression({ rows, n: 100, f: 2, labels }, { l2: 0 }, { seed: 1 });
    expectClose(predictLinearRegression(model, Float32Array.of(0, 0, 10, 10)), [4, 29], 1e-4);
  });

  test('served, it answers as the trainer does, gaps and unseen categories included', async () => {
    const table = messy(400, 3);
    const model = fitLinearRegression(table, MESSY_PARAMS, { seed: 1 });
    const rows = join(table.rows, STRANGE);
    const { score } = await serve(linearRegressionToOnnx(model), rows, 5);
    expectClose(score!, predictLinearRegression(model, rows), 1e-5);
  });

  test('columns that depend on one another need ridge', () => {
    const rows = Float32Array.from({ length: 60 }, (_, at) => REAL.rows[Math.floor(at / 2) * 3]! * (1 + (at % 2)));
    const table = { rows, n: 30, f: 2, labels: REAL.labels.slice(0, 30) };
    expect(() => fitLinearRegression(table, { l2: 0 }, { seed: 1 })).toThrow(insufficient);
    const { coefficients } = fitLinearRegression(table, { l2: 1 }, { seed: 1 });
    expect(coefficients[0]).toBeCloseTo(coefficients[1]!, 5);
  });

  test('refuses what it cannot learn from', () => {
    expect(() => fitLinearRegression({ ...REAL, labels: REAL.labels.map(() => Number.NaN) }, {}, { seed: 1 })).toThrow(insufficient);
    expect(() => fitLinearRegression({ rows: new Float32Array(0), n: 0, f: 3, labels: new Float32Array(0) }, {}, { seed: 1 })).toThrow(insufficient);
    expect(() => fitLinearRegression({ ...REAL, weights: new Float32Array(60) }, {}, { seed: 1 })).toThrow(insufficient);
    expect(() => fitLinearRegression({ ...REAL, weights: new Float32Array(60).fill(-1) }, {}, { seed: 1 })).toThrow(insufficient);
    expect(() => fitLinearRegression({ ...REAL, n: 59 }, {}, { seed: 1 })).toThrow(RangeError);
    expect(() => fitLinearRegression(REAL, { l2: -1 }, { seed: 1 })).toThrow(RangeError);
  });
});
