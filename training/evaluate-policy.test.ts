import { describe, expect, test } from 'vitest';
import type { Placement } from '../scoring/recommend/placements.ts';
import { evaluatePolicy, type PolicyEvaluation } from './evaluate-policy.ts';
import { EXAMINED, EXPLORING, ITEMS, type Journal, journal, LIMIT, VARIED } from './policy-log.testing.ts';
import { POOL_FEATURES, type PolicyCurves, PolicyLog, type PolicyReward } from './policy-log.ts';

/** Logs over which the mean of an estimate is looked at. */
const RUNS = 12;
const ALWAYS = { fromMs: 0, untilMs: Number.POSITIVE_INFINITY };
const evaluate = (
  { source }: Journal,
  placement: Placement,
  reward: PolicyReward = 'click',
  replicates = 200,
  curves?: PolicyCurves,
): Promise<PolicyEvaluation> => evaluatePolicy({ facts: source, placement, reward, ...ALWAYS, seed: 1, replicates, ...(curves && { curves }) });
const curvesOf = (newest: readonly number[]): PolicyCurves => ({ of: () => new Map(), newest });
const momentsOf = (values: readonly number[]): { mean: number; deviation: number } => {
  const mean = values.reduce((a, b) => a + b) / values.length;
  return { mean, deviation: Math.sqrt(values.reduce((sum, x) => sum + (x - mean) ** 2, 0) / (values.length - 1)) };
};

describe('another form of a placement', () => {
  test('is judged by what was shown: the truth is in the intervals, which the log’s own value is not', async () => {
    const one = journal(EXPLORING, 3_000, 1);
    const { logged, ips, snips, dr, supportedShare, recommendations, noModel, effectivePlaces } = await evaluate(one, VARIED);
    expect([recommendations, supportedShare, noModel]).toEqual([3_000, 1, undefined]);
    for (const { low, high } of [ips, snips, dr!]) {
      expect(low).toBeLessThan(one.truth);
      expect(high).toBeGreaterThan(one.truth);
    }
    expect(logged.high).toBeLessThan(one.truth);
    expect(dr!.standardError).toBeLessThan(ips.standardError);
    expect(effectivePlaces).toBeGreaterThan(300);
  });

  test('estimates are right on average over many logs', async () => {
    const errors: Record<'ips' | 'snips' | 'dr', number[]> = { ips: [], snips: [], dr: [] };
    for (let seed = 10; seed < 24; seed++) {
      const one = journal(EXPLORING, 400, seed);
      const found = await evaluate(one, VARIED, 'click', 2);
      for (const name of ['ips', 'snips', 'dr'] as const) errors[name].push(found[name]!.value - one.truth);
    }
    for (const [, list] of Object.entries(errors)) {
      const { mean, deviation } = momentsOf(list);
      expect(Math.abs(mean)).toBeLessThan((3.5 * deviation) / Math.sqrt(list.length));
    }
  }, 60_000);

  test('the same placement is worth what it got', async () => {
    const one = journal(EXPLORING, 1_500, 2);
    const { logged, ips, dr } = await evaluate(one, EXPLORING);
    // The weights are all 1: chance alone is compared with chance.
    expect(ips).toEqual(logged);
    expect(Math.abs(dr!.value - logged.value)).toBeLessThan(0.15 * logged.value);
  });

  test('rewards may be other acts, credited to the item that the visitor was shown last', async () => {
    const named = await evaluate(journal(EXPLORING, 600, 3), VARIED, 'click', 2);
    const unnamed = await evaluate(journal(EXPLORING, 600, 3, { named: false }), VARIED, 'click', 2);
    expect(unnamed.logged.value).toBe(named.logged.value);
    const revenue = await evaluate(journal(EXPLORING, 600, 3), VARIED, 'revenue', 2);
    expect(revenue.ips.value).toBeCloseTo(5 * named.ips.value, 9);
    const basket = await evaluate(journal(EXPLORING, 600, 3), VARIED, 'basket', 2);
    expect(basket.ips.value).toBe(0);
    expect(basket.dr).toBeUndefined();
    expect(basket.noModel).toBeDefined();
  });

  test('what the log could not have shown is said', async () => {
    const few: Placement = {
      ...EXPLORING,
      exploration: { policy: 'epsilon_greedy', epsilon: 0.5, by: 'request', among: 'all', slots: 1, pool: ITEMS },
    };
    const { supportedShare } = await evaluate(journal(few, 300, 4), VARIED, 'click', 2);
    expect(supportedShare).toBeGreaterThan(0);
    expect(supportedShare).toBeLessThan(0.8);
  });

  test('a log without chances is refused', async () => {
    await expect(evaluate(journal({ ...EXPLORING, exploration: { policy: 'none' } }, 50, 5), VARIED)).rejects.toThrow(
      'training_data_insufficient: none of 50 recommendations of home has propensities',
    );
  });
});

