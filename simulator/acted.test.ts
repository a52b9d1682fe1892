import { describe, expect, test } from 'vitest';
import type { TimedEvent } from '../contracts/event.ts';
import { type Audience, actOut, createShop, FRAUD_KINDS, type FraudKind } from './index.ts';
import type { ListAsk, PayAsk } from './steps.ts';

const SIZE = { seed: 5, endMs: 1_764_000_000_000, users: 150, items: 120, days: 20, visitsPerUserDay: 0.3, fraudRate: 0.08 };
const shop = createShop(SIZE);

/** Hears everything, and answers as told. */
class Notes implements Audience {
  readonly events: TimedEvent[] = [];
  readonly asked: PayAsk[] = [];
  readonly days: number[] = [];
  readonly answers: Partial<Pick<Audience, 'listed' | 'judged'>>;

  constructor(answers: Partial<Pick<Audience, 'listed' | 'judged'>> = {}) {
    this.answers = answers;
  }

  happened(event: TimedEvent): void {
    this.events.push(event);
  }

  listed(ask: ListAsk, atMs: number) {
    return this.answers.listed?.(ask, atMs);
  }

  judged(ask: PayAsk) {
    this.asked.push(ask);
    return this.answers.judged?.(ask);
  }

  dayEnded(atMs: number): void {
    this.days.push(atMs);
  }

  purchases(): Map<string, TimedEvent> {
    return new Map(this.events.flatMap((event) => (event.name === 'purchase' ? [[event.transaction_id ?? '', event] as const] : [])));
  }
}

async function act(answers: Partial<Pick<Audience, 'listed' | 'judged'>> = {}, world = shop.world): Promise<Notes> {
  const notes = new Notes(answers);
  await actOut(world, notes);
  return notes;
}

describe('a shop that is acted out', () => {
  test('with nobody to answer has the history that it has anyway, but for visits that overlap', async () => {
    const { events, days } = await act();
    expect(events.findIndex((event, i) => i > 0 && event.timestamp_ms < events[i - 1]!.timestamp_ms)).toBe(-1);
    expect(days).toHaveLength(SIZE.days);
    const past = new Set([...shop.history()].map(({ event_id }) => event_id));
    const same = events.filter(({ event_id }) => past.has(event_id)).length;
    expect(same / past.size).toBeGreaterThan(0.98);
    expect(same / events.length).toBeGreaterThan(0.98);
  });

  test('takes the same course when it gets the same answers', async () => {
    const judged = () => Promise.resolve('decline' as const);
    expect((await act({ judged })).events).toEqual((await act({ judged })).events);
  });

  test('lets through whom the answers let through', async () => {
    const challenged = await act({ judged: () => Promise.resolve('challenge') });
    const bought = challenged.purchases();
    const kinds = new Set(challenged.asked.flatMap(({ attempt, fraud }) => (bought.has(attempt.transaction_id) ? [fraud] : [])));
    expect(kinds).toEqual(new Set([undefined]));
    expect((await act({ judged: () => Promise.resolve('suspend') })).purchases().size).toBe(0);
    // Nobody charges back what was never charged; analysts still look at what was refused.
    expect(challenged.events.filter(({ name }) => name === 'chargeback')).toEqual([]);
    expect(challenged.events.some(({ name, is_fraud }) => name === 'label' && is_fraud === true)).toBe(true);
  });

  test('walks the lists that it is given', async () => {
    const itemIds = shop.items().map(({ item_id }) => item_id);
    const asks: number[] = [];
    const { events } = await act({
      listed: (ask, atMs) => {
        asks.push(atMs);
        return Promise.resolve({ itemIds: itemIds.slice(0, ask.limit), recommendationId: 'mine' });
      },
    });
    const lists = events.filter(({ name, recommendation_id }) => name === 'view_item_list' && recommendation_id === 'mine');
    expect(lists).toHaveLength(asks.length);
    expect(asks.findIndex((atMs, i) => i > 0 && atMs < asks[i - 1]!)).toBe(-1);
    expect(events.some(({ name, recommendation_id }) => name === 'select_item' && recommendation_id === 'mine')).toBe(true);
  });
});

test('attacks in waves: each kind has its own weeks, and the last begins when the first is over', async () => {
  const waves = createShop({ ...SIZE, days: 90, fraudWaves: true });
  const first = new Map<FraudKind, number>();
  const last = new Map<FraudKind, number>();
  await act(
    {
      judged(ask) {
        if (ask.fraud === undefined) return undefined;
        const atMs = ask.attempt.timestamp_ms;
        first.set(ask.fraud, Math.min(atMs, first.get(ask.fraud) ?? atMs));
        last.set(ask.fraud, atMs);
        return undefined;
      },
    },
    waves.world,
  );
  expect([...first.keys()].sort()).toEqual([...FRAUD_KINDS].sort());
  const starts = FRAUD_KINDS.map((kind) => first.get(kind)!);
  expect(starts).toEqual([...starts].sort((a, b) => a - b));
  expect(last.get(FRAUD_KINDS[0])).toBeLessThan(first.get(FRAUD_KINDS.at(-1)!)!);
});
