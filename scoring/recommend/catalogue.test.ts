import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { Item } from '../../contracts/item.ts';
import { Catalogue } from './catalogue.ts';

const item = fc.record({
  item_id: fc.integer({ min: 0, max: 9 }).map((i) => `i${i}`),
  created_ms: fc.option(fc.integer({ min: 0, max: 5 }), { nil: undefined }),
  category: fc.constantFrom(undefined, 'a', 'b'),
});
const change = fc.oneof(
  { weight: 3, arbitrary: fc.record({ put: item }) },
  { weight: 1, arbitrary: fc.record({ remove: fc.integer({ min: 0, max: 9 }).map((i) => `i${i}`) }) },
  { weight: 1, arbitrary: fc.constant({ read: true as const }) },
);

function newestOf(catalogue: Catalogue): (Item | undefined)[] {
  const items: (Item | undefined)[] = [];
  catalogue.eachNewest((handle) => {
    items.push(catalogue.at(handle));
    return true;
  });
  return items;
}

test('after any changes, newest and categories are what the items say', () => {
  fc.assert(
    fc.property(fc.array(change, { maxLength: 40 }), (changes) => {
      const catalogue = new Catalogue();
      const model = new Map<string, Item>();
      for (const now of changes) {
        if ('put' in now) {
          const { item_id, created_ms, category } = now.put;
          const put: Item = { item_id, ...(created_ms === undefined ? {} : { created_ms }), ...(category === undefined ? {} : { category }) };
          catalogue.put(put);
          model.set(item_id, put);
        } else if ('remove' in now) {
          expect(catalogue.delete(now.remove)).toBe(model.delete(now.remove));
        }
        if ('read' in now) expect(newestOf(catalogue)).toHaveLength(model.size);
      }
      const sorted = [...model.values()].sort((a, b) => (b.created_ms ?? 0) - (a.created_ms ?? 0) || (a.item_id < b.item_id ? -1 : 1));
      expect(newestOf(catalogue)).toEqual(sorted);
      expect(catalogue.size).toBe(model.size);
      for (const name of ['a', 'b', 'c']) {
        const members = [...model.values()].filter(({ category }) => category === name).map(({ item_id }) => item_id);
        const listed: string[] = [];
        catalogue.field('category').each({ in: new Set([name]) }, (handle) => listed.push(catalogue.handles.idOf(handle)));
        expect(listed.sort()).toEqual(members.sort());
        expect(new Set(members.map((id) => catalogue.category(catalogue.handles.find(id)))).size).toBe(Math.min(1, members.length));
      }
    }),
    { seed: 6, numRuns: 500 },
  );
});

test('rules that no placement has any more are forgotten, and made again when they are asked for', () => {
  const catalogue = new Catalogue();
  catalogue.put({ item_id: 'i0', category: 'a' });
  const [kept, gone] = ['item.category == "a"', 'item.category == "b"'];
  const rule = catalogue.rule(kept);
  const old = catalogue.rule(gone);
  catalogue.keepRules(new Set([kept]));
  expect(catalogue.rule(kept)).toBe(rule);
  catalogue.put({ item_id: 'i1', category: 'b' });
  const anew = catalogue.rule(gone);
  expect(anew).not.toBe(old);
  const found: number[] = [];
  anew.each({ in: new Set([true]) }, (handle) => found.push(handle));
  expect(found).toEqual([catalogue.handles.find('i1')]);
});
