import { expect, test } from 'vitest';
import type { Fact } from '../contracts/fact.ts';
import { describeWith } from '../test/describe-with.ts';
import { REDIS } from '../test/services.ts';
import type { JournalRecord, Store, Unit } from './contract.ts';
import { connectRedis, openRedisStore } from './redis.ts';
import { RedisKeys, SCRIPTS } from './redis-link.ts';
import { redisOfSuite } from './redis-server.suite.ts';
import { RedisServer } from './redis-server.testing.ts';
import { alertOf, fact, SUITE_RETENTION, SUITE_START_MS, type Tally, tallyCodec, unit, user } from './store.suite.ts';
import { encodeValue } from './values.ts';

const RECORDS = 600;
const GONE: Fact = { kind: 'erased', at_ms: SUITE_START_MS };
/** A record that can be told in any bytes, of a length of its own: some share a node with many, some with none. */
const told = (n: number): Fact => ({ ...fact(n), action: `secret-${n}.${'x'.repeat((n * 37) % 1_500)}` }) as Fact;
const tracesOf = (bytes: Buffer): number[] => [...new Set([...bytes.toString('latin1').matchAll(/secret-(\d+)\./g)].map(([, n]) => Number(n)))];
const gone = (offset: number): JournalRecord => ({ offset, fact: GONE });

describeWith(REDIS, 'erasing on a Redis server', () => {
  const { server, raw } = redisOfSuite();
  let prefixes = 0;
  const open = async (resume: (from: Fact) => Unit<Tally> | undefined = () => undefined): Promise<{ store: Store<Tally>; keys: RedisKeys }> => {
    const prefix = `erase${++prefixes}`;
    const store = await openRedisStore<Tally>({
      url: server.url,
      prefix,
      codec: tallyCodec,
      retention: { ...SUITE_RETENTION, journalRecordsMax: 100 },
      resume,
    });
    return { store, keys: new RedisKeys(prefix) };
  };

  test('takes the bytes out of the stream, whatever shares their node, and out of the files', async () => {
    const { store, keys } = await open();
    await store.write(Array.from({ length: RECORDS }, (_, i) => told(i + 1)));
    const journal = Array.from({ length: RECORDS }, (_, i) => ({ offset: i + 1, fact: told(i + 1) }));
    const dump = async (): Promise<number[]> => tracesOf((await raw.call('DUMP', keys.journal.stream)) as Buffer);
    expect(await dump()).toHaveLength(RECORDS);

    // Scattered, in a row, at both ends; then neighbours of those, which were moved before; then some again.
    const every = (step: number, from: number, to: number): number[] =>
      Array.from({ length: Math.ceil((to - from) / step) }, (_, i) => from + i * step);
    for (const offsets of [every(97, 1, RECORDS), every(1, 200, 260), [RECORDS, RECORDS + 5], every(98, 2, RECORDS), every(97, 1, RECORDS)]) {
      await store.erase({ facts: offsets.map(gone) });
      for (const offset of offsets) if (offset <= RECORDS) journal[offset - 1] = { offset, fact: GONE };
      expect(await store.read(0, RECORDS + 1)).toEqual(journal);
      const erased = journal.flatMap(({ offset, fact: now }) => (now === GONE ? [offset] : []));
      expect((await dump()).filter((n) => erased.includes(n))).toEqual([]);
    }
    expect(await store.read(150, 7)).toEqual(journal.slice(150, 157));
    // What is far from all of them stays where it was.
    expect(await dump()).toEqual(expect.arrayContaining([150, 350]));
    expect((await store.stats())['journal_records']).toBe(RECORDS);

    const erased = journal.flatMap(({ offset, fact: now }) => (now === GONE ? [offset] : []));
    expect(tracesOf(server.fileBytes())).toEqual(expect.arrayContaining(erased));
    await store.purgeErased();
    expect(tracesOf(server.fileBytes()).filter((n) => erased.includes(n))).toEqual([]);

    await store.write([told(RECORDS + 1)]);
    while ((await store.retain(0)).journal > 0);
    expect((await store.read(0, RECORDS)).map(({ offset }) => offset)).toEqual(every(1, RECORDS - 98, RECORDS + 2));
    expect(await store.bounds()).toEqual({ first: RECORDS - 98, last: RECORDS + 1 });
    await store.close();
  });

  test('a process that had not read a record before it was moved hears of it all the same', async () => {
    const { store, keys } = await open();
    const heard: [number, string][] = [];
    const foreign: number[] = [];
    store.onAlert(({ offset, alert }) => heard.push([offset, alert.title]));
    store.onForeignFact(({ offset }) => foreign.push(offset));
    await store.raise(alertOf(1));
    const alert = (n: number): Buffer => Buffer.from(encodeValue(alertOf(n)));
    const raise = (n: number) => [alert(n), Buffer.from(encodeValue(fact(n))), 'other'];
    const logs = [keys.journal.stream, keys.journal.counter, keys.alerts.stream, keys.alerts.counter];
    // In one step, so that nobody reads in between.
    await raw.call('MULTI');
    for (const n of [2, 3]) await raw.call('EVAL', SCRIPTS.raise.body, '4', ...logs, ...raise(n));
    for (const log of [keys.alerts, keys.journal])
      await raw.call(
        'EVAL',
        SCRIPTS.erase.body,
        '2',
        log.stream,
        log.moved,
        log.field,
        '4096',
        '100',
        '2',
        Buffer.from(encodeValue({ ...alertOf(2), title: 'erased' })),
      );
    await raw.call('EVAL', SCRIPTS.raise.body, '4', ...logs, ...raise(4));
    await raw.call('EXEC');
    await expect.poll(() => heard.length).toBe(4);
    expect(heard).toEqual([
      [1, 'alert 1'],
      [2, 'erased'],
      [3, 'alert 3'],
      [4, 'alert 4'],
    ]);
    await expect.poll(() => foreign.length).toBe(3);
    expect(foreign).toEqual([2, 3, 4]);
    expect((await store.stats())['alert_gaps']).toBe(0);
    await store.close();
  });

  test('a unit that a dead process left is finished first, also where it was moved', async () => {
    const half = (n: number): Unit<Tally> => ({ ...unit(`e:${n}`, [user(`u${n}`), user('both')]), fact: { ...fact(n), action: `e:${n}` } as Fact });
    const { store, keys } = await open((from) => (from.kind === 'admin' ? half(Number(from.detail['n'])) : undefined));
    for (const n of [1, 2]) {
      const { key, digest, fact: its } = half(n);
      await raw.run(
        SCRIPTS.append,
        [keys.key(key), keys.journal.stream, keys.journal.counter, keys.pending],
        [digest, Buffer.from(encodeValue(its)), '3600000', 'dead', '1'],
      );
    }
    await store.write([fact(3)]);
    // Its neighbours are half done and go with it.
    await store.erase({ facts: [gone(3)] });
    await store.erase({ facts: [gone(1)] });
    expect((await store.states([user('u1'), user('u2'), user('both')])).map((state) => state?.count)).toEqual([1, 1, 2]);
    expect((await store.read(0, 5)).map((record) => record.fact.kind)).toEqual(['erased', 'admin', 'erased']);
    await store.close();
  }, 20_000);

  test('a server that does not let its files be written anew is counted; streams without node limits are refused', async () => {
    const { store } = await open();
    await store.write([told(1)]);
    await raw.call('ACL', 'SETUSER', 'default', '-config', '-bgrewriteaof', '-bgsave');
    await store.erase({ facts: [gone(1)] });
    await store.purgeErased();
    expect((await store.stats())['purges_refused']).toBe(1);
    await raw.call('ACL', 'SETUSER', 'default', '+@all');
    for (const limit of ['bytes', 'entries']) await raw.call('CONFIG', 'SET', `stream-node-max-${limit}`, '0');
    await expect(store.erase({ facts: [gone(1)] })).rejects.toMatchObject({ code: 'erase_unsupported' });
    await store.close();
  });
});

