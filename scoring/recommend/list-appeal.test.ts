import { expect, test } from 'vitest';
import type { TimedEvent } from '../../contracts/event.ts';
import { Handles } from '../../contracts/handles.ts';
import { PLACEMENTS_MAX } from '../../contracts/placement.ts';
import { ListAppeal } from './list-appeal.ts';

const NOW = 1_750_000_000_000;
const HALF_LIFE_MS = 14 * 86_400_000;

function shop(ids: readonly string[]) {
  const handles = new Handles();
  const appeal = new ListAppeal(handles);
  for (const id of ids) handles.intern(id);
  const told = (handle: number, atMs: number) => {
    const out = new Float64Array(1);
    appeal.tell(Int32Array.of(handle), 1, atMs, out);
    return out[0]!;
  };
  return {
    appeal,
    say(name: TimedEvent['name'], itemIds: readonly string[], placement?: string, atMs = NOW): void {
      appeal.add({ event_id: 'e', name, timestamp_ms: atMs, ...(placement && { placement }), items: itemIds.map((item_id) => ({ item_id })) });
    },
    of: (id: string, atMs = NOW) => told(handles.find(id), atMs),
    /** Clicks that the views of an item without any let expect. */
    seen: (id: string, atMs = NOW) => 1 / told(handles.find(id), atMs) - 1,
  };
}

test('says what an item is liked beside what it is shown: the rare and liked one stands above what is popular', () => {
  const { say, of } = shop(['rare', 'popular', 'unseen']);
  for (let n = 0; n < 400; n++) {
    say('view_item_list', ['popular'], 'home');
    if (n % 10 === 0) say('select_item', ['popular'], 'home');
    if (n % 10 === 5) say('view_item_list', ['rare'], 'home');
    if (n % 20 === 5) say('select_item', ['rare'], 'home');
  }
  expect(of('rare')).toBeGreaterThan(2);
  expect(of('popular')).toBeLessThan(1.1);
  expect(of('unseen')).toBe(1);
});

test('a view far down a list lets expect less, and one of a placement that is clicked on more lets expect more', () => {
  const { say, of, seen } = shop(['first', 'second', 'third', 'hit']);
  for (let n = 0; n < 100; n++) say('view_item_list', ['first', 'second', 'third'], 'home');
  expect(seen('second')).toBeCloseTo(seen('first') / 2, 9);
  expect(of('first')).toBeLessThan(of('third'));
  for (let n = 0; n < 300; n++) {
    say('view_item_list', ['hit'], 'search');
    say('select_item', ['hit'], 'search');
  }
  // 300 clicks in as many views, where as many came to be expected.
  expect(of('hit')).toBeLessThan(2);
});

test('what was long ago counts less, deleted items not at all', () => {
  const { appeal, say, seen, of } = shop(['x']);
  say('view_item_list', ['x'], 'home');
  expect(seen('x', NOW + HALF_LIFE_MS)).toBeCloseTo(seen('x') / 2, 12);
  say('select_item', ['x'], 'home', NOW + 600 * HALF_LIFE_MS);
  expect(of('x', NOW + 600 * HALF_LIFE_MS)).toBeCloseTo(2, 6);
  appeal.delete(0);
  expect(of('x', NOW + 600 * HALF_LIFE_MS)).toBe(1);
});

test('a shop that tells of clicks and of no views says nothing by them; ids that are no item are passed over', () => {
  const { say, of } = shop(['x']);
  for (let n = 0; n < 50; n++) say('select_item', ['x']);
  expect(of('x')).toBe(1);
  say('view_item_list', ['stranger', 'x']);
  say('select_item', ['stranger']);
  expect(of('x')).toBeLessThan(1);
});

test('invented placements are one past the limit', () => {
  const { say, seen } = shop(['x', 'y']);
  for (let n = 0; n < 3 * PLACEMENTS_MAX; n++) say('view_item_list', ['x'], `p${n}`);
  for (let n = 0; n < 500; n++) say('select_item', ['y'], `q${n}`);
  const before = seen('x');
  say('view_item_list', ['x'], 'p5');
  // The clicks of the others' are not those of one that came in time.
  expect(seen('x') - before).toBeLessThan(0.06);
  say('view_item_list', ['x'], 'q1');
  expect(seen('x') - before).toBeGreaterThan(0.5);
});
