import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, test } from 'vitest';
import type { Fact } from '../contracts/fact.ts';
import { describeWith } from '../test/describe-with.ts';
import { REDIS } from '../test/services.ts';
import type { RetentionPolicy, Store, Unit } from './contract.ts';
import { connectRedis, openRedisStore, REDIS_CALL_MS_MAX } from './redis.ts';
import { RedisKeys, SCRIPTS } from './redis-link.ts';
import { redisOfSuite } from './redis-server.suite.ts';
import { RedisServer } from './redis-server.testing.ts';
import { alertOf, fact, item, SUITE_RETENTION, storeSuite, type Tally, tallyCodec, unit, user } from './store.suite.ts';
import { encodeValue } from './values.ts';

/** Facts of these tests carry their entities, so that a unit can be made from the fact alone. */
function resumable(key: string, users: readonly string[]): Unit<Tally> {
  const base = unit(key, users.map(user));
  return { ...base, fact: { kind: 'admin', at_ms: 0, actor: 'suite', action: key, detail: { users } } };
}

function resume(from: Fact): Unit<Tally> | undefined {
  if (from.kind !== 'admin' || !Array.isArray(from.detail['users'])) return undefined;
  return resumable(from.action, from.detail['users'] as string[]);
}

let prefixes = 0;
const nextPrefix = (): string => `test${++prefixes}`;

async function until(condition: () => Promise<boolean> | boolean, limitMs = 10_000): Promise<void> {
  const endMs = performance.now() + limitMs;
  while (!(await condition())) {
    if (performance.now() > endMs) throw new Error(`the condition did not come true in ${limitMs} ms`);
    await sleep(10);
  }
}

