import { expect, test } from 'vitest';
import type { TimedEvent } from '../contracts/event.ts';
import type { Fact } from '../contracts/fact.ts';
import { Impressions, LISTS_A_DAY } from './impressions.ts';
import { answered, END_MS, eventFact } from './shop.testing.ts';

const DAY_MS = 86_400_000;

const answer = (id: string, ids: readonly string[], atMs = END_MS): Fact => answered(id, ids, { atMs });

function said(name: TimedEvent['name'], id: string | undefined, ids: readonly string[], atMs = END_MS): Fact {
  const of = id === undefined ? {} : { recommendation_id: id };
  return eventFact({ event_id: `${name}.${id}`, name, timestamp_ms: atMs, user_id: 'u1', items: ids.map((item_id) => ({ item_id })), ...of });
}

function taken(facts: readonly Fact[]): Impressions {
  const impressions = new Impressions();
  for (const [record, fact] of facts.entries()) impressions.take(fact, record);
  return impressions;
}

test('a list has the places of the answer, what of it was shown, and what was clicked on', () => {
  const impressions = taken([
    answer('r1', ['a', 'b', 'c', 'd']),
    answer('r2', ['a', 'b']),
    said('view_item_list', 'r1', ['a', 'b', 'c']),
    said('select_item', 'r1', ['b']),
    said('select_item', undefined, ['a']),
    said('view_item_list', 'elsewhere', ['a']),
  ]);
  const [list, ...others] = impressions.between(END_MS, END_MS + 1, 10);
  expect(others).toEqual([]);
  expect(list).toMatchObject({ record: 0, placement: 'home', userId: 'u1', items: ['a', 'b', 'c', 'd'] });
  expect([...list!.shown]).toEqual([1, 1, 1, 0]);
  expect([...list!.clicked]).toEqual([0, 1, 0, 0]);
  expect(impressions.between(END_MS + 1, END_MS + DAY_MS, 10)).toEqual([]);
});

test('a click without its view was seen, and may come after midnight', () => {
  const midnight = Math.ceil(END_MS / DAY_MS) * DAY_MS;
  const impressions = taken([answer('r1', ['a', 'b'], midnight - 1), said('select_item', 'r1', ['b'], midnight + 1)]);
  expect([...impressions.between(0, midnight, 10)[0]!.shown]).toEqual([0, 1]);
});

test('a busy day keeps as many lists as are named, from all of its hours', () => {
  const count = 20 * LISTS_A_DAY;
  const midnight = Math.floor(END_MS / DAY_MS) * DAY_MS;
  const facts: Fact[] = [];
  for (let n = 0; n < count; n++) {
    const atMs = midnight + Math.floor((n * DAY_MS) / count);
    facts.push(answer(`r${n}`, ['a', 'b'], atMs), said('view_item_list', `r${n}`, ['a', 'b'], atMs));
  }
  facts.push(answer('next', ['a', 'b'], midnight + DAY_MS));
  const impressions = taken(facts);
  const kept = impressions.between(midnight, midnight + DAY_MS, 10_000);
  expect(kept).toHaveLength(LISTS_A_DAY);
  expect(impressions.between(midnight, midnight + DAY_MS, 50)).toHaveLength(50);
  const morning = kept.filter(({ atMs }) => atMs < midnight + DAY_MS / 2).length;
  expect(Math.abs(morning / LISTS_A_DAY - 0.5)).toBeLessThan(0.1);
  expect(kept.map(({ record }) => record)).toEqual(kept.map(({ record }) => record).sort((a, b) => a - b));
});
