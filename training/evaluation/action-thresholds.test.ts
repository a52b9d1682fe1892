import { describe, expect, test } from 'vitest';
import { seededRandom } from '../learners/random.ts';
import { type ActionRows, RISK_COSTS, type RiskCosts, thresholdsOfActions } from './action-thresholds.ts';

const RULED = ['approve', 'review', 'challenge', 'decline'] as const;

/** What rows cost under given thresholds, action by action. */
function costOf(
  { probabilities, labels, amounts, weights, ruled }: ActionRows,
  costs: RiskCosts,
  t: { review: number; challenge: number; decline: number },
) {
  let [cost, reviews] = [0, 0];
  for (let i = 0; i < probabilities.length; i++) {
    const [p, isFraud, amount, times] = [probabilities[i]!, labels[i]! > 0, amounts[i]!, weights?.[i] ?? 1];
    const [lost, refused] = [amount + costs.chargebackFee, costs.margin * amount + costs.goodwill];
    const rule = RULED.indexOf((ruled?.[i] ?? 'approve') as (typeof RULED)[number]);
    if (p >= t.decline || rule === 3) cost += isFraud ? 0 : times * refused;
    else if (p >= t.challenge || rule === 2) cost += times * (isFraud ? (1 - costs.challengeStops) * lost : costs.challengeLoses * refused);
    else if (p >= t.review || rule === 1) {
      cost += times * (costs.review + (isFraud ? (1 - costs.reviewFinds) * lost : 0));
    } else cost += isFraud ? times * lost : 0;
    // The capacity is kept for rows between the thresholds, whatever a rule makes of them beyond review.
    if (rule === 0 && p >= t.review && p < t.challenge) reviews += times;
  }
  return { cost, reviews };
}

function rowsOf(seed: number, n: number, weighted: boolean, ruled: boolean): ActionRows {
  const random = seededRandom(seed);
  // Few distinct probabilities, so that rows share them.
  const probabilities = Float64Array.from({ length: n }, () => random.int(8) / 8);
  return {
    probabilities,
    labels: Float64Array.from(probabilities, (p) => (random.next() < p * p ? 1 : 0)),
    amounts: Float64Array.from({ length: n }, () => Math.round(200 * random.next() ** 3)),
    ...(ruled ? { ruled: Array.from({ length: n }, () => RULED[Math.max(0, random.int(8) - 4)]!) } : {}),
    ...(weighted ? { weights: Float64Array.from({ length: n }, () => 1 + random.int(4)) } : {}),
  };
}

describe('thresholds of actions', () => {
  test.each([
    ['with no rules', false, true],
    ['beside rules', true, true],
    ['beside rules, for a person’s look alone', true, false],
  ])('are the best of all there are %s, with and without a limit of reviews', (_, ruled, automatic) => {
    for (let seed = 1; seed <= 40; seed++) {
      const rows = rowsOf(seed, 30, seed % 2 === 0, ruled);
      const cuts = [...new Set(rows.probabilities as Float64Array), 1.01];
      for (const reviewsMax of [Number.POSITIVE_INFINITY, 6, 0]) {
        let least = Number.POSITIVE_INFINITY;
        for (const decline of automatic ? cuts : [1.01])
          for (const challenge of cuts.filter((cut) => cut <= decline && (automatic || cut === 1.01)))
            for (const review of cuts.filter((cut) => cut <= challenge)) {
              const { cost, reviews } = costOf(rows, RISK_COSTS, { review, challenge, decline });
              if (reviews <= reviewsMax && cost < least) least = cost;
            }
        const chosen = thresholdsOfActions(rows, RISK_COSTS, { reviewsMax, automatic });
        const { cost, reviews } = costOf(rows, RISK_COSTS, chosen.thresholds);
        expect(cost).toBeCloseTo(least, 6);
        expect(chosen.cost).toBeCloseTo(least, 6);
        expect(chosen.reviews).toBe(reviews);
        expect(reviews).toBeLessThanOrEqual(reviewsMax);
        expect(chosen.thresholds.review).toBeLessThanOrEqual(chosen.thresholds.challenge);
        expect(chosen.thresholds.challenge).toBeLessThanOrEqual(chosen.thresholds.decline);
      }
    }
  });

  test('act on nothing where nothing is fraud, and decline all where all is', () => {
    const probabilities = [0.9, 0.5, 0.1];
    const amounts = [100, 100, 100];
    expect(thresholdsOfActions({ probabilities, amounts, labels: [0, 0, 0] }, RISK_COSTS).thresholds).toEqual({
      review: 1.01,
      challenge: 1.01,
      decline: 1.01,
    });
    const all = thresholdsOfActions({ probabilities, amounts, labels: [1, 1, 1] }, RISK_COSTS);
    expect(all).toMatchObject({ thresholds: { review: 0.1, challenge: 0.1, decline: 0.1 }, cost: 0, costOfNone: 345 });
  });

  test('need rows, and costs that are costs', () => {
    expect(() => thresholdsOfActions({ probabilities: [], labels: [], amounts: [] }, RISK_COSTS)).toThrow(
      expect.objectContaining({ code: 'training_data_insufficient' }),
    );
    expect(() => thresholdsOfActions({ probabilities: [1], labels: [1], amounts: [1] }, { ...RISK_COSTS, margin: Number.NaN })).toThrow(RangeError);
  });
});
