import { describe, expect } from 'vitest';
import { fact, type Run } from './store.suite.ts';

/** The part of the stores' suite about changes that say what they change. */
export function expectedSuite(name: string, run: Run): void {
  describe(`${name}: expected documents`, () => {
    run('a change that expects another document does nothing of its write', async ({ store }) => {
      const put = (id: string, value: unknown, expected: unknown) => ({ collection: 'c', id, value, expected: { value: expected } });
      await store.write([fact(1)], [put('a', { n: 1, of: ['x'] }, undefined)]);
      const late = expect.objectContaining({ code: 'document_conflict' });
      await expect(store.write([fact(2)], [put('b', 1, undefined), put('a', { n: 2 }, undefined)])).rejects.toEqual(late);
      await expect(store.write([fact(3)], [put('a', { n: 2 }, { n: 0 })])).rejects.toEqual(late);
      await expect(store.write([fact(4)], [put('b', 2, 1)])).rejects.toEqual(late);
      expect([await store.doc('c', 'a'), await store.doc('c', 'b'), await store.bounds()]).toEqual([
        { n: 1, of: ['x'] },
        undefined,
        { first: 1, last: 1 },
      ]);
      await store.write([fact(5)], [put('a', { n: 2 }, await store.doc('c', 'a')), put('b', 1, undefined)]);
      await store.write([fact(6)], [put('b', undefined, 1)]);
      expect([await store.doc('c', 'a'), await store.doc('c', 'b')]).toEqual([{ n: 2 }, undefined]);
      // Of many at once, one is first.
      const tried = await Promise.allSettled(Array.from({ length: 8 }, (_, n) => store.write([fact(7)], [put('one', n, undefined)])));
      expect(tried.filter(({ status }) => status === 'fulfilled')).toHaveLength(1);
      expect(await store.bounds()).toEqual({ first: 1, last: 4 });
    });
  });
}
