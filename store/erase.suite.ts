import { describe, expect } from 'vitest';
import type { Fact } from '../contracts/fact.ts';
import type { Alert } from '../contracts/push.ts';
import type { EntityRef, Store } from './contract.ts';
import { alertOf, fact, item, type Run, SUITE_START_MS, type Tally, unit, user } from './store.suite.ts';

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);
const text = (value: Uint8Array | undefined): string | undefined => value && new TextDecoder().decode(value);

/** The part of the stores' suite that takes a person's rows out. */
export function eraseSuite(name: string, run: Run): void {
  const counts = async (store: Store<Tally>, refs: EntityRef[]) => (await store.states(refs)).map((state) => state?.count);

  describe(`${name}: erase`, () => {
    const gone: Fact = { kind: 'erased', at_ms: SUITE_START_MS };
    const plain: Alert = { ...alertOf(9), title: 'erased' };

    run('replaces records in their places, empties answers and takes states out, also after a restart', async ({ store, reopen }) => {
      await store.ingest([unit('t:1', [user('u'), item('i')]), unit('t:2', [user('v')])]);
      await store.decide('t:1', fact(1), bytes('yes'), alertOf(1));
      await store.decide('t:2', fact(2), bytes('no'));
      const erasure = {
        facts: [1, 3, 99].map((offset) => ({ offset, fact: gone })),
        alerts: [{ offset: 1, alert: plain }],
        answers: ['t:1', 't:unknown'],
        states: [user('u'), user('nobody')],
      };
      await store.erase(erasure);
      await store.erase(erasure);
      await store.purgeErased();
      const check = async (now: Store<Tally>): Promise<void> => {
        expect((await now.read(0, 10)).map((record) => [record.offset, record.fact.kind])).toEqual([
          [1, 'erased'],
          [2, 'admin'],
          [3, 'erased'],
          [4, 'alert'],
          [5, 'admin'],
        ]);
        expect(await now.alerts(0, 10)).toEqual([{ offset: 1, alert: plain }]);
        expect((await now.lookup('t:1'))?.answer).toHaveLength(0);
        expect(text((await now.lookup('t:2'))?.answer)).toBe('no');
        expect(await counts(now, [user('u'), item('i'), user('v')])).toEqual([undefined, 1, 1]);
      };
      await check(store);
      const again = (await reopen?.()) ?? store;
      await check(again);
      // It stays counted, nobody decides on it anew, and the next unit begins from nothing.
      expect((await again.ingest([unit('t:1', [])]))[0]).toMatchObject({ offset: 1, duplicate: true });
      const late = await again.decide('t:1', fact(3), bytes('again'));
      expect([late.won, late.answer.length]).toEqual([false, 0]);
      await again.ingest([unit('e:2', [user('u')])]);
      expect(await counts(again, [user('u')])).toEqual([1]);
    });

    run(
      'erases what is still on its way to the disk, and leaves alone what retention took',
      async ({ store }) => {
        await store.ingest([unit('e:1', [user('u')]), unit('e:2', [user('u')])]);
        await store.retain(SUITE_START_MS);
        const last = store.ingest([unit('e:3', [user('u')])], { durable: false });
        await store.erase({ facts: [1, 3].map((offset) => ({ offset, fact: gone })), states: [user('u')] });
        await last;
        expect((await store.read(0, 10)).map((record) => [record.offset, record.fact.kind])).toEqual([
          [2, 'admin'],
          [3, 'erased'],
        ]);
        expect(await store.states([user('u')])).toEqual([undefined]);
      },
      { journalRecordsMax: 1 },
    );
  });
}
