import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { Restriction } from '../contracts/restriction.ts';
import type { ScoreResponse } from '../contracts/score.ts';
import { createAudit } from './audit.ts';
import { DocsStore } from './auth/docs.suite.ts';
import { ADMIN_TOKEN, TestGateway } from './data/data.suite.ts';
import { Metrics } from './metrics.ts';
import { openRestrictions, RESTRICTIONS_COLLECTION, RESTRICTIONS_MAX, type Restrictions } from './restrictions.ts';

const NOW_MS = 1_700_000_000_000;
const quiet = { info: () => {}, warn: () => {}, error: () => {} };
const metrics = new Metrics();
const restrictionOf = (n: number, more: Partial<Restriction> = {}): Restriction => ({
  restriction_id: `r${n}`,
  action: 'suspend',
  entity: { kind: 'user', id: `u${n}` },
  reason: 'Many cards',
  transaction_id: `t${n}`,
  from_ms: NOW_MS,
  until_ms: NOW_MS + 1_000,
  ...more,
});

describe('restrictions', () => {
  let nowMs: number;
  let documents: Map<string, Map<string, unknown>>;
  let store: DocsStore;
  let restrictions: Restrictions;
  const open = (on: DocsStore): Promise<Restrictions> =>
    openRestrictions({
      store: on,
      audit: createAudit({ store: on, log: quiet, metrics, now: () => nowMs }),
      now: () => nowMs,
      onError: (error) => {
        throw error;
      },
    });
  beforeEach(async () => {
    nowMs = NOW_MS;
    documents = new Map();
    store = new DocsStore(documents);
    restrictions = await open(store);
  });
  const held = (user: string, card?: string): string[] =>
    restrictions.standing({ user_id: user, ...(card === undefined ? {} : { card_id: card }) }, nowMs).map(({ restriction_id }) => restriction_id);

  test('hold for their entity, until they run out', () => {
    restrictions.impose(restrictionOf(1));
    restrictions.impose(restrictionOf(2, { action: 'restrict_payment_method', entity: { kind: 'card', id: 'c2' } }));
    expect(held('u1')).toEqual(['r1']);
    expect(held('u9', 'c2')).toEqual(['r2']);
    expect(held('u1', 'c2')).toEqual(['r1', 'r2']);
    expect(held('u9')).toEqual([]);
    nowMs += 1_000;
    expect(held('u1')).toEqual([]);
    expect(restrictions.list({}).total).toBe(0);
  });

  test('are there after a restart, and in another process once its journal tells', async () => {
    const other = new DocsStore(documents);
    const beside = await open(other);
    restrictions.impose(restrictionOf(1));
    other.foreign(store.facts.at(-1)!);
    await expect.poll(() => beside.standing({ user_id: 'u1' }, nowMs)).toHaveLength(1);
    await restrictions.lift('r1', 'A mistake', 'key_1');
    other.foreign(store.facts.at(-1)!);
    await expect.poll(() => beside.standing({ user_id: 'u1' }, nowMs)).toHaveLength(0);
    restrictions.impose(restrictionOf(3));
    expect((await open(new DocsStore(documents))).standing({ user_id: 'u3' }, nowMs)).toHaveLength(1);
  });

  test('are imposed and lifted by analysts, on the record', async () => {
    const { restriction_id } = await restrictions.imposeByHand(
      { action: 'restrict_payment_method', entity: { kind: 'card', id: 'c7' }, reason: 'Stolen', hours: 2 },
      'key_1',
    );
    expect(held('u1', 'c7')).toEqual([restriction_id]);
    await restrictions.lift(restriction_id, 'Found again', 'key_2');
    expect(held('u1', 'c7')).toEqual([]);
    expect(store.facts.map((fact) => fact.kind === 'admin' && [fact.actor, fact.action, fact.detail['reason']])).toEqual([
      ['key_1', 'restriction.impose', 'Stolen'],
      ['key_2', 'restriction.lift', 'Found again'],
    ]);
    await expect(restrictions.lift(restriction_id, 'Again', 'key_2')).rejects.toThrow(expect.objectContaining({ code: 'not_found' }));
    const wrong = restrictions.imposeByHand({ action: 'suspend', entity: { kind: 'card', id: 'c7' }, reason: 'x', hours: 1 }, 'key_1');
    await expect(wrong).rejects.toThrow(expect.objectContaining({ code: 'invalid_request' }));
  });

  test('two gateways that have not heard of each other end with one answer', async () => {
    restrictions.impose(restrictionOf(1));
    const card = { action: 'restrict_payment_method', entity: { kind: 'card', id: 'c2' } } as const;
    restrictions.impose(restrictionOf(2, card));
    const other = await open(new DocsStore(documents));

    // Both score one payment: the first one's term holds in both.
    restrictions.impose(restrictionOf(3, { until_ms: NOW_MS + 10 }));
    other.impose(restrictionOf(3, { until_ms: NOW_MS + 20 }));
    await expect.poll(() => other.list({ entity_id: 'u3' }).restrictions[0]?.until_ms).toBe(NOW_MS + 10);

    await restrictions.lift('r1', 'A mistake', 'key_1');
    await expect(other.lift('r1', 'A mistake', 'key_2')).rejects.toMatchObject({ code: 'not_found' });
    // Forgetting by which payment a card was restricted does not restrict it again.
    await restrictions.lift('r2', 'A gift card', 'key_1');
    await other.erase('u2', new Set(['t2']));
    expect([documents.get(RESTRICTIONS_COLLECTION)!.has('r2'), other.standing({ user_id: 'u9', card_id: 'c2' }, nowMs)]).toEqual([false, []]);
  });

  test('a lift that the store refuses leaves it in force', async () => {
    restrictions.impose(restrictionOf(1));
    store.failure = new Error('disk');
    await expect(restrictions.lift('r1', 'x', 'key_1')).rejects.toThrow('disk');
    expect(held('u1')).toEqual(['r1']);
  });

  test('what has run out is forgotten, here and in the store', async () => {
    for (let n = 0; n < 5; n++) restrictions.impose(restrictionOf(n, n === 4 ? { until_ms: NOW_MS + 9_000 } : {}));
    nowMs += 2_000;
    await restrictions.retain();
    expect([...documents.get(RESTRICTIONS_COLLECTION)!.keys()]).toEqual(['r4']);
  });

  test('have a limit', async () => {
    for (let n = 0; n < RESTRICTIONS_MAX; n++) restrictions.impose(restrictionOf(n));
    expect(restrictions.impose(restrictionOf(-1))).toBe(false);
    expect(restrictions.impose(restrictionOf(5))).toBe(true);
    const more = restrictions.imposeByHand({ action: 'suspend', entity: { kind: 'user', id: 'x' }, reason: 'x', hours: 1 }, 'key_1');
    await expect(more).rejects.toThrow(expect.objectContaining({ code: 'restrictions_full' }));
  });
});

