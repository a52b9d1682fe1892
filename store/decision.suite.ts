import { describe, expect } from 'vitest';
import type { Fact } from '../contracts/fact.ts';
import { alertOf, bytes, fact, type Run, SUITE_START_MS, text, unit, user } from './store.suite.ts';

export function decisionOf(transaction_id: string): Fact & { kind: 'decision' } {
  return {
    kind: 'decision',
    at_ms: SUITE_START_MS,
    request: { transaction_id, user_id: 'u', amount: 1.5, timestamp_ms: SUITE_START_MS },
    response: {
      transaction_id,
      decision: 'approve',
      score: null,
      probability: 0.1,
      anomaly: null,
      reasons: [],
      rule_hits: [],
      bundle: 'b',
      degraded: false,
    },
    vector: null,
    feature_hash: 'h',
  };
}

/** The part of the stores' suite about decisions. */
export function decisionSuite(name: string, run: Run): void {
  describe(`${name}: decide`, () => {
    run('lets the first decider win and gives its answer to all', async ({ store }) => {
      await store.ingest([unit('t:1', [user('u')])]);
      const results = await Promise.all([1, 2, 3].map((n) => store.decide('t:1', fact(n), bytes(`answer ${n}`), alertOf(n))));
      const winner = results.findIndex((result) => result.won) + 1;
      expect(results.filter((result) => result.won)).toHaveLength(1);
      expect(results.map((result) => text(result.answer))).toEqual(Array(3).fill(`answer ${winner}`));
      expect((await store.read(0, 10)).map((record) => record.fact)).toEqual([
        unit('t:1', []).fact,
        fact(winner),
        { kind: 'alert', at_ms: alertOf(winner).at_ms, alert: alertOf(winner) },
      ]);
      expect(await store.alerts(0, 10)).toEqual([{ offset: 1, alert: alertOf(winner) }]);
      expect(text((await store.lookup('t:1'))?.answer)).toBe(`answer ${winner}`);
      const [again] = await store.ingest([unit('t:1', [user('u')])]);
      expect(again?.duplicate).toBe(true);
      expect(text(again?.answer)).toBe(`answer ${winner}`);
      const [clash] = await store.ingest([unit('t:1', [user('u')], 'other')]);
      expect(clash).toMatchObject({ conflict: true, answer: undefined });
    });

    run('keeps every byte of an answer, and an empty one', async ({ store }) => {
      const answer = Uint8Array.from({ length: 256 }, (_, i) => i);
      await store.ingest([unit('t:1', []), unit('t:2', [])]);
      await store.decide('t:1', fact(1), answer);
      await store.decide('t:2', fact(2), new Uint8Array());
      expect(Array.from((await store.lookup('t:1'))?.answer ?? [])).toEqual(Array.from(answer));
      expect((await store.lookup('t:2'))?.answer?.length).toBe(0);
      expect((await store.decide('t:2', fact(3), answer)).won).toBe(false);
    });

    run('rejects a key that it does not know', async ({ store }) => {
      await expect(store.decide('t:none', fact(1), bytes('x'), alertOf(1))).rejects.toMatchObject({ code: 'store_unavailable' });
      expect(await store.lookup('t:none')).toBeUndefined();
      expect(await store.bounds()).toEqual({ first: 1, last: 0 });
      expect(await store.alerts(0, 10)).toEqual([]);
    });

    run('keeps the vector to the bit', async ({ store }) => {
      const vector = Float32Array.of(0, -0, 1, 0.1, 1e-30, Number.NaN, Number.POSITIVE_INFINITY);
      const decision = { ...decisionOf('t1'), vector };
      await store.ingest([unit('t:1', [user('u')])]);
      await store.decide('t:1', decision, bytes('yes'));
      const read = (await store.read(0, 10)).at(-1)?.fact;
      if (read?.kind !== 'decision') throw new Error('the decision is not the last fact');
      expect({ ...read, vector: Array.from(read.vector ?? []) }).toEqual({ ...decision, vector: Array.from(vector) });
    });
  });
}