describe('by how often places are looked at', () => {
  const shownBy = (exploration: Placement['exploration']): Placement => ({ ...EXPLORING, exploration: exploration! });
  const scope = { among: 'all', slots: LIMIT, pool: ITEMS } as const;

  test.each<[string, Placement]>([
    ['drawn places', EXPLORING],
    ['a list drawn whole', shownBy({ policy: 'epsilon_greedy', epsilon: 0.5, by: 'request', ...scope })],
    ['drawn click rates', shownBy({ policy: 'thompson', ...scope })],
  ])(
    'clicks on %s tell the truth on average, and closer than inverse propensities do',
    async (_, shown) => {
      const errors: Record<'ips' | 'pbm', number[]> = { ips: [], pbm: [] };
      for (let seed = 40; seed < 40 + RUNS; seed++) {
        const one = journal(shown, 300, seed);
        const found = await evaluate(one, VARIED, 'click', 2, curvesOf(EXAMINED));
        errors.ips.push(found.ips.value - one.truth);
        errors.pbm.push(found.pbm!.value - one.truth);
      }
      const [ips, pbm] = [momentsOf(errors.ips), momentsOf(errors.pbm)];
      expect(Math.abs(pbm.mean)).toBeLessThan((3.5 * pbm.deviation) / Math.sqrt(RUNS));
      expect(pbm.deviation).toBeLessThan(ips.deviation);
    },
    120_000,
  );

  test('a curve that is not the shop’s makes the estimate as wrong as it is', async () => {
    const one = journal(EXPLORING, 2_000, 60);
    const first: Placement = { ...EXPLORING, limit: 1, exploration: { policy: 'none' } };
    const { pbm, ips } = await evaluate(one, first, 'click', 100, curvesOf(EXAMINED));
    // As if nobody looked at the first place: what stood there is taken to have been seen elsewhere.
    const wrong = await evaluate(one, first, 'click', 100, curvesOf([0.1, 1, 1, 1]));
    expect(wrong.pbm!.value).toBeLessThan(0.8 * pbm!.value);
    expect(wrong.ips).toEqual(ips);
    expect(Math.abs(pbm!.value - ips.value)).toBeLessThan(3 * ips.standardError);
  });

  test('nothing is said without a curve, and of what is more than a click', async () => {
    const one = journal(EXPLORING, 100, 61);
    expect(await evaluate(one, VARIED, 'click', 2)).toMatchObject({
      pbm: undefined,
      noCurve: 'no bundle says how often the places of home are looked at',
    });
    expect(await evaluate(one, VARIED, 'purchase', 2, curvesOf(EXAMINED))).toMatchObject({
      pbm: undefined,
      noCurve: 'the click model speaks of clicks alone',
    });
  });

  test('views count as they did in the gateway: by the curve of the bundle that gave the answer', async () => {
    const thompson: Placement = { ...EXPLORING, exploration: { policy: 'thompson', among: 'all', slots: LIMIT, pool: ITEMS } };
    const examined = new Map([['home', EXAMINED]]);
    const { source } = journal(thompson, 200, 62, { bundle: { version: 'steep', examined } });
    const viewsOf = async (of: PolicyCurves['of']): Promise<number[]> => {
      const log = new PolicyLog({ placement: thompson, reward: 'click', ...ALWAYS, curves: { of, newest: undefined } });
      for await (const { fact } of source.read()) log.take(fact);
      const { features } = log.require().at(-1)!;
      return Array.from({ length: ITEMS }, (_, n) => features[n * POOL_FEATURES.length + POOL_FEATURES.indexOf('views')]!);
    };
    const logged: number[] = [];
    for await (const { fact } of source.read()) {
      if (fact.kind !== 'recommendation') continue;
      const { beliefs } = fact.exploration!;
      logged.splice(0, ITEMS, ...Array.from({ length: ITEMS }, (_, n) => beliefs![2 * n]! + beliefs![2 * n + 1]!));
    }
    const close = logged.map((views) => expect.closeTo(views, 3));
    expect(await viewsOf((bundle) => (bundle === 'steep' ? examined : new Map()))).toEqual(close);
    expect(await viewsOf(() => new Map())).not.toEqual(close);
  });
});