describeWith(REDIS, 'erasing while Redis goes away', () => {
  test('rejects, and done again after it is back leaves nothing', async () => {
    const server = new RedisServer();
    await server.start();
    const store = await openRedisStore<Tally>({
      url: server.url,
      prefix: 'p',
      codec: tallyCodec,
      retention: SUITE_RETENTION,
      resume: () => undefined,
    });
    /** On a busy machine Redis may be late for a call; doing it again is safe. */
    const done = (work: () => Promise<unknown>) =>
      expect
        .poll(
          () =>
            work().then(
              () => true,
              () => false,
            ),
          { timeout: 30_000 },
        )
        .toBe(true);
    try {
      const all = Array.from({ length: 8_000 }, (_, i) => i + 1);
      for (let at = 0; at < all.length; at += 100) await store.write(all.slice(at, at + 100).map(told));
      const watcher = await connectRedis(server.url);
      const erasing = store.erase({ facts: all.map(gone) }).then(
        () => 'done',
        (error: { readonly code: string }) => error.code,
      );
      await expect.poll(() => watcher.call('ZCARD', new RedisKeys('p').journal.moved), { interval: 1, timeout: 10_000 }).toBeGreaterThan(0);
      watcher.close();
      await server.kill();
      expect(await erasing).toBe('store_unavailable');
      await server.start();
      await done(() => store.bounds());
      expect(await store.bounds()).toEqual({ first: 1, last: all.length });
      const half = await store.read(0, all.length);
      expect(new Set(half.map((record) => record.fact.kind))).toEqual(new Set(['erased', 'admin']));
      expect(half.map(({ offset }) => offset)).toEqual(all);
      await done(() => store.erase({ facts: all.map(gone) }));
      await done(() => store.purgeErased());
      expect((await store.read(0, all.length)).every((record) => record.fact.kind === 'erased')).toBe(true);
      expect(tracesOf(server.fileBytes())).toEqual([]);
    } finally {
      await store.close();
      await server.destroy();
    }
  }, 120_000);
});
