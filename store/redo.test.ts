import { expect, test } from 'vitest';
import type { Disk, DiskKey, DiskOp, DiskRow, Table } from './disk.ts';
import { RedoLog, type RedoPlace, type RedoStep } from './redo.ts';
import { STATE_HEADER_BYTES } from './values.ts';

/** The tables `redo` and `states` in memory. */
function tables() {
  const rows = { redo: new Map<DiskKey, Uint8Array>(), states: new Map<DiskKey, Uint8Array>() };
  const tableOf = (table: Table) => (table === 'redo' ? rows.redo : rows.states);
  return {
    rows,
    commit(ops: readonly DiskOp[]): void {
      for (const { table, key, value } of ops) {
        if (value) tableOf(table).set(key, Uint8Array.from(value));
        else tableOf(table).delete(key);
      }
    },
    disk: {
      range: (table: Table, start: DiskKey, limit: number): DiskRow[] =>
        [...tableOf(table)]
          .filter(([key]) => key >= start)
          .sort(([a], [b]) => Number(a) - Number(b))
          .slice(0, limit)
          .map(([key, value]) => ({ key, value })),
    } as Disk,
  };
}

const numberIn = (stored: Uint8Array | undefined): number | undefined => stored && Buffer.from(stored).readUInt32BE(STATE_HEADER_BYTES);
function put(log: RedoLog, key: string, value: number, place = log.place(key)): void {
  const encoded = Buffer.alloc(4 + (value % 40));
  encoded.writeUInt32BE(value);
  log.put(place, value, encoded);
}

test.each([1, 2, 3, 4])('the newest durable version is found, whatever is retired, lost or read back (seed %i)', (seed) => {
  let state = seed * 7_919;
  const below = (limit: number): number => {
    state = (state * 48_271) % 2_147_483_647;
    return state % limit;
  };
  const { rows, commit, disk } = tables();
  let log = new RedoLog(disk, 600);
  const truth = new Map<string, number>();
  /** As a cache keeps them: those of what is not durable always, others for a while. */
  const places = new Map<string, RedoPlace>();
  const placeOf = (key: string): RedoPlace => {
    const place = places.get(key) ?? log.place(key);
    places.set(key, place);
    return place;
  };
  let moved = 0;
  for (let round = 1; round <= 400; round++) {
    // Up to three batches are sealed behind one another; they become durable together, or are lost together.
    const sealed: { step: RedoStep; ops: DiskOp[]; values: [string, number][] }[] = [];
    for (let batches = 1 + below(3); batches > 0; batches--) {
      const ops: DiskOp[] = [];
      const values = new Map(Array.from({ length: below(6) }, (_, i): [string, number] => [`k${below(30)}`, round * 100 + batches * 10 + i]));
      for (const [key, value] of values) put(log, key, value, placeOf(key));
      const step = log.seal(below(50) === 0, ops);
      sealed.push({ step, ops, values: [...values] });
    }
    if (below(4) === 0) {
      log.lost();
      places.clear();
    } else {
      for (const { step, ops, values } of sealed) {
        commit(ops);
        log.committed(step);
        moved += ops.filter(({ table }) => table === 'states').length;
        for (const [key, value] of values) truth.set(key, value);
      }
    }
    for (const key of places.keys()) if (below(3) === 0) places.delete(key);
    if (below(10) === 0) {
      log = new RedoLog(disk, 600);
      places.clear();
    }
    for (let k = 0; k < 30; k++) expect(numberIn(log.read(log.place(`k${k}`)) ?? rows.states.get(`k${k}`))).toBe(truth.get(`k${k}`));
  }
  expect(moved).toBeGreaterThan(100);
  expect(log.bytes).toBeLessThan(1_200);
});

test('a state that changes often is written to its row once', () => {
  const { rows, commit, disk } = tables();
  const log = new RedoLog(disk, 1e6);
  const write = (key: string, value: number, flush = false): number => {
    const ops: DiskOp[] = [];
    if (key !== '') put(log, key, value);
    const step = log.seal(flush, ops);
    commit(ops);
    log.committed(step);
    return ops.filter(({ table }) => table === 'states').length;
  };
  for (let i = 0; i < 100; i++) expect(write('busy', i)).toBe(0);
  expect(log.oldestMs()).toBe(0);
  expect(write('', 0, true)).toBe(1);
  expect(numberIn(rows.states.get('busy'))).toBe(99);
  expect(rows.redo.size).toBe(0);
  expect([log.bytes, log.states, log.read(log.place('busy')), log.oldestMs()]).toEqual([0, 0, undefined, undefined]);
});

test('a damaged row is refused', () => {
  const { rows, commit, disk } = tables();
  const ops: DiskOp[] = [];
  const log = new RedoLog(disk, 1e6);
  put(log, 'a', 1);
  log.seal(false, ops);
  commit(ops);
  rows.redo.set(1, rows.redo.get(1)!.subarray(0, -1));
  expect(() => new RedoLog(disk, 1e6)).toThrow('store_incompatible');
});

test('keys beyond ASCII and rows larger than the first buffer come back as they were', () => {
  const { commit, disk } = tables();
  const log = new RedoLog(disk, 1e9);
  const keys = ['user:r\u00fcber', 'user:r\u{1f600}', ...Array.from({ length: 2_000 }, (_, i) => `user:r${'k'.repeat(i % 200)}${i}`)];
  const ops: DiskOp[] = [];
  keys.forEach((key, i) => {
    put(log, key, i + 1);
  });
  const step = log.seal(false, ops);
  commit(ops);
  log.committed(step);
  const again = new RedoLog(disk, 1e9);
  expect(again.bytes).toBeGreaterThan(64 * 1024);
  for (const opened of [log, again]) expect(keys.map((key) => numberIn(opened.read(opened.place(key))))).toEqual(keys.map((_, i) => i + 1));
});
