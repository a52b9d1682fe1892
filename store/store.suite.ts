import { describe, expect, test } from 'vitest';
import type { Fact } from '../contracts/fact.ts';
import type { Alert } from '../contracts/push.ts';
import type { EntityRef, RetentionPolicy, StateCodec, Store, Unit } from './contract.ts';
import { decisionSuite } from './decision.suite.ts';
import { eraseSuite } from './erase.suite.ts';
import { expectedSuite } from './expected.suite.ts';
import { decodeValue, encodeShared, encodeValue } from './values.ts';

/** The state of the suite's entities: how many units it has seen, and which. */
export interface Tally {
  count: number;
  keys: string[];
}

export const tallyCodec: StateCodec<Tally> = {
  encode: (state) => encodeValue(state),
  encodeShared: (state) => encodeShared(state),
  decode: (bytes) => decodeValue(bytes) as Tally,
};

export const SUITE_RETENTION: RetentionPolicy = {
  journalRecordsMax: 1_000_000,
  alertsMax: 1_000_000,
  idempotencyMs: 3_600_000,
  stateTtlMs: 3_600_000,
};
export const SUITE_START_MS = 1_700_000_000_000;

export function fact(n: number): Fact {
  return { kind: 'admin', at_ms: SUITE_START_MS + n, actor: 'suite', action: 'count', detail: { n } };
}

/** A unit that counts one on each of its entities. */
export function unit(key: string, entities: readonly EntityRef[], digest = 'd', n = 0): Unit<Tally> {
  return {
    key,
    digest,
    entities,
    fact: { kind: 'admin', at_ms: SUITE_START_MS, actor: 'suite', action: key, detail: { n } },
    apply: (_ref, state = { count: 0, keys: [] }) => {
      state.count++;
      state.keys.push(key);
      return state;
    },
  };
}

export function alertOf(n: number): Alert {
  return { alert_id: `a${n}`, kind: 'system', severity: 'low', at_ms: SUITE_START_MS + n, title: `alert ${n}` };
}

export const user = (id: string): EntityRef => ({ kind: 'user', id });
export const item = (id: string): EntityRef => ({ kind: 'item', id });
export const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);
export const text = (value: Uint8Array | undefined): string | undefined => value && new TextDecoder().decode(value);

/** One store under test. */
export interface StoreUnderTest {
  readonly store: Store<Tally>;
  /** Close the store and open what it left; undefined where nothing is left. */
  readonly reopen: (() => Promise<Store<Tally>>) | undefined;
  /** Let time pass for everything that expires. */
  advance(ms: number): Promise<void>;
  /** Close what is open and remove every trace. */
  destroy(): Promise<void>;
}

async function collect<T>(rows: AsyncIterable<T>): Promise<T[]> {
  const out: T[] = [];
  for await (const row of rows) out.push(row);
  return out;
}

async function until(condition: () => boolean): Promise<void> {
  const endMs = performance.now() + 5_000;
  while (!condition()) {
    if (performance.now() > endMs) throw new Error('the condition did not come true in 5 s');
    await new Promise((resolve) => setTimeout(resolve, 2));
  }
}

/** What every implementation of `Store` must do. */
/** Runs a test on a fresh store. */
export type Run = (title: string, body: (under: StoreUnderTest) => Promise<void>, retention?: Partial<RetentionPolicy>) => void;

