import { expect, test } from 'vitest';
import type { Item } from '../../contracts/item.ts';
import { Catalogue } from './catalogue.ts';

test.each([1, 2, 3])('the newest list is what sorting everything gives, whatever is put and deleted between reads (seed %i)', (seed) => {
  let state = seed * 7_919;
  const below = (limit: number): number => {
    state = (state * 48_271) % 2_147_483_647;
    return state % limit;
  };
  const catalogue = new Catalogue();
  const truth = new Map<string, Item>();
  for (let step = 0; step < 600; step++) {
    const item_id = `i${below(60)}`;
    if (below(4) === 0) {
      catalogue.delete(item_id);
      truth.delete(item_id);
    } else {
      const item: Item = below(5) === 0 ? { item_id } : { item_id, created_ms: below(20) };
      catalogue.put(item);
      truth.set(item_id, item);
    }
    if (below(3) > 0) continue;
    const sorted = [...truth.values()].sort((a, b) => (b.created_ms ?? 0) - (a.created_ms ?? 0) || (a.item_id < b.item_id ? -1 : 1));
    expect(catalogue.newest()).toEqual(sorted.map((item) => item.item_id));
  }
  expect(truth.size).toBeGreaterThan(20);
});

test('a change that moves no item keeps the list', () => {
  const catalogue = new Catalogue();
  catalogue.put({ item_id: 'a', created_ms: 1, stock: 3 });
  const list = catalogue.newest();
  catalogue.put({ item_id: 'a', created_ms: 1, stock: 2 });
  expect(catalogue.newest()).toBe(list);
});
