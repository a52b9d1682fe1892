import { describe, expect, test } from 'vitest';
import { calibrationBins } from '../../evaluation/metrics.ts';
import { BINARY, expectClose, join, MESSY_PARAMS, messy, STRANGE, serve } from './linear.testing.ts';
import { fitSvm, predictSvm, svmToOnnx } from './svm.ts';

const insufficient = expect.objectContaining({ code: 'training_data_insufficient' });

describe('linear support vector machine', () => {
  test('is LIBLINEAR (scikit-learn 1.9) on the same table', () => {
    // intercept_scaling 1000 there makes the punishment of its intercept as good as none.
    const model = fitSvm(BINARY, { l2: 2, tolerance: 1e-10 }, { seed: 1 });
    expectClose(model.coefficients, [0.31030973, 0.49226602, -1.15625781], 1e-5);
    expect(model.intercepts[0]).toBeCloseTo(0.0405367, 5);
  });

  test('its probabilities are about what comes', () => {
    const [learned, fresh] = [messy(3000, 1), messy(3000, 2)];
    const binary = (labels: Float32Array) => labels.map((label) => Number(label > 0));
    const model = fitSvm({ ...learned, labels: binary(learned.labels) }, MESSY_PARAMS, { seed: 1 });
    const bins = calibrationBins(predictSvm(model, fresh.rows), binary(fresh.labels), 5);
    for (const { predicted, observed } of bins) expect(Math.abs(predicted - observed)).toBeLessThan(0.06);
    expect(bins.at(-1)!.observed - bins[0]!.observed).toBeGreaterThan(0.4);
  });

  test.each([
    ['three classes', 2],
    ['two classes', 1],
  ])('served, it answers as the trainer does: %s', async (_, most) => {
    const table = messy(500, 5);
    const model = fitSvm({ ...table, labels: table.labels.map((label) => Math.min(label, most)) }, MESSY_PARAMS, { seed: 1 });
    const rows = join(table.rows, STRANGE);
    const { probability } = await serve(svmToOnnx(model), rows, 5);
    expectClose(probability!, predictSvm(model, rows), 1e-5);
    if (model.outputs === 1) return;
    for (let at = 0; at < probability!.length; at += 3) expect(probability![at]! + probability![at + 1]! + probability![at + 2]!).toBeCloseTo(1, 5);
  });

  test('the seed deals the folds of the calibration and nothing else', () => {
    const first = fitSvm(BINARY, {}, { seed: 1 });
    const other = fitSvm(BINARY, {}, { seed: 2 });
    expect(fitSvm(BINARY, {}, { seed: 1 })).toEqual(first);
    expect(other.coefficients).toEqual(first.coefficients);
    expect(other.calibration).not.toEqual(first.calibration);
  });

  test('a rare class can be made to count', () => {
    const table = messy(2000, 9);
    const labels = table.labels.map((label, row) => Number(label === 2 && row % 8 === 0));
    const called = (classWeights: 'balanced' | undefined) => {
      const model = fitSvm({ ...table, labels }, { ...MESSY_PARAMS, classWeights }, { seed: 1 });
      return model.intercepts[0]!;
    };
    expect(called('balanced')).toBeGreaterThan(called(undefined) + 0.3);
  });

  test('refuses what it cannot learn from', () => {
    const labels = new Float32Array(60);
    labels[0] = 1;
    expect(() => fitSvm({ ...BINARY, labels }, {}, { seed: 1 })).toThrow(insufficient);
    expect(() => fitSvm({ ...BINARY, labels: new Float32Array(60) }, {}, { seed: 1 })).toThrow(insufficient);
    expect(() => fitSvm(BINARY, { l2: 0 }, { seed: 1 })).toThrow(RangeError);
  });
});