export function storeSuite(name: string, open: (retention: RetentionPolicy) => Promise<StoreUnderTest>): void {
  const run: Run = (title, body, retention = {}) => {
    test(title, async () => {
      const under = await open({ ...SUITE_RETENTION, ...retention });
      try {
        await body(under);
      } finally {
        await under.destroy();
      }
    });
  };
  const counts = async (store: Store<Tally>, refs: EntityRef[]) => (await store.states(refs)).map((state) => state?.count);

  decisionSuite(name, run);
  eraseSuite(name, run);
  expectedSuite(name, run);

  describe(`${name}: ingest`, () => {
    run('counts a unit once and brings each entity forward', async ({ store }) => {
      const [first] = await store.ingest([unit('e:1', [user('u'), item('i')])]);
      expect(first).toMatchObject({ offset: 1, duplicate: false, conflict: false, answer: undefined });
      expect(first?.states).toEqual([
        { count: 1, keys: ['e:1'] },
        { count: 1, keys: ['e:1'] },
      ]);
      const [again] = await store.ingest([unit('e:1', [user('u'), item('i')])]);
      expect(again).toMatchObject({ offset: 1, duplicate: true, conflict: false });
      expect(again?.states.map((state) => state.count)).toEqual([1, 1]);
      expect(await counts(store, [user('u'), item('i'), user('nobody')])).toEqual([1, 1, undefined]);
      expect(await store.bounds()).toEqual({ first: 1, last: 1 });
    });

    run('refuses a key that comes back with another digest', async ({ store }) => {
      await store.ingest([unit('e:1', [user('u')], 'one')]);
      const [clash] = await store.ingest([unit('e:1', [user('u')], 'two')]);
      expect(clash).toMatchObject({ offset: 1, duplicate: false, conflict: true, answer: undefined });
      expect(await counts(store, [user('u')])).toEqual([1]);
      expect((await store.bounds()).last).toBe(1);
    });

    run('counts a key once that stands twice in a batch', async ({ store }) => {
      const results = await store.ingest([
        unit('e:1', [user('u')]),
        unit('e:2', [user('u')]),
        unit('e:1', [user('u')]),
        unit('e:2', [user('u')], 'other'),
      ]);
      expect(results.map(({ duplicate, conflict, offset }) => [offset, duplicate, conflict])).toEqual([
        [1, false, false],
        [2, false, false],
        [1, true, false],
        [2, false, true],
      ]);
      expect(await store.states([user('u')])).toEqual([{ count: 2, keys: ['e:1', 'e:2'] }]);
    });

    run('counts a key once that comes in many calls at a time', async ({ store }) => {
      const calls = Array.from({ length: 20 }, () => store.ingest([unit('e:1', [user('u'), item('i')])]));
      const results = (await Promise.all(calls)).flat();
      expect(results.filter((result) => !result.duplicate)).toHaveLength(1);
      expect(results.every((result) => result.offset === 1)).toBe(true);
      expect(await counts(store, [user('u'), item('i')])).toEqual([1, 1]);
    });

    run('loses no count when many units meet on one entity', async ({ store }) => {
      const calls = Array.from({ length: 30 }, (_, i) => store.ingest([unit(`e:${i}`, [user('u'), item(`i${i % 3}`)]), unit(`f:${i}`, [user('u')])]));
      const offsets = (await Promise.all(calls)).flat().map((result) => result.offset);
      expect(new Set(offsets).size).toBe(60);
      expect(await counts(store, [user('u'), item('i0'), item('i1'), item('i2')])).toEqual([60, 10, 10, 10]);
    });

    run('counts one for an entity that a unit lists twice', async ({ store }) => {
      const [result] = await store.ingest([unit('e:1', [user('u'), item('i'), user('u')])]);
      expect(result?.states.map((state) => state.count)).toEqual([1, 1, 1]);
      expect(await counts(store, [user('u')])).toEqual([1]);
    });

    run('takes a unit without entities, and a call without units', async ({ store }) => {
      expect(await store.ingest([])).toEqual([]);
      const [result] = await store.ingest([unit('e:1', [])]);
      expect(result).toMatchObject({ offset: 1, duplicate: false, states: [] });
    });

    run('shows a write that is not durable yet to what comes after', async ({ store }) => {
      await store.ingest([unit('t:1', [user('u')])], { durable: false });
      expect(await counts(store, [user('u')])).toEqual([1]);
      expect(await store.lookup('t:1')).toEqual({ offset: 1, answer: undefined });
      expect((await store.decide('t:1', fact(1), bytes('yes'))).won).toBe(true);
      expect((await store.read(0, 10)).map((record) => record.offset)).toEqual([1, 2]);
    });

    run('keeps strange ids apart', async ({ store }) => {
      const long = 'x'.repeat(2_000);
      const ids = [
        'a',
        'a:b',
        ':a',
        'user:a',
        'r',
        'ra',
        'a\u0000',
        'a\u0000b',
        '',
        ' ',
        'ä',
        'a\u0308',
        '\ud800',
        '\ud801',
        '\ufffd',
        '💳',
        '{a}',
        'a}b{',
        '__proto__',
        'constructor',
        long,
        `${long}y`,
        '*',
        'a\r\nb',
      ];
      const refs = ids.flatMap((id) => [user(id), item(id)]);
      await store.ingest(refs.map((ref, i) => unit(`e:${i}`, [ref])));
      expect((await store.states(refs)).map((state) => state?.keys)).toEqual(refs.map((_, i) => [`e:${i}`]));
      const keys = await store.ingest(ids.map((id) => unit(id, [])));
      expect(keys.every((result) => !result.duplicate && !result.conflict)).toBe(true);
      const again = await store.ingest(ids.map((id) => unit(id, [])));
      expect(again.map((result) => [result.duplicate, result.offset])).toEqual(keys.map((result) => [true, result.offset]));
      await store.write(
        [],
        ids.flatMap((id, i) => [
          { collection: 'c', id, value: i },
          { collection: `c:${id}`, id: 'b', value: -i },
        ]),
      );
      for (const [i, id] of ids.entries()) expect(await store.doc('c', id)).toBe(i);
      expect((await collect(store.docs('c'))).map((row) => row.id).sort()).toEqual([...ids].sort());
    });
  });

  describe(`${name}: journal`, () => {
    run('reads in order from any offset', async ({ store }) => {
      expect(await store.bounds()).toEqual({ first: 1, last: 0 });
      expect(await store.read(0, 10)).toEqual([]);
      await store.write([fact(1), fact(2)]);
      await store.ingest([unit('e:1', []), unit('e:2', [])]);
      await store.write([fact(3)]);
      const all = await store.read(0, 100);
      expect(all.map((record) => record.offset)).toEqual([1, 2, 3, 4, 5]);
      expect(all[0]?.fact).toEqual(fact(1));
      expect(all[2]?.fact).toEqual(unit('e:1', []).fact);
      expect(all[4]?.fact).toEqual(fact(3));
      expect((await store.read(2, 2)).map((record) => record.offset)).toEqual([3, 4]);
      expect(await store.read(5, 10)).toEqual([]);
      expect(await store.read(0, 0)).toEqual([]);
      expect(await store.bounds()).toEqual({ first: 1, last: 5 });
    });

    run('reads more than a slice', async ({ store }) => {
      const facts = Array.from({ length: 1_300 }, (_, i) => fact(i));
      await store.write(facts);
      const records = await store.read(0, 2_000);
      expect(records.map((record) => record.offset)).toEqual(facts.map((_, i) => i + 1));
      expect(records.at(-1)?.fact).toEqual(fact(1_299));
      expect((await store.read(100, 1_100)).length).toBe(1_100);
    });

    run('writes concurrently without losing or doubling an offset', async ({ store }) => {
      await Promise.all(Array.from({ length: 20 }, (_, i) => store.write([fact(2 * i), fact(2 * i + 1)])));
      const records = await store.read(0, 100);
      expect(records.map((record) => record.offset)).toEqual(Array.from({ length: 40 }, (_, i) => i + 1));
      expect(new Set(records.map((record) => JSON.stringify(record.fact))).size).toBe(40);
    });
  });

  describe(`${name}: documents`, () => {
    run('changes documents together with facts', async ({ store }) => {
      await store.write(
        [fact(1)],
        [
          { collection: 'items', id: 'a', value: { price: 1.5, tags: ['x'] } },
          { collection: 'items', id: 'b', value: 2 },
          { collection: 'rules', id: 'a', value: 'r' },
        ],
      );
      expect(await store.doc('items', 'a')).toEqual({ price: 1.5, tags: ['x'] });
      expect(await store.doc('rules', 'a')).toBe('r');
      expect(await store.doc('rules', 'b')).toBeUndefined();
      await store.write(
        [],
        [
          { collection: 'items', id: 'a', value: null },
          { collection: 'items', id: 'b', value: undefined },
        ],
        { durable: false },
      );
      expect(await store.doc('items', 'a')).toBeNull();
      expect(await store.doc('items', 'b')).toBeUndefined();
      expect(await collect(store.docs('items'))).toEqual([{ id: 'a', value: null }]);
      expect(await store.bounds()).toEqual({ first: 1, last: 1 });
    });

    run('iterates over many documents of one collection', async ({ store }) => {
      const ids = Array.from({ length: 1_200 }, (_, i) => `d${i}`);
      await store.write(
        [],
        ids.map((id, i) => ({ collection: 'c', id, value: i })),
      );
      await store.write(
        [],
        [
          { collection: 'b', id: 'x', value: 0 },
          { collection: 'd', id: 'x', value: 0 },
        ],
      );
      const rows = await collect(store.docs('c'));
      expect(rows.map((row) => row.id).sort()).toEqual([...ids].sort());
      expect(rows.every((row) => row.id === `d${row.value}`)).toBe(true);
      expect(await collect(store.docs('none'))).toEqual([]);
    });
  });

  describe(`${name}: alerts`, () => {
    run('keeps a log of its own, journalled too', async ({ store }) => {
      const start = await store.alertsPosition();
      expect(start).toMatchObject({ offset: 0, first: 1 });
      expect(start.epoch).toMatch(/^.{1,64}$/);
      await store.raise(alertOf(1));
      await store.raise(alertOf(2));
      await store.raise(alertOf(3));
      expect(await store.alerts(1, 1)).toEqual([{ offset: 2, alert: alertOf(2) }]);
      expect((await store.alerts(0, 10)).map((record) => record.offset)).toEqual([1, 2, 3]);
      expect(await store.alertsPosition()).toEqual({ offset: 3, first: 1, epoch: start.epoch });
      expect((await store.read(0, 10)).map((record) => record.fact.kind)).toEqual(['alert', 'alert', 'alert']);
    });

    run('tells listeners each alert once, in order', async ({ store }) => {
      const { epoch } = await store.alertsPosition();
      const heard: [number, string, string][] = [];
      const stop = store.onAlert((record, at) => heard.push([record.offset, record.alert.alert_id, at]));
      await store.ingest([unit('t:1', [])]);
      await Promise.all([...Array.from({ length: 10 }, (_, i) => store.raise(alertOf(i))), store.decide('t:1', fact(1), bytes('x'), alertOf(99))]);
      await until(() => heard.length >= 11);
      expect(heard.map(([offset]) => offset)).toEqual(Array.from({ length: 11 }, (_, i) => i + 1));
      expect(new Set(heard.map(([, id]) => id)).size).toBe(11);
      expect(heard.every(([, , at]) => at === epoch)).toBe(true);
      stop();
      await store.raise(alertOf(12));
      expect(heard).toHaveLength(11);
    });
  });

  describe(`${name}: retention`, () => {
    run(
      'trims the logs from the old end',
      async ({ store }) => {
        await store.write(Array.from({ length: 20 }, (_, i) => fact(i)));
        for (let i = 0; i < 5; i++) await store.raise(alertOf(i));
        expect(await store.retain(SUITE_START_MS)).toMatchObject({ journal: 15, alerts: 2 });
        expect(await store.bounds()).toEqual({ first: 16, last: 25 });
        expect((await store.read(0, 100)).map((record) => record.offset)).toEqual([16, 17, 18, 19, 20, 21, 22, 23, 24, 25]);
        expect((await store.alerts(0, 10)).map((record) => record.offset)).toEqual([3, 4, 5]);
        expect(await store.alertsPosition()).toMatchObject({ offset: 5, first: 3 });
        expect(await store.retain(SUITE_START_MS)).toMatchObject({ journal: 0, alerts: 0 });
        await store.write([fact(30)]);
        expect((await store.bounds()).last).toBe(26);
      },
      { journalRecordsMax: 10, alertsMax: 3 },
    );

    run(
      'goes on counting after everything went',
      async ({ store, reopen }) => {
        await store.write([fact(1), fact(2)]);
        await store.raise(alertOf(1));
        await store.retain(SUITE_START_MS);
        expect(await store.bounds()).toEqual({ first: 4, last: 3 });
        expect(await store.alertsPosition()).toMatchObject({ offset: 1, first: 2 });
        const later = reopen ? await reopen() : store;
        await later.write([fact(3)]);
        await later.raise(alertOf(2));
        expect(await later.bounds()).toEqual({ first: 4, last: 5 });
        expect((await later.alerts(0, 10)).map((record) => record.offset)).toEqual([2]);
      },
      { journalRecordsMax: 0, alertsMax: 0 },
    );

    run(
      'keeps idempotency keys as long as promised, whatever happens to the journal',
      async ({ store, advance }) => {
        await store.ingest([unit('e:1', [user('u')])]);
        await advance(500_000);
        await store.ingest([unit('e:2', [user('u')])]);
        await advance(400_000);
        await store.retain(SUITE_START_MS + 900_000);
        expect((await store.ingest([unit('e:1', [user('u')]), unit('e:2', [user('u')])])).map((result) => result.duplicate)).toEqual([true, true]);
        await advance(300_000);
        await store.retain(SUITE_START_MS + 1_200_000);
        expect(await store.lookup('e:1')).toBeUndefined();
        expect((await store.lookup('e:2'))?.offset).toBe(2);
      },
      { idempotencyMs: 1_000_000, journalRecordsMax: 0 },
    );

    run(
      'forgets a state that nothing touched',
      async ({ store, advance }) => {
        await store.ingest([unit('e:1', [user('old'), user('used')])]);
        await advance(600_000);
        await store.ingest([unit('e:2', [user('used')])]);
        await advance(600_000);
        await store.retain(SUITE_START_MS + 1_200_000);
        expect(await counts(store, [user('old'), user('used')])).toEqual([undefined, 2]);
        await store.ingest([unit('e:3', [user('old')])]);
        expect(await counts(store, [user('old')])).toEqual([1]);
        // The old unit again: its state is shown as far as it exists, and counted no second time.
        const [again] = await store.ingest([unit('e:1', [user('old'), user('used')])]);
        expect(again?.duplicate).toBe(true);
        expect(await counts(store, [user('old'), user('used')])).toEqual([1, 2]);
      },
      { stateTtlMs: 1_000_000 },
    );
  });

  describe(`${name}: life`, () => {
    run('keeps everything over a restart', async ({ store, reopen }) => {
      if (reopen === undefined) return;
      await store.ingest([unit('t:1', [user('u'), item('i')]), unit('e:1', [user('u')])]);
      await store.decide('t:1', fact(1), bytes('yes'), alertOf(1));
      await store.write([fact(2)], [{ collection: 'c', id: 'd', value: { a: 1 } }]);
      await store.ingest([unit('e:2', [user('u')])], { durable: false });
      const before = { journal: await store.read(0, 100), position: await store.alertsPosition(), bounds: await store.bounds() };
      const again = await reopen();
      expect(await again.read(0, 100)).toEqual(before.journal);
      expect(await again.bounds()).toEqual(before.bounds);
      expect(await again.alertsPosition()).toEqual(before.position);
      expect(await again.alerts(0, 10)).toEqual([{ offset: 1, alert: alertOf(1) }]);
      expect(await again.states([user('u'), item('i')])).toEqual([
        { count: 3, keys: ['t:1', 'e:1', 'e:2'] },
        { count: 1, keys: ['t:1'] },
      ]);
      expect(await again.doc('c', 'd')).toEqual({ a: 1 });
      expect((await again.ingest([unit('e:1', [user('u')])]))[0]?.duplicate).toBe(true);
      expect(text((await again.decide('t:1', fact(3), bytes('no'))).answer)).toBe('yes');
      expect((await again.ingest([unit('e:3', [user('u')])]))[0]).toMatchObject({ offset: before.bounds.last + 1, duplicate: false });
    });

    run('reports numbers', async ({ store }) => {
      await store.ingest([unit('e:1', [user('u')])]);
      await store.raise(alertOf(1));
      await store.flush();
      expect(await store.stats()).toMatchObject({ journal_records: 2, journal_last: 2, alerts: 1 });
    });

    run('rejects everything after it is closed', async ({ store }) => {
      await store.ingest([unit('t:1', [user('u')])]);
      await store.close();
      await store.close();
      const gone = { code: 'store_unavailable' };
      await expect(store.ingest([unit('e:2', [])])).rejects.toMatchObject(gone);
      await expect(store.decide('t:1', fact(1), bytes('x'))).rejects.toMatchObject(gone);
      await expect(store.lookup('t:1')).rejects.toMatchObject(gone);
      await expect(store.write([fact(1)])).rejects.toMatchObject(gone);
      await expect(store.raise(alertOf(1))).rejects.toMatchObject(gone);
      await expect(store.states([user('u')])).rejects.toMatchObject(gone);
      await expect(store.read(0, 1)).rejects.toMatchObject(gone);
      await expect(store.bounds()).rejects.toMatchObject(gone);
      await expect(store.doc('c', 'd')).rejects.toMatchObject(gone);
      await expect(collect(store.docs('c'))).rejects.toMatchObject(gone);
      await expect(store.alerts(0, 1)).rejects.toMatchObject(gone);
      await expect(store.alertsPosition()).rejects.toMatchObject(gone);
      await expect(store.retain(0)).rejects.toMatchObject(gone);
      await expect(store.stats()).rejects.toMatchObject(gone);
      await expect(store.flush()).rejects.toMatchObject(gone);
    });
  });
}
