import { describe, expect, test } from 'vitest';
import { COUNTS, expectClose, join, MESSY_PARAMS, messy, STRANGE, serve } from './linear.testing.ts';
import { fitPoisson, poissonToOnnx, predictPoisson } from './poisson.ts';

const insufficient = expect.objectContaining({ code: 'training_data_insufficient' });

describe('Poisson regression', () => {
  test('is scikit-learn 1.9 on the same table', () => {
    // PoissonRegressor's alpha 0.1 is a mean over 60 rows.
    const model = fitPoisson(COUNTS, { l2: 6, tolerance: 1e-10 }, { seed: 1 });
    expectClose(model.coefficients, [0.54380036, -0.27393548, 0.04392234], 1e-6);
    expect(model.intercepts[0]).toBeCloseTo(0.8581652, 6);
  });

  test('without features that say anything it is the mean, and exposures weigh', () => {
    const table = { rows: new Float32Array(4), n: 4, f: 1, labels: Float32Array.of(0, 1, 2, 5), weights: Float32Array.of(1, 1, 1, 3) };
    expect(predictPoisson(fitPoisson(table, {}, { seed: 1 }), Float32Array.of(0))[0]).toBeCloseTo(3, 5);
  });

  test('served, it answers as the trainer does', async () => {
    const table = messy(400, 7);
    const model = fitPoisson(table, MESSY_PARAMS, { seed: 1 });
    const rows = join(table.rows, STRANGE);
    const { score, mean } = await serve(poissonToOnnx(model), rows, 5);
    expectClose(mean!, predictPoisson(model, rows), 1e-5);
    expectClose(score!.map(Math.exp), mean!, 1e-5);
  });

  test('refuses what are no counts', () => {
    expect(() => fitPoisson({ ...COUNTS, labels: new Float32Array(60) }, {}, { seed: 1 })).toThrow(insufficient);
    expect(() => fitPoisson({ ...COUNTS, labels: new Float32Array(60).fill(-1) }, {}, { seed: 1 })).toThrow(insufficient);
    expect(() => fitPoisson(COUNTS, { l2: -1 }, { seed: 1 })).toThrow(RangeError);
  });
});
