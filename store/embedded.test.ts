import { describe, expect, test, vi } from 'vitest';
import { GatehouseError } from '../contracts/errors.ts';
import { decisionOf } from './decision.suite.ts';
import { type EmbeddedOptions, openEmbedded } from './embedded.ts';
import { alertOf, fact, item, SUITE_RETENTION, SUITE_START_MS, storeSuite, type Tally, tallyCodec, unit, user } from './store.suite.ts';
import { TestDisk } from './test-disk.testing.ts';
import { decodeValue, encodeValue } from './values.ts';

const OPTIONS: EmbeddedOptions<Tally> = {
  codec: tallyCodec,
  retention: SUITE_RETENTION,
  clock: () => SUITE_START_MS,
  cacheEntriesMax: 1_000,
  pendingUnitsMax: 1_000,
  newEpoch: () => 'epoch',
};

// The suite again with a cache of two entities, so that every path through the disk is taken; states are found in the redo log, or in their rows.
describe.each([1, 200, 1e6])('redo log of %d bytes', (redoBytesMax) => {
  storeSuite('embedded engine with a tiny cache', async (retention) => {
    const disk = new TestDisk();
    let nowMs = SUITE_START_MS;
    const open = () => openEmbedded(disk, { ...OPTIONS, retention, redoBytesMax, cacheEntriesMax: 2, pendingUnitsMax: 10_000, clock: () => nowMs });
    const store = await open();
    let current = store;
    return {
      store,
      reopen: async () => {
        await current.close();
        current = await open();
        return current;
      },
      advance: async (ms) => {
        nowMs += ms;
      },
      destroy: () => current.close(),
    };
  });
});

/** A gate that holds commits until it is opened. */
function gate(): { readonly wait: Promise<void>; readonly open: () => void } {
  let release: () => void = () => undefined;
  const wait = new Promise<void>((resolve) => {
    release = resolve;
  });
  return { wait, open: release };
}

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

describe('a failing commit', () => {
  test('rejects everything built on it and takes memory back to the disk', async () => {
    const disk = new TestDisk();
    const store = await openEmbedded(disk, OPTIONS);
    const heard: number[] = [];
    store.onAlert((record) => heard.push(record.offset));
    await store.ingest([unit('e:1', [user('u')])]);
    await store.write([], [{ collection: 'c', id: 'd', value: 'old' }]);

    const { wait, open } = gate();
    disk.gate = wait;
    disk.failWith = new GatehouseError('store_full', 'no space');
    const first = store.ingest([unit('e:2', [user('u'), item('i')])]);
    await turn();
    await turn();
    expect(disk.commits).toBe(4);
    // Joined while the first commit runs: built on it, so lost with it.
    const second = store.decide('e:2', fact(1), new Uint8Array([1]), alertOf(1));
    const third = store.write([fact(2)], [{ collection: 'c', id: 'd', value: 'new' }]);
    await store.ingest([unit('e:3', [user('u')])], { durable: false });
    expect((await store.states([user('u')]))[0]?.count).toBe(3);
    open();
    for (const lost of [first, second, third]) await expect(lost).rejects.toMatchObject({ code: 'store_full' });

    expect(await store.states([user('u'), item('i')])).toEqual([{ count: 1, keys: ['e:1'] }, undefined]);
    expect(await store.lookup('e:2')).toBeUndefined();
    expect(await store.doc('c', 'd')).toBe('old');
    expect(await store.bounds()).toEqual({ first: 1, last: 1 });
    expect(await store.alertsPosition()).toMatchObject({ offset: 0 });
    expect(await store.stats()).toMatchObject({ commit_failures: 1, pending_units: 0 });
    await expect(store.decide('e:3', fact(1), new Uint8Array())).rejects.toMatchObject({ code: 'store_unavailable' });

    disk.failWith = undefined;
    const [again] = await store.ingest([unit('e:2', [user('u'), item('i')])]);
    expect(again).toMatchObject({ offset: 2, duplicate: false });
    expect((await store.states([user('u')]))[0]).toEqual({ count: 2, keys: ['e:1', 'e:2'] });
    await store.raise(alertOf(2));
    expect(heard).toEqual([1]);
  });

  test('is store_unavailable when the disk gives no better reason', async () => {
    const disk = new TestDisk();
    const store = await openEmbedded(disk, OPTIONS);
    disk.failWith = new Error('input/output error');
    await expect(store.write([fact(1)])).rejects.toMatchObject({ code: 'store_unavailable', cause: disk.failWith });
    await expect(store.flush()).resolves.toBeUndefined();
  });
});