describe('over HTTP', () => {
  let gateway: TestGateway;
  beforeEach(async () => {
    gateway = await TestGateway.start();
  });
  afterEach(() => gateway.stop());
  const pay = async (n: number, more: Readonly<Record<string, unknown>> = {}): Promise<ScoreResponse> => {
    const body = { transaction_id: `pay-${n}`, user_id: 'thief', amount: 20, device_id: 'd1', card_id: `c${n}`, payment_method: 'card', ...more };
    return (await gateway.ask<ScoreResponse>('POST', '/v1/score', body)).body;
  };
  const desk = (method: string, path: string, body?: unknown): Promise<Response> =>
    fetch(`http://127.0.0.1:${gateway.gateway.controlPort}${path}`, {
      method,
      headers: { authorization: `Bearer ${ADMIN_TOKEN}`, 'content-type': 'application/json' },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });

  test('many cards in a short time restrict the card for the next payment too, until an analyst lifts it', async () => {
    for (let n = 0; n < 3; n++) expect((await pay(n)).decision).toBe('approve');
    const fourth = await pay(3);
    expect(fourth.decision).toBe('restrict_payment_method');
    expect(fourth.restrictions).toMatchObject([{ action: 'restrict_payment_method', entity: { kind: 'card', id: 'c3' }, transaction_id: 'pay-3' }]);

    // Another user, another device: the card alone is what they share.
    const borrowed = await pay(10, { user_id: 'friend', device_id: 'd9', card_id: 'c3' });
    expect(borrowed.decision).toBe('restrict_payment_method');
    expect(borrowed.rule_hits).toEqual([]);
    expect(borrowed.reasons[0]).toMatchObject({ code: `restriction:${fourth.restrictions![0]!.restriction_id}` });
    const alerts = await gateway.gateway.store.alerts(0, 100);
    expect(alerts.map(({ alert }) => alert.transaction_id)).toEqual(['pay-3']);

    expect((await desk('POST', `/v1/restrictions/${fourth.restrictions![0]!.restriction_id}/lift`, { reason: 'A gift card' })).status).toBe(200);
    const after = await pay(11, { user_id: 'friend', device_id: 'd9', card_id: 'c3' });
    expect(after.decision).toBe('approve');
    expect(after.restrictions).toBeUndefined();
    // A retry gets the answer that was given.
    expect(await pay(10, { user_id: 'friend', device_id: 'd9', card_id: 'c3' })).toEqual(borrowed);
  });

  test('a user whom an analyst suspends is suspended at the next payment', async () => {
    const imposed = await desk('POST', '/v1/restrictions', {
      action: 'suspend',
      entity: { kind: 'user', id: 'thief' },
      reason: 'Called by the bank',
      hours: 5,
    });
    expect(imposed.status).toBe(201);
    expect(await pay(1)).toMatchObject({ decision: 'suspend', restrictions: [{ reason: 'Called by the bank' }] });
    expect(((await (await desk('GET', '/v1/restrictions?entity_id=thief')).json()) as { total: number }).total).toBe(1);
  });
});