describeWith(REDIS, 'on a Redis server', () => {
  const { server, raw } = redisOfSuite();

  const open = (prefix: string, retention: RetentionPolicy = SUITE_RETENTION): Promise<Store<Tally>> =>
    openRedisStore<Tally>({ url: server.url, prefix, codec: tallyCodec, retention, resume });

  async function keysOf(prefix: string): Promise<Buffer[]> {
    return [...((await raw.call('KEYS', `${prefix}:*`)) as Buffer[]), ...((await raw.call('KEYS', `{${prefix}:*`)) as Buffer[])];
  }

  storeSuite('redis', async (retention) => {
    const prefix = nextPrefix();
    const store = await open(prefix, retention);
    let current = store;
    return {
      store,
      reopen: async () => {
        await current.close();
        current = await open(prefix, retention);
        return current;
      },
      // Redis has a clock of its own: what has a time to live gets a shorter one.
      advance: async (ms) => {
        for (const key of await keysOf(prefix)) {
          const leftMs = Number(await raw.call('PTTL', key));
          if (leftMs > ms) await raw.call('PEXPIRE', key, String(leftMs - ms));
          else if (leftMs >= 0) await raw.call('DEL', key);
        }
      },
      destroy: () => current.close(),
    };
  });

  /** What a process leaves that dies right after it journalled the unit. */
  async function appendOnly(prefix: string, half: Unit<Tally>): Promise<void> {
    const keys = new RedisKeys(prefix);
    const names = [keys.key(half.key), keys.journal.stream, keys.journal.counter, keys.pending];
    await raw.run(SCRIPTS.append, names, [half.digest, Buffer.from(encodeValue(half.fact)), '3600000', 'dead', '1']);
  }

  /** Make pending units look as if they had been left `ms` ago. */
  async function age(prefix: string, ms: number): Promise<void> {
    const { pending } = new RedisKeys(prefix);
    for (const member of (await raw.call('ZRANGE', pending, '0', '-1')) as Buffer[]) {
      const [offset, atMs] = String(member).split(':');
      await raw.call('ZREM', pending, member);
      await raw.call('ZADD', pending, String(offset), `${offset}:${Number(atMs) - ms}`);
    }
  }

  describe('a crash between the journal and the entities', () => {
    test('is finished when the unit is sent again, and counts once', async () => {
      const prefix = nextPrefix();
      const store = await open(prefix);
      await appendOnly(prefix, resumable('e:1', ['a', 'b']));
      expect(await store.states([user('a'), user('b')])).toEqual([undefined, undefined]);
      const results = await Promise.all([1, 2, 3].map(() => store.ingest([resumable('e:1', ['a', 'b'])])));
      expect(results.flat().map(({ duplicate, offset }) => [duplicate, offset])).toEqual(Array(3).fill([true, 1]));
      expect((await store.states([user('a'), user('b')])).map((state) => state?.count)).toEqual([1, 1]);
      await until(async () => (await store.stats())['unfinished_units'] === 0);
      await store.close();
    });

    test('is finished by the sweeper of another process, and counts once', async () => {
      const prefix = nextPrefix();
      const store = await open(prefix);
      await store.ingest([resumable('e:0', ['a'])]);
      await appendOnly(prefix, resumable('e:1', ['a', 'b']));
      await age(prefix, 5_000);
      await until(async () => (await store.stats())['unfinished_units'] === 0);
      expect(await store.states([user('a'), user('b')])).toEqual([
        { count: 2, keys: ['e:0', 'e:1'] },
        { count: 1, keys: ['e:1'] },
      ]);
      expect((await store.stats())['resumed_units']).toBeGreaterThan(0);
      expect((await store.ingest([resumable('e:1', ['a', 'b'])]))[0]).toMatchObject({ duplicate: true, offset: 2 });
      expect((await store.states([user('a'), user('b')])).map((state) => state?.count)).toEqual([2, 1]);
      await store.close();
    });

    test('with one entity done is finished at the next open, even when that entity moved on a lot', async () => {
      const prefix = nextPrefix();
      const store = await open(prefix);
      // Done on `a`, lost on `b`.
      await store.ingest([resumable('e:1', ['a', 'b'])]);
      const keys = new RedisKeys(prefix);
      await until(async () => (await store.stats())['unfinished_units'] === 0);
      await raw.call('ZADD', keys.pending, '1', `1:${Date.now()}`);
      await raw.call('DEL', keys.state(user('b')));
      await store.ingest(Array.from({ length: 200 }, (_, i) => resumable(`f:${i}`, ['a'])));
      await store.close();
      await age(prefix, 5_000);
      const again = await open(prefix);
      await until(async () => (await again.stats())['unfinished_units'] === 0);
      expect((await again.states([user('a'), user('b')])).map((state) => state?.count)).toEqual([201, 1]);
      await again.close();
    });

    test('leaves a unit alone that is still young, and gives up one that nobody can finish', async () => {
      const prefix = nextPrefix();
      const store = await open(prefix);
      await appendOnly(prefix, unit('no-entities-in-its-fact', [user('a')]));
      expect((await store.stats())['unfinished_units']).toBe(1);
      await age(prefix, 5_000);
      await until(async () => (await store.stats())['unfinished_units'] === 0);
      expect((await store.stats())['abandoned_units']).toBe(1);
      await store.close();
    });
  });

  test('two processes that hammer the same entities with the same events count each once', async () => {
    const prefix = nextPrefix();
    const stores = await Promise.all([open(prefix), open(prefix)]);
    const EVENTS = 300;
    let random = 7;
    const work = stores.map(async (store) => {
      const order = Array.from({ length: EVENTS }, (_, i) => i);
      // Each in an order of its own, so that either is first for some.
      for (let i = order.length - 1; i > 0; i--) {
        random = (random * 48_271) % 2_147_483_647;
        const j = random % (i + 1);
        [order[i], order[j]] = [order[j] as number, order[i] as number];
      }
      const calls: Promise<unknown>[] = [];
      for (let at = 0; at < EVENTS; at += 5) {
        const units = order.slice(at, at + 5).map((n) => resumable(`e:${n}`, ['hot', `u${n % 4}`]));
        calls.push(store.ingest(units));
        if (calls.length % 8 === 0) await Promise.all(calls);
      }
      await Promise.all(calls);
    });
    await Promise.all(work);
    const [store] = stores as [Store<Tally>, Store<Tally>];
    const states = await store.states([user('hot'), user('u0'), user('u1'), user('u2'), user('u3')]);
    expect(states.map((state) => state?.count)).toEqual([EVENTS, 75, 75, 75, 75]);
    expect(new Set(states[0]?.keys).size).toBe(EVENTS);
    expect(await store.bounds()).toEqual({ first: 1, last: EVENTS });
    expect(new Set((await store.read(0, 1_000)).map((record) => JSON.stringify(record.fact))).size).toBe(EVENTS);
    await until(async () => (await store.stats())['unfinished_units'] === 0);
    await Promise.all(stores.map((each) => each.close()));
  });

  test('every process hears every alert in order, and the facts of the others', async () => {
    const prefix = nextPrefix();
    const [one, two] = await Promise.all([open(prefix), open(prefix)]);
    const heard: number[][] = [[], []];
    const foreign: string[][] = [[], []];
    [one, two].forEach((store, i) => {
      store.onAlert((record) => heard[i]?.push(record.offset));
      store.onForeignFact((record) => foreign[i]?.push(record.fact.kind === 'admin' ? String(record.fact.detail['n']) : record.fact.kind));
    });
    for (let i = 0; i < 20; i++) await Promise.all([one.raise(alertOf(i)), two.raise(alertOf(100 + i))]);
    await one.write([fact(1)]);
    await two.write([fact(2)]);
    const expected = Array.from({ length: 40 }, (_, i) => i + 1);
    await until(() => heard.every((offsets) => offsets.length >= 40) && foreign.every((facts) => facts.length >= 21));
    expect(heard).toEqual([expected, expected]);
    expect(foreign).toEqual([
      [...Array(20).fill('alert'), '2'],
      [...Array(20).fill('alert'), '1'],
    ]);
    await Promise.all([one.close(), two.close()]);
  });

  test('everything derived has a time to live', async () => {
    const prefix = nextPrefix();
    const store = await open(prefix);
    await store.ingest([unit('e:1', [user('u'), item('i')])]);
    const derived = (await keysOf(prefix)).map(String).filter((key) => /:s:|:k:/.test(key));
    expect(derived).toHaveLength(3);
    for (const key of derived) expect(Number(await raw.call('PTTL', key))).toBeGreaterThan(0);
    await store.close();
  });

  test('a newer layout and a bad prefix are refused', async () => {
    const prefix = nextPrefix();
    await raw.call('SET', new RedisKeys(prefix).format, '99');
    await expect(open(prefix)).rejects.toMatchObject({ code: 'store_incompatible' });
    await expect(open('a{b}')).rejects.toMatchObject({ code: 'config_invalid' });
    await expect(
      openRedisStore({ url: 'unix:///nowhere/redis.sock', prefix, codec: tallyCodec, retention: SUITE_RETENTION, resume }),
    ).rejects.toMatchObject({
      code: 'store_unavailable',
    });
  });
});