describe('group commit', () => {
  test('answers nobody before the disk has it, and takes all who came meanwhile in one commit', async () => {
    const disk = new TestDisk();
    const store = await openEmbedded(disk, OPTIONS);
    const { wait, open } = gate();
    disk.gate = wait;
    const done: string[] = [];
    const writes = [store.ingest([unit('e:0', [user('u')])]).then(() => done.push('first'))];
    await turn();
    await turn();
    for (let i = 1; i <= 50; i++) writes.push(store.ingest([unit(`e:${i}`, [user('u')])]).then(() => done.push('later')));
    // A duplicate of something that is not durable yet must wait too.
    writes.push(store.ingest([unit('e:0', [user('u')])]).then(() => done.push('duplicate')));
    await turn();
    expect(done).toEqual([]);
    expect(disk.commits).toBe(2);
    disk.gate = undefined;
    open();
    await Promise.all(writes);
    expect(done).toHaveLength(52);
    expect(disk.commits).toBe(3);
  });

  test('takes both steps of a payment in one commit, though the turn ends between them', async () => {
    const disk = new TestDisk();
    const store = await openEmbedded(disk, OPTIONS);
    const before = disk.commits;
    await store.ingest([unit('t:1', [user('u')])], { durable: false });
    await turn();
    await turn();
    expect(disk.commits).toBe(before);
    await store.decide('t:1', fact(1), new Uint8Array([1]));
    expect(disk.commits).toBe(before + 1);
  });

  test('brings what nobody waits for to the disk by itself', async () => {
    const disk = new TestDisk();
    const store = await openEmbedded(disk, OPTIONS);
    await store.ingest([unit('t:1', [user('u')])], { durable: false });
    await vi.waitFor(() => expect(disk.range('journal', 1, 1)).toHaveLength(1));
  });

  test('waits for nobody who did not ask for durability, and keeps the decision for those who did', async () => {
    const disk = new TestDisk();
    const store = await openEmbedded(disk, OPTIONS);
    const { wait, open } = gate();
    disk.gate = wait;
    await store.ingest([unit('t:1', [user('u')])], { durable: false });
    const first = await store.decide('t:1', fact(1), new Uint8Array([1]), undefined, { durable: false });
    const twin = await store.decide('t:1', fact(2), new Uint8Array([2]), undefined, { durable: false });
    expect([first.won, twin.won, [...twin.answer]]).toEqual([true, false, [1]]);
    let answered = false;
    const careful = store.decide('t:1', fact(3), new Uint8Array([3])).then((result) => {
      answered = true;
      return result;
    });
    await turn();
    await turn();
    expect([disk.commits, answered]).toEqual([2, false]);
    open();
    expect([...(await careful).answer]).toEqual([1]);
    expect((await store.read(0, 10)).length).toBe(2);
  });

  test('refuses what is over the limit, and only while it is', async () => {
    const disk = new TestDisk();
    const store = await openEmbedded(disk, { ...OPTIONS, pendingUnitsMax: 10 });
    const { wait, open } = gate();
    disk.gate = wait;
    const waiting = store.ingest(Array.from({ length: 10 }, (_, i) => unit(`e:${i}`, [user('u')])));
    await expect(store.ingest([unit('e:10', [user('u')])])).rejects.toMatchObject({ code: 'overloaded' });
    expect((await store.states([user('u')]))[0]?.count).toBe(10);
    open();
    await waiting;
    await store.ingest([unit('e:10', [user('u')])]);
    expect((await store.states([user('u')]))[0]?.count).toBe(11);
  });

  test('keeps batches whole when one call fills several', async () => {
    const disk = new TestDisk();
    const store = await openEmbedded(disk, { ...OPTIONS, pendingUnitsMax: 10_000, cacheEntriesMax: 3 });
    await store.ingest(Array.from({ length: 5_000 }, (_, i) => unit(`e:${i}`, [user(`u${i % 7}`)])));
    const states = await store.states(Array.from({ length: 7 }, (_, i) => user(`u${i}`)));
    expect(states.reduce((sum, state) => sum + (state?.count ?? 0), 0)).toBe(5_000);
    expect(await store.bounds()).toEqual({ first: 1, last: 5_000 });
    expect((await store.stats())['cache_entries']).toBeLessThanOrEqual(7);
  });

  test('keeps a state that is ahead of the disk, however much is read meanwhile', async () => {
    const disk = new TestDisk();
    const store = await openEmbedded(disk, { ...OPTIONS, cacheEntriesMax: 2 });
    const others = Array.from({ length: 20 }, (_, i) => user(`u${i}`));
    await store.ingest(others.map((ref, i) => unit(`o:${i}`, [ref])));
    const { wait, open } = gate();
    disk.gate = wait;
    const waiting = store.ingest([unit('e:1', [user('u0'), item('new')])]);
    await turn();
    for (let round = 0; round < 3; round++) await store.states(others);
    expect((await store.states([user('u0'), item('new')])).map((state) => state?.count)).toEqual([2, 1]);
    open();
    await waiting;
  });

  test('starts an expired entity afresh', async () => {
    const disk = new TestDisk();
    let nowMs = SUITE_START_MS;
    const store = await openEmbedded(disk, { ...OPTIONS, clock: () => nowMs });
    await store.ingest([unit('e:1', [user('u')])]);
    nowMs += SUITE_RETENTION.stateTtlMs + 1;
    expect(await store.states([user('u')])).toEqual([undefined]);
    expect((await store.ingest([unit('e:2', [user('u')])]))[0]?.states).toEqual([{ count: 1, keys: ['e:2'] }]);
    expect((await store.stats())['cache_entries']).toBe(1);
  });

  test('does not remove a state that is on its way to the disk', async () => {
    const disk = new TestDisk();
    let nowMs = SUITE_START_MS;
    const store = await openEmbedded(disk, { ...OPTIONS, clock: () => nowMs });
    await store.ingest([unit('e:1', [user('u')])]);
    nowMs += SUITE_RETENTION.stateTtlMs - 1;
    const { wait, open } = gate();
    const retained = store.retain(nowMs + 2);
    disk.gate = wait;
    const touched = store.ingest([unit('e:2', [user('u')])]);
    await turn();
    open();
    await Promise.all([retained, touched]);
    const reopened = await openEmbedded(disk, { ...OPTIONS, clock: () => nowMs });
    expect((await reopened.states([user('u')]))[0]?.count).toBe(2);
  });
});

