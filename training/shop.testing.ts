import type { TimedEvent } from '../contracts/event.ts';
import type { Fact } from '../contracts/fact.ts';
import { createShop, type Shop } from '../simulator/index.ts';
import type { JournalRecord } from '../store/contract.ts';
import type { FactSource } from './facts.ts';

export const END_MS = 1_764_000_000_000;

/** A shop small enough for a test and large enough to learn from. */
export function smallShop(): Shop {
  return createShop({ seed: 3, endMs: END_MS, users: 220, items: 150, days: 60, visitsPerUserDay: 0.35, fraudRate: 0.15 });
}

export function sourceOf(facts: readonly Fact[]): FactSource {
  const records = facts.map((fact, i): JournalRecord => ({ offset: i + 1, fact }));
  return {
    count: records.length,
    async *read() {
      yield* records;
    },
  };
}

export function eventFact(event: TimedEvent): Fact {
  return { kind: 'event', at_ms: event.timestamp_ms, event };
}

/** The fact of a list that the gateway gave. */
export function answered(id: string, itemIds: readonly string[], { placement = 'home', userId = 'u1', atMs = END_MS }): Fact {
  const items = itemIds.map((item_id) => ({ item_id, score: 1, sources: [], reason: '' }));
  const response = { recommendation_id: id, placement, items, bundle: null, degraded: false };
  return { kind: 'recommendation', at_ms: atMs, request: { placement, user_id: userId }, response };
}

export function factsOfShop(shop: Shop): Fact[] {
  const items = shop.items().map((item): Fact => ({ kind: 'item_put', at_ms: shop.settings.startMs, item }));
  return [...items, ...Array.from(shop.history(), eventFact)];
}