describeWith(REDIS, 'when Redis goes away', () => {
  test('calls fail in time, and work again when it is back, with nothing lost', { timeout: 40_000 }, async () => {
    const server = new RedisServer();
    await server.start();
    const store = await openRedisStore<Tally>({ url: server.url, prefix: 'p', codec: tallyCodec, retention: SUITE_RETENTION, resume });
    const heard: number[] = [];
    store.onAlert((record) => heard.push(record.offset));
    try {
      await store.ingest([resumable('e:1', ['a'])]);
      await store.raise(alertOf(1));
      const before = await store.alertsPosition();
      await until(() => heard.length === 1);

      const failsInTime = async (): Promise<void> => {
        const startMs = performance.now();
        const calls = [
          store.ingest([resumable('e:2', ['a'])]),
          store.states([user('a')]),
          store.raise(alertOf(2)),
          store.read(0, 1),
          store.lookup('e:1'),
        ];
        const results = await Promise.allSettled(calls);
        expect(results.map((result) => result.status === 'rejected' && result.reason.code)).toEqual(Array(5).fill('store_unavailable'));
        expect(performance.now() - startMs).toBeLessThan(REDIS_CALL_MS_MAX + 500);
      };

      await server.kill();
      await failsInTime();
      await server.start();
      await until(async () => {
        const result = await store.ingest([resumable('e:2', ['a'])]).catch(() => undefined);
        return result !== undefined;
      });
      expect((await store.states([user('a')]))[0]).toEqual({ count: 2, keys: ['e:1', 'e:2'] });
      expect(await store.alertsPosition()).toEqual(before);
      await store.raise(alertOf(3));
      await until(() => heard.length === 2);
      expect(heard).toEqual([1, 2]);

      // Silent rather than gone: the connection stays open, and only the clock tells.
      server.pause();
      await failsInTime();
      server.resume();
      await until(async () => (await store.stats().catch(() => undefined)) !== undefined);
      await store.ingest([resumable('e:2', ['a']), resumable('e:3', ['a'])]);
      expect((await store.states([user('a')]))[0]?.count).toBe(3);
    } finally {
      await store.close();
      await server.destroy();
    }
  });

  test('an alerts log that went backwards starts a new epoch', async () => {
    const server = new RedisServer();
    await server.start();
    const store = await openRedisStore<Tally>({ url: server.url, prefix: 'p', codec: tallyCodec, retention: SUITE_RETENTION, resume });
    const heard: [number, string][] = [];
    store.onAlert((record, epoch) => heard.push([record.offset, epoch]));
    try {
      for (let i = 0; i < 3; i++) await store.raise(alertOf(i));
      await until(() => heard.length === 3);
      const before = await store.alertsPosition();
      const raw = await connectRedis(server.url);
      const keys = new RedisKeys('p');
      // As after a crash that cost the last two alerts.
      await raw.call('DEL', keys.alerts.stream);
      await raw.call('XADD', keys.alerts.stream, '1-0', 'a', Buffer.from(encodeValue(alertOf(0))));
      await raw.call('SET', keys.alerts.counter, '1');
      raw.close();
      await server.kill();
      await server.start();
      await until(async () => {
        const position = await store.alertsPosition().catch(() => undefined);
        return position !== undefined && position.epoch !== before.epoch;
      });
      const { epoch } = await store.alertsPosition();
      await store.raise(alertOf(9));
      await until(() => heard.length === 4);
      expect(heard.at(-1)).toEqual([2, epoch]);
    } finally {
      await store.close();
      await server.destroy();
    }
  });
});
