import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { shareOf } from '../scoring/models/anomaly.ts';
import { type FittedAnomaly, fitAnomaly, scaleOf } from './anomaly.ts';
import { FraudRows } from './fraud-rows.ts';
import { fitIsolationForest, isolationScores } from './learners/anomaly/isolationForest.ts';
import { seededRandom } from './learners/random.ts';

const COLUMNS = 6;
const quiet = (): void => undefined;

/**
 * Payments around the origin; frauds far from it, in one place, as one gang's are. Every fifth value is missing. `payments` is how many the journal had: of
 * more than the rows, a share of the honest ones stands for all.
 */
function rowsOf(honest: number, frauds: number, payments = honest + frauds, seed = 1): FraudRows {
  const random = seededRandom(seed);
  const n = honest + frauds;
  const log = { outcomes: new Map(), paymentsMs: Float64Array.from({ length: payments }, (_, i) => i) };
  const rows = new FraudRows(COLUMNS, { fromMs: 0, toMs: payments }, log, n);
  const labels = Float32Array.from({ length: n }, (_, i) => (Math.floor((i * frauds) / n) < Math.floor(((i + 1) * frauds) / n) ? 1 : 0));
  const values = Float32Array.from({ length: n * COLUMNS }, (_, at) => {
    if (random.next() < 0.2) return Number.NaN;
    return random.normal() + (labels[Math.floor(at / COLUMNS)] === 1 ? 5 : 0);
  });
  rows.restore({ rows: values, labels, atMs: Float64Array.from({ length: n }, (_, i) => i) });
  return rows;
}
function fitted(rows: FraudRows, seed = 3): FittedAnomaly {
  const result = fitAnomaly(rows, seed, quiet);
  if (typeof result === 'string') throw new Error(result);
  return result;
}
const plain = rowsOf(2_960, 40);

describe('fitAnomaly', () => {
  test('finds strange payments that nobody called fraud, and states them as a share of the known ones', () => {
    const { model, scale, metrics } = fitted(plain);
    expect(metrics['anomaly_auc']!).toBeGreaterThan(0.98);
    const share = shareOf('', scale);
    const [usual, strange] = isolationScores(model, Float32Array.of(...new Array(COLUMNS).fill(0), ...new Array(COLUMNS).fill(9)));
    expect(share(usual!)).toBeLessThan(0.3);
    expect(share(strange!)).toBeGreaterThan(0.99);
  });

  test('learns the same without outcomes, and the same bytes from the same seed', () => {
    const { rows, atMs, labels } = plain.stored();
    const unknown = rowsOf(2_960, 40);
    expect(unknown.stored().rows).toEqual(rows);
    const honest = new FraudRows(COLUMNS, { fromMs: 0, toMs: labels.length }, { outcomes: new Map(), paymentsMs: atMs });
    honest.restore({ rows, atMs, labels: new Float32Array(labels.length) });
    const model = fitted(plain).model;
    expect(fitted(honest).model).toEqual(model);
    expect(JSON.stringify(fitted(unknown))).toBe(JSON.stringify(fitted(plain)));
    expect(fitted(plain, 4).model).not.toEqual(model);
    // One class has no AUC.
    expect(fitted(honest).metrics['anomaly_auc']).toBeNaN();
  });

  test('of a sample of the honest ones it sees frauds as rare as they are', () => {
    const sample = rowsOf(2_000, 500, 40_000);
    const { rows, n, f, labels, weights } = sample.slice(0, sample.count);
    expect(weights!.reduce((sum, weight) => sum + weight, 0)).toBeGreaterThan(30_000);
    const meanOfFrauds = (scores: Float32Array): number => scores.reduce((sum, score, i) => sum + score * labels[i]!, 0) / 500;
    const asSampled = meanOfFrauds(isolationScores(fitIsolationForest({ values: rows, columns: f }, {}, { seed: 3 }), rows));
    expect(meanOfFrauds(isolationScores(fitted(sample).model, rows))).toBeGreaterThan(asSampled + 0.05);
    expect(n).toBe(2_500);
  });

  test('needs payments enough for a share to mean something', () => {
    expect(fitAnomaly(rowsOf(480, 19), 3, quiet)).toContain('499 payments');
  });
});

describe('scaleOf', () => {
  test('each knot is the weighted share that scored less; the highest score is one', () => {
    const random = seededRandom(8);
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 400 }), fc.integer({ min: 1, max: 50 }), fc.boolean(), (n, values, weighted) => {
        const scores = Float32Array.from({ length: n }, () => random.int(values) / values);
        const weights = weighted ? Float32Array.from({ length: n }, () => 1 + random.int(9)) : undefined;
        const scale = scaleOf(scores, weights);
        const weightBelow = (limit: number): number => scores.reduce((sum, score, i) => sum + (score < limit ? (weights?.[i] ?? 1) : 0), 0);
        const total = weightBelow(Number.POSITIVE_INFINITY);
        scale.scores.forEach((score, i) => {
          expect(scale.shares[i]).toBeCloseTo(weightBelow(score) / total, 12);
        });
        expect(scale.scores.at(-1)).toBe(Math.max(...scores));
        expect(scale.scores[0]).toBe(Math.min(...scores));
        // What a reader would refuse is never made.
        expect(shareOf('', scale)(scale.scores[0]!)).toBe(0);
      }),
      { seed: 6, numRuns: 200 },
    );
  });

  test('has few knots, the closer the stranger', () => {
    const { scores, shares } = scaleOf(Float32Array.from({ length: 50_000 }, (_, i) => i / 50_000));
    expect(scores.length).toBeLessThan(125);
    expect(shares.filter((share) => share > 0.999).length).toBeGreaterThan(7);
    expect(shareOf('', { scores, shares })(0.99949)).toBeCloseTo(0.99949, 4);
  });
});
