import fc from 'fast-check';
import { expect, test } from 'vitest';
import { Handles } from './handles.ts';
import { TopK } from './topk.ts';

test('keeps what sorting everything would keep, ties by id', () => {
  // One heap for all: what a search leaves behind must not show in the next.
  const top = new TopK();
  const entries = fc.uniqueArray(fc.record({ id: fc.string({ maxLength: 3 }), similarity: fc.integer({ min: -3, max: 3 }) }), {
    selector: (entry) => entry.id,
    maxLength: 60,
  });
  fc.assert(
    fc.property(entries, fc.integer({ min: 0, max: 12 }), (candidates, k) => {
      const ids = new Handles();
      top.reset(k, ids);
      for (const { id, similarity: value } of candidates) {
        const handle = ids.intern(id);
        const wanted = top.wants(value, handle);
        if (value < top.floor) expect(wanted).toBe(false);
        top.offer(value, handle);
      }
      const handles = new Int32Array(k);
      const similarities = new Float64Array(k);
      const count = top.drain(handles, similarities);
      const kept = Array.from(handles.subarray(0, count), (handle, i) => ({ id: ids.idOf(handle), similarity: similarities[i] }));
      const sorted = [...candidates].sort((a, b) => b.similarity - a.similarity || (a.id < b.id ? -1 : 1));
      expect(kept).toEqual(sorted.slice(0, k));
    }),
    { seed: 1, numRuns: 300 },
  );
});
