import { expect, test } from 'vitest';
import type { Store } from './contract.ts';
import { openEmbedded } from './embedded.ts';
import { openRebuild, type StatesRebuild } from './rebuild.ts';
import { fact, item, SUITE_RETENTION, SUITE_START_MS, type Tally, tallyCodec, unit, user } from './store.suite.ts';
import { TestDisk } from './test-disk.testing.ts';

const TTL_MS = 1_000;
const open = (disk: TestDisk): Promise<Store<Tally>> =>
  openEmbedded<Tally>(disk, {
    codec: tallyCodec,
    retention: { ...SUITE_RETENTION, stateTtlMs: TTL_MS },
    clock: () => SUITE_START_MS,
    cacheEntriesMax: 1_000,
    pendingUnitsMax: 1_000,
    newEpoch: () => 'epoch',
  });
const rebuildOf = (disk: TestDisk): Promise<StatesRebuild<Tally>> =>
  openRebuild(disk, { codec: tallyCodec, stateTtlMs: TTL_MS, cacheEntriesMax: 1, flushStates: 2 });
const REFS = [user('a'), user('b'), user('c'), item('i')];
const count = (state: Tally | undefined, key: string): Tally => ({ count: (state?.count ?? 0) + 10, keys: [...(state?.keys ?? []), key] });
const statesOf = async (disk: TestDisk): Promise<(number | undefined)[]> => {
  const store = await open(disk);
  const states = (await store.states(REFS)).map((state) => state?.count);
  await store.close();
  return states;
};
const OLD = [1, 1, 1, 3];
const NEW = [10, 10, 10, 30];

async function shop(): Promise<TestDisk> {
  const disk = new TestDisk();
  const store = await open(disk);
  for (const name of ['a', 'b', 'c']) await store.ingest([unit(`e:${name}`, [user(name), item('i')])]);
  await store.write([fact(1)], [{ collection: 'c', id: 'd', value: 'old' }]);
  await store.close();
  return disk;
}

/** Each unit's ten instead of its one. */
async function rebuilt(disk: TestDisk): Promise<void> {
  const rebuild = await rebuildOf(disk);
  const progress = rebuild.progress('tens');
  await rebuild.begin(progress);
  for (const { offset, fact: its } of await rebuild.journal.read(progress.offset, 10)) {
    if (its.kind === 'admin' && its.action.startsWith('e:')) {
      for (const ref of [user(its.action.slice(2)), item('i')]) rebuild.bring(ref, SUITE_START_MS, (state) => count(state, its.action));
    }
    if (rebuild.full) await rebuild.flush(offset, SUITE_START_MS);
  }
  await rebuild.flush(4, SUITE_START_MS);
  expect(await rebuild.swap([{ collection: 'c', id: 'd', value: 'new' }])).toBe(REFS.length);
}

test('states and documents are swapped in one step, as often as it is asked for', async () => {
  const disk = await shop();
  expect(await statesOf(disk)).toEqual(OLD);
  for (let i = 0; i < 2; i++) {
    await rebuilt(disk);
    expect(await statesOf(disk)).toEqual(NEW);
    expect(disk.tables.get('rebuilt')?.size).toBe(0);
    expect(disk.tables.get('redo')?.size).toBe(0);
  }
  const store = await open(disk);
  expect([await store.doc('c', 'd'), (await store.bounds()).last]).toEqual(['new', 4]);
  await store.ingest([unit('e:d', [user('a')])]);
  expect((await store.states([user('a')]))[0]).toMatchObject({ count: 11, keys: ['e:a', 'e:d'] });
});

test('a process that dies at any commit leaves the old states whole or the new ones, and the next one ends it', async () => {
  let died = true;
  let commits = 0;
  for (; died; commits++) {
    const disk = await shop();
    disk.commitsLeft = commits;
    died = await rebuilt(disk).then(
      () => false,
      () => true,
    );
    disk.commitsLeft = Number.POSITIVE_INFINITY;
    const between = await statesOf(disk);
    expect([OLD, NEW]).toContainEqual(between);
    await rebuilt(disk);
    expect(await statesOf(disk)).toEqual(NEW);
    expect(disk.tables.get('rebuilt')?.size).toBe(0);
  }
  // What was left, three flushes, the last one, the swap, what it left.
  expect(commits).toBeGreaterThan(6);
});

test('what a rebuild left goes with the next erasure', async () => {
  const disk = await shop();
  const rebuild = await rebuildOf(disk);
  await rebuild.begin(rebuild.progress('tens'));
  rebuild.bring(user('a'), SUITE_START_MS, (state) => count(state, 'e:a'));
  await rebuild.flush(1, SUITE_START_MS);
  expect(rebuild.progress('tens')).toMatchObject({ offset: 1, states: 1 });
  const store = await open(disk);
  await store.erase({ states: [user('a')] });
  await store.purgeErased();
  expect([disk.tables.get('rebuilt')?.size, rebuild.progress('tens').offset]).toEqual([0, 0]);
});

test('a state that nobody touched for longer than it is kept begins anew', async () => {
  const rebuild = await rebuildOf(await shop());
  await rebuild.begin(rebuild.progress('x'));
  const seen: (number | undefined)[] = [];
  for (const atMs of [0, TTL_MS, 2 * TTL_MS + 1]) {
    rebuild.bring(user('a'), atMs, (state) => {
      seen.push(state?.count);
      return count(state, 'k');
    });
  }
  expect(seen).toEqual([undefined, 10, undefined]);
});

test('a folder without a store is refused', async () => {
  await expect(rebuildOf(new TestDisk())).rejects.toMatchObject({ code: 'input_unreadable' });
});
