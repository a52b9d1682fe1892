import { expect, test } from 'vitest';
import { type ItemWant, ListLedger, type ListShown, OLD } from './list-ledger.ts';

const item = (id: string, want: number, ageHours?: number): ItemWant => ({ id, want, ageHours });
const LIST: ListShown = {
  week: 1,
  earlierVisits: 4,
  shown: [item('a', 0.5), item('b', 0.1, 60)],
  oracle: [item('a', 0.5), item('c', 0.3, 60)],
  found: 0.5,
  foundBest: 0.6,
  foundPopular: 0.3,
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
  expect(ledger.all.foundShare()).toBeCloseTo(5 / 6, 12);
  expect(ledger.all.foundShare('foundPopular')).toBeCloseTo(0.5, 12);
  expect(ledger.weeks[0]).toBeUndefined();
  expect(ledger.weeks[1]!.lists).toBe(2);
  expect(ledger.byVisits.get('3 to 5')!.lists).toBe(1);
  expect(ledger.byVisits.get('0')!.lists).toBe(1);
  expect(ledger.byVisits.get('21 and more')!.share('shown')).toBeNaN();
});

test('seeds add up', () => {
  const [one, both] = [new ListLedger(), new ListLedger()];
  one.add(LIST);
  both.addAll(one);
  both.addAll(one);
  expect(both.all.lists).toBe(2);
  expect(both.weeks[1]!.shown).toBeCloseTo(0.6, 12);
  expect(both.byVisits.get('3 to 5')!.lists).toBe(2);
  expect(both.byAge.get(OLD)).toEqual({ wanted: 2, filled: 2, shown: 2, want: 1 });
});

test('an age has the places that its items should have had, and what was wanted of them where they stood', () => {
  const ledger = new ListLedger();
  ledger.add(LIST);
  expect(ledger.byAge.get('48 to 95')).toEqual({ wanted: 1, filled: 0, shown: 1, want: 0.1 });
  expect(ledger.byAge.get(OLD)).toEqual({ wanted: 1, filled: 1, shown: 1, want: 0.5 });
});