test('a store of the format before is taken over, and marked so that the older version refuses it', async () => {
  const disk = new TestDisk();
  const before = await openEmbedded(disk, { ...OPTIONS, redoBytesMax: 0 });
  await before.ingest([unit('e:1', [user('u')])]);
  await before.ingest([unit('e:2', [user('v')])]);
  await disk.commit([
    { table: 'meta', key: 'format', value: encodeValue(1) },
    { table: 'redo', key: 2, value: undefined },
  ]);
  const store = await openEmbedded(disk, OPTIONS);
  expect((await store.states([user('u')]))[0]?.count).toBe(1);
  expect(decodeValue(disk.get('meta', 'format')!)).toBe(4);
});

test('a decision of the format before, whose vector is an array, is read as one whose vector is a block', async () => {
  const disk = new TestDisk();
  const store = await openEmbedded(disk, OPTIONS);
  const vector = Float32Array.of(0, 1, 0.1, Number.NaN, -1e30);
  const decision = { ...decisionOf('t1'), vector };
  await store.write([decision, decision]);
  await disk.commit([{ table: 'journal', key: 1, value: encodeValue({ ...decision, vector: Array.from(vector) }) }]);
  await store.close();
  const [old, block] = [disk.get('journal', 1)!, disk.get('journal', 2)!];
  expect(Buffer.compare(old, block)).not.toBe(0);
  const again = await openEmbedded(disk, OPTIONS);
  for (const { fact: read } of await again.read(0, 10)) expect(read).toEqual({ ...decision, vector: Array.from(vector) });
});

test('no table holds a byte of an erased state, neither the redo log nor a row', async () => {
  const disk = new TestDisk();
  const traces = (): string[] =>
    [...disk.tables].flatMap(([table, rows]) =>
      [...rows].filter(([key, value]) => `${key}${Buffer.from(value).toString('latin1')}`.includes('ann@home')).map(([key]) => `${table} ${key}`),
    );
  for (const flushed of [false, true]) {
    const store = await openEmbedded(disk, OPTIONS);
    await store.ingest([unit(`e:${flushed}`, [user('ann@home'), item('i')])]);
    if (flushed) await store.purgeErased();
    expect(traces()).toEqual([flushed ? 'states user:rann@home' : 'redo 1']);
    await store.erase({ states: [user('ann@home')] });
    await store.purgeErased();
    expect(traces()).toEqual([]);
    await store.close();
    const again = await openEmbedded(disk, OPTIONS);
    expect(await again.states([user('ann@home')])).toEqual([undefined]);
    await again.close();
  }
});

test('a newer format is refused', async () => {
  const disk = new TestDisk();
  await disk.commit([{ table: 'meta', key: 'format', value: encodeValue(99) }]);
  await expect(openEmbedded(disk, OPTIONS)).rejects.toMatchObject({ code: 'store_incompatible' });
});
