import { expect, test } from 'vitest';
import { HEAD_PLACES, type ItemWant, ListLedger, type ListShown, OLD } from './list-ledger.ts';

const item = (id: string, want: number, ageDays?: number): ItemWant => ({ id, want, ageDays });
const LIST: ListShown = {
  week: 1,
  earlierVisits: 4,
  shown: [item('a', 0.5), item('b', 0.1, 3)],
  oracle: [item('a', 0.5), item('c', 0.3, 3)],
  popularWant: 0.2,
  randomWant: 0.1,
};

test('a list is measured against the best, the popular and the drawn one', () => {
  const ledger = new ListLedger();
  ledger.add(LIST);
  ledger.add({ ...LIST, earlierVisits: 0 });
  expect(ledger.all.lists).toBe(2);
  expect(ledger.all.share('shown')).toBeCloseTo(0.75, 12);
  expect(ledger.all.share('popular')).toBeCloseTo(0.5, 12);
  expect(ledger.all.share('random')).toBeCloseTo(0.25, 12);
  expect(ledger.all.headShare()).toBeCloseTo(0.75, 12);
  expect(ledger.weeks[0]).toBeUndefined();
  expect(ledger.weeks[1]!.lists).toBe(2);
  expect(ledger.byVisits.get('3 to 5')!.lists).toBe(1);
  expect(ledger.byVisits.get('0')!.lists).toBe(1);
  expect(ledger.byVisits.get('21 and more')!.share('shown')).toBeNaN();
});

test('the head of a list is measured without what stands behind it', () => {
  const ledger = new ListLedger();
  const of = (head: number, tail: number): ItemWant[] => Array.from({ length: 8 }, (_, i) => item(`${i}`, i < HEAD_PLACES ? head : tail));
  ledger.add({ ...LIST, shown: of(0.3, 0), oracle: of(0.6, 0.6) });
  expect(ledger.all.headShare()).toBeCloseTo(0.5, 12);
  expect(ledger.all.share('shown')).toBeCloseTo(0.375, 12);
});

test('an age has the places that its items should have had, and what was wanted of them where they stood', () => {
  const ledger = new ListLedger();
  ledger.add(LIST);
  expect(ledger.byAge.get('2 to 3')).toEqual({ wanted: 1, filled: 0, shown: 1, want: 0.1 });
  expect(ledger.byAge.get(OLD)).toEqual({ wanted: 1, filled: 1, shown: 1, want: 0.5 });
});
