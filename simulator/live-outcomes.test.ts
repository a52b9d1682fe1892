import { expect, test } from 'vitest';
import type { TimedEvent } from '../contracts/event.ts';
import { OUTCOMES_MAX, Outcomes } from './live-outcomes.ts';
import { DAY_MS } from './params.ts';

const label = (n: number, days: number): TimedEvent => ({
  event_id: `l${n}`,
  name: 'label',
  transaction_id: `t${n}`,
  is_fraud: true,
  timestamp_ms: 1_000 + days * DAY_MS,
});
const ids = (events: readonly TimedEvent[]): string[] => events.map(({ event_id }) => event_id);

test('an outcome comes after its days, ten seconds each, with the time at which it became known', () => {
  const outcomes = new Outcomes();
  outcomes.add(label(1, 1), 1_000, 500_000);
  outcomes.add(label(2, 3), 1_000, 500_000);
  expect(outcomes.take(509_999, 10)).toEqual([]);
  expect(outcomes.take(510_000, 10)).toEqual([{ ...label(1, 1), timestamp_ms: 510_000 }]);
  expect(ids(outcomes.take(600_000, 10))).toEqual(['l2']);
  expect(outcomes.size).toBe(0);
});

test('what could not be sent is due again at once, and a take has its limit', () => {
  const outcomes = new Outcomes();
  for (let n = 0; n < 5; n++) outcomes.add(label(n, 1), 1_000, 0);
  const taken = outcomes.take(10_000, 3);
  expect(ids(taken)).toEqual(['l0', 'l1', 'l2']);
  outcomes.putBack(taken);
  expect(ids(outcomes.take(10_000, 10)).sort()).toEqual(['l0', 'l1', 'l2', 'l3', 'l4']);
});

test('no more than fit are kept', () => {
  const outcomes = new Outcomes();
  for (let n = 0; n < OUTCOMES_MAX; n++) expect(outcomes.add(label(n, 1), 1_000, 0)).toBe(true);
  expect(outcomes.add(label(-1, 1), 1_000, 0)).toBe(false);
  expect(outcomes.size).toBe(OUTCOMES_MAX);
});
