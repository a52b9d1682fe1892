import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { Fact } from '../contracts/fact.ts';
import type { Store } from './contract.ts';
import { openLmdbJournal, openLmdbStore } from './lmdb.ts';
import { SUITE_RETENTION, type Tally, tallyCodec } from './store.suite.ts';

let path: string;
let store: Store<Tally>;
beforeEach(async () => {
  path = mkdtempSync(join(tmpdir(), 'gatehouse-journal-'));
  store = await openLmdbStore<Tally>({ path, codec: tallyCodec, retention: SUITE_RETENTION });
});
afterEach(async () => {
  await store.close();
  rmSync(path, { recursive: true, force: true });
});
const facts = (from: number, to: number): Fact[] =>
  Array.from({ length: to - from }, (_, i) => ({ kind: 'admin', at_ms: from + i, actor: 'suite', action: 'count', detail: { i: from + i } }));

test('a reader beside the open store sees what was committed, and what comes later', async () => {
  await store.write(facts(0, 1200), [
    { collection: 'a', id: 'one', value: { n: 1 } },
    { collection: 'b', id: 'two', value: 2 },
  ]);
  const reader = openLmdbJournal(path);
  try {
    expect(await reader.bounds()).toEqual(await store.bounds());
    expect(await reader.read(0, 5000)).toEqual(await store.read(0, 5000));
    expect(await reader.read(700, 3)).toEqual(await store.read(700, 3));
    expect(await reader.doc('a', 'one')).toEqual({ n: 1 });
    expect(await reader.doc('a', 'two')).toBeUndefined();
    const docs: unknown[] = [];
    for await (const doc of reader.docs('a')) docs.push(doc);
    expect(docs).toEqual([{ id: 'one', value: { n: 1 } }]);
    await store.write(facts(1200, 1300));
    expect(await reader.bounds()).toEqual({ first: 1, last: 1300 });
    expect((await reader.read(1299, 10)).map(({ offset }) => offset)).toEqual([1300]);
  } finally {
    await reader.close();
  }
});

test('a reader writes nothing and holds no lock', async () => {
  const reader = openLmdbJournal(path);
  await reader.close();
  await store.write(facts(0, 1));
  expect((await store.bounds()).last).toBe(1);
});

test('where there is no store, none is made', () => {
  expect(() => openLmdbJournal(join(path, 'nowhere'))).toThrow(expect.objectContaining({ code: 'input_unreadable' }));
});
