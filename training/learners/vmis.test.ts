import { expect, test } from 'vitest';
import { V_STAN } from '../../index/sessions.ts';
import { fitVmis, type SessionRows } from './vmis.ts';

function rowsOf(items: number, sessions: readonly (readonly number[])[]): SessionRows {
  const indptr = [0];
  for (const clicks of sessions) indptr.push(indptr[indptr.length - 1]! + clicks.length);
  return { indptr: Uint32Array.from(indptr), indices: Uint32Array.from(sessions.flat()), ids: Array.from({ length: items }, (_, i) => `i${i}`) };
}

const sessions = [[0, 1], [2], [], [3, 3, 3, 4], [1, 2, 0], [5, 0]];

test('keeps the newest sessions with more than one click, and the last clicks of each', () => {
  const { table } = fitVmis(rowsOf(6, sessions), { sessionsMax: 3, clicksMax: 2 }, { seed: 1 });
  expect([...table.indptr]).toEqual([0, 2, 4, 6]);
  expect([...table.items]).toEqual([3, 4, 2, 0, 5, 0]);
  expect(fitVmis(rowsOf(6, sessions), {}, { seed: 1 }).sessions).toBe(4);
});

test('tells what came next in sessions like this one; progress is reported', () => {
  const notes: unknown[] = [];
  const index = fitVmis(rowsOf(6, sessions), {}, { seed: 1, progress: (done, total, note) => notes.push([done, total, note]) });
  expect(index.search(['i5'], 2, { ...V_STAN, matchShare: 0 }).map(({ id }) => id)).toEqual(['i0']);
  expect(notes).toEqual([[1, 1, '4 sessions']]);
});

test('refuses what it cannot learn from', () => {
  expect(() => fitVmis(rowsOf(3, [[0], [1]]), {}, { seed: 1 })).toThrow(expect.objectContaining({ code: 'training_data_insufficient' }));
  expect(() => fitVmis(rowsOf(1, [[0, 1]]), {}, { seed: 1 })).toThrow(RangeError);
  expect(() => fitVmis({ ...rowsOf(2, [[0, 1]]), indptr: Uint32Array.of(0, 3) }, {}, { seed: 1 })).toThrow(RangeError);
  expect(() =>
    fitVmis(
      {
        ...rowsOf(2, [
          [0, 1],
          [0, 1],
        ]),
        indptr: Uint32Array.of(0, 5, 4),
      },
      {},
      { seed: 1 },
    ),
  ).toThrow(RangeError);
  expect(() => fitVmis(rowsOf(2, [[0, 1]]), { clicksMax: 1 }, { seed: 1 })).toThrow(RangeError);
  expect(() => fitVmis(rowsOf(2, [[0, 1]]), { sessionsMax: 0 }, { seed: 1 })).toThrow(RangeError);
});
