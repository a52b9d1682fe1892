import { describe, expect, test } from 'vitest';
import type { RuleHit } from '../../contracts/score.ts';
import { type BreakerTrip, DeclineBreaker } from './breaker.ts';

const LIMITS = { windowMs: 60_000, decisionsMin: 20, ruleShareMax: 0.5, overallShareMax: 0.75 };
const START = 1_750_000_000_000;
const hit = (rule: string, action: RuleHit['action'] = 'decline'): RuleHit => ({ rule, version: 1, action });

/** One decision every 100 ms; the hits of each come from `hitsOf`. Returns the first trip with the number of decisions that it took. */
function run(
  breaker: DeclineBreaker,
  decisions: number,
  hitsOf: (i: number) => readonly RuleHit[],
  fromMs = START,
): { trip: BreakerTrip; after: number } | undefined {
  for (let i = 0; i < decisions; i++) {
    const trip = breaker.observe(hitsOf(i), fromMs + i * 100);
    if (trip) return { trip, after: i + 1 };
  }
  return undefined;
}

describe('one rule', () => {
  test('that stops everyone is taken out as soon as there are enough decisions to tell', () => {
    const found = run(new DeclineBreaker(LIMITS), 100, () => [hit('wrong')]);
    expect(found).toEqual({ after: 20, trip: { rule: 'wrong', version: 1, at_ms: START + 1900, decisions: 20, stopped: 20, scope: 'rule' } });
  });

  test('that stops half of all stays; one more is too much', () => {
    expect(run(new DeclineBreaker(LIMITS), 400, (i) => (i % 2 === 1 ? [hit('half')] : []))).toBeUndefined();
    expect(run(new DeclineBreaker(LIMITS), 400, (i) => (i % 100 < 51 ? [hit('more')] : []))?.trip.rule).toBe('more');
  });

  test.each([
    ['only asks for a look', [hit('review', 'review'), hit('challenge', 'challenge'), hit('allow', 'allow')]],
    ['was overruled', [{ ...hit('overruled'), overruled: true as const }]],
  ])('that %s stops nobody', (_, hits) => {
    expect(run(new DeclineBreaker(LIMITS), 200, () => hits)).toBeUndefined();
  });

  test('is judged by the window: what is past counts no more', () => {
    const breaker = new DeclineBreaker(LIMITS);
    expect(run(breaker, 19, () => [hit('r')])).toBeUndefined();
    // A window later the nineteen are gone, and nineteen more are again too few.
    expect(run(breaker, 19, () => [hit('r')], START + LIMITS.windowMs + 4000)).toBeUndefined();
    expect(breaker.stoppedBy('r', 1)).toEqual({ decisions: 19, stopped: 19 });
    expect(breaker.observe([hit('r')], START + LIMITS.windowMs + 6000)?.stopped).toBe(20);
  });

  test('that was put back gets a whole window', () => {
    const breaker = new DeclineBreaker(LIMITS);
    expect(run(breaker, 100, () => [hit('wrong')])?.after).toBe(20);
    breaker.reset('wrong', 1);
    expect(run(breaker, 100, () => [hit('wrong')], START + 5000)?.after).toBe(20);
  });

  test('a clock that goes back neither throws nor forgets', () => {
    const breaker = new DeclineBreaker(LIMITS);
    run(breaker, 19, () => [hit('r')]);
    expect(breaker.observe([hit('r')], START - 10_000)?.stopped).toBe(20);
  });
});

test('when all rules together stop too much, the one that stops the most goes', () => {
  const found = run(new DeclineBreaker(LIMITS), 400, (i) => (i % 10 < 4 ? [hit('a')] : i % 10 < 7 ? [hit('b')] : i % 10 < 8 ? [hit('c')] : []));
  expect(found?.trip).toMatchObject({ rule: 'a', scope: 'overall' });
  const calm = (i: number) => (i % 10 < 4 ? [hit('a')] : i % 10 < 7 ? [hit('b')] : []);
  const breaker = new DeclineBreaker(LIMITS);
  for (let i = 0; i < 400; i++) expect(breaker.observe(calm((i * 7) % 10), START + i * 100)).toBeUndefined();
});
