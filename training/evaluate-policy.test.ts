import { describe, expect, test } from 'vitest';
import type { TimedEvent } from '../contracts/event.ts';
import type { Fact } from '../contracts/fact.ts';
import type { Item } from '../contracts/item.ts';
import { chooseSlate, greedySlate, type RankedCandidates } from '../scoring/recommend/explore/slate.ts';
import { DEFAULT_PLACEMENTS, type Placement } from '../scoring/recommend/placements.ts';
import { evaluatePolicy, type PolicyEvaluation } from './evaluate-policy.ts';
import type { FactSource } from './facts.ts';
import { type Random, seededRandom } from './learners/random.ts';
import type { PolicyReward } from './policy-log.ts';

const START_MS = 1_750_000_000_000;
const MINUTE_MS = 60_000;
const ITEMS = 12;
const LIMIT = 4;
const EXPLORING: Placement = {
  ...DEFAULT_PLACEMENTS[0]!,
  limit: LIMIT,
  diversity: 0,
  new_share: 0,
  exploration: { policy: 'epsilon_greedy', epsilon: 0.5, by: 'slot', among: 'all', slots: LIMIT, pool: ITEMS },
};
/** Variety above all: another four items of those that rank best. */
const VARIED: Placement = { ...EXPLORING, diversity: 0.6, exploration: { policy: 'none' } };

const CATALOGUE: Item[] = Array.from({ length: ITEMS }, (_, i) => ({
  item_id: `i${i}`,
  category: `c${i >> 2}`,
  created_ms: START_MS - 1e9 - i * 1e8,
}));

/** The ranker likes the first category; the shoppers like the others. */
function clickRate(item: number, place: number): number {
  return (0.06 + 0.1 * (item >> 2)) / (1 + 0.5 * place);
}

function rankedFor(random: Random): RankedCandidates {
  const scores = CATALOGUE.map((_, i) => 2 - 0.1 * i + 0.05 * random.next());
  const order = Int32Array.from(scores, (_, i) => i).sort((a, b) => scores[b]! - scores[a]!);
  return {
    order,
    id: (i) => `i${i}`,
    scores,
    floor: scores[order.at(-1)!]!,
    item: (i) => CATALOGUE[i],
    isFrom: () => false,
    category: (i) => i >> 2,
    createdMs: (i) => CATALOGUE[i]!.created_ms!,
  };
}

interface Journal {
  readonly source: FactSource;
  /** Clicks of a recommendation that the varied placement would have got. */
  readonly truth: number;
}

/** Recommendations of a placement over an hour or a few, with the clicks on them. */
function journal(placement: Placement, count: number, seed: number, named = true): Journal {
  const random = seededRandom(seed);
  const facts: Fact[] = CATALOGUE.map((item) => ({ kind: 'item_put', at_ms: START_MS, item }));
  let truth = 0;
  for (let n = 0; n < count; n++) {
    const ranked = rankedFor(random);
    const atMs = START_MS + n * MINUTE_MS;
    const recommendation_id = `r${seed}.${n}`;
    const request = { placement, limit: LIMIT, nowMs: atMs, seed: recommendation_id, belief: () => ({ a: 1, b: 9 }) };
    const { shown, log } = chooseSlate(ranked, request);
    for (const [place, item] of greedySlate(ranked, VARIED, LIMIT, atMs).entries()) truth += clickRate(item, place) / count;
    const who = { user_id: `u${n % 200}` };
    const items = shown.map((i) => ({ item_id: `i${i}`, score: ranked.scores[i]!, sources: [], reason: '' }));
    facts.push({
      kind: 'recommendation',
      at_ms: atMs,
      request: who,
      response: { recommendation_id, placement: placement.id, items, bundle: null, degraded: false },
      ...(log === undefined ? {} : { exploration: log }),
    });
    const from = named ? { recommendation_id } : { placement: placement.id };
    const event = (name: TimedEvent['name'], ids: readonly number[]): Fact => ({
      kind: 'event',
      at_ms: atMs,
      event: {
        event_id: `${name}${n}.${ids[0]}`,
        name,
        timestamp_ms: atMs,
        ...who,
        ...from,
        items: ids.map((i) => ({ item_id: `i${i}`, price: 5 })),
      },
    });
    facts.push(event('view_item_list', shown));
    for (const [place, item] of shown.entries()) {
      if (random.next() >= clickRate(item, place)) continue;
      facts.push(event('select_item', [item]), event('purchase', [item]));
    }
  }
  const records = facts.map((fact, n) => ({ offset: n + 1, fact }));
  const read = async function* () {
    yield* records;
  };
  return { source: { count: records.length, read }, truth };
}

const evaluate = ({ source }: Journal, placement: Placement, reward: PolicyReward = 'click', replicates = 200): Promise<PolicyEvaluation> =>
  evaluatePolicy({ facts: source, placement, reward, fromMs: 0, untilMs: Number.POSITIVE_INFINITY, seed: 1, replicates });

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
      const mean = list.reduce((a, b) => a + b) / list.length;
      const deviation = Math.sqrt(list.reduce((sum, x) => sum + (x - mean) ** 2, 0) / (list.length - 1));
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
    const unnamed = await evaluate(journal(EXPLORING, 600, 3, false), VARIED, 'click', 2);
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
