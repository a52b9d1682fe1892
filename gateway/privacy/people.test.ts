import { afterAll, beforeAll, expect, test } from 'vitest';
import type { ErasureJob, ErasuresResponse } from '../../contracts/privacy.ts';
import type { RestrictionsResponse } from '../../contracts/restriction.ts';
import type { ReviewsResponse } from '../../contracts/review.ts';
import type { ScoreResponse } from '../../contracts/score.ts';
import { EntityReplay } from '../../scoring/entity-replay.ts';
import { DEFAULT_DECLARATIONS } from '../../scoring/features/defaults.ts';
import { createFeatureEngine } from '../../scoring/features/engine.ts';
import { ADMIN_TOKEN, problemOf, TestGateway } from '../data/data.suite.ts';
import { RESTRICTIONS_COLLECTION } from '../restrictions.ts';
import { REVIEWS_COLLECTION } from '../review/desk.ts';
import { ERASURES_COLLECTION } from './erasures.ts';
import { referenceOf } from './footprint.ts';

// Promise 10 over HTTP: one call exports, one call erases a person, and both are in the audit.

const WAIT_MS_MAX = 10_000;
const PERSON = 'mallory-77';
let running: TestGateway;
let control: string;

beforeAll(async () => {
  running = await TestGateway.start();
  control = `http://127.0.0.1:${running.gateway.controlPort}`;
});
afterAll(() => running.stop());

const admin = (method: string, path: string, body?: unknown): Promise<Response> =>
  fetch(control + path, {
    method,
    headers: { authorization: `Bearer ${ADMIN_TOKEN}`, ...(body === undefined ? {} : { 'content-type': 'application/json' }) },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });

type Line = Readonly<Record<string, unknown>> & { readonly type: string };
async function exported(user: string): Promise<Line[]> {
  const response = await admin('GET', `/v1/users/${user}`);
  expect([response.status, response.headers.get('content-type')]).toEqual([200, 'application/x-ndjson']);
  return (await response.text())
    .trimEnd()
    .split('\n')
    .map((text) => JSON.parse(text) as Line);
}

async function erased(user: string): Promise<ErasureJob> {
  const asked = await admin('DELETE', `/v1/users/${user}`);
  expect(asked.status).toBe(202);
  const { erasure_id } = (await asked.json()) as ErasureJob;
  for (const endMs = performance.now() + WAIT_MS_MAX; performance.now() < endMs; ) {
    const { erasures } = (await (await admin('GET', '/v1/erasures')).json()) as ErasuresResponse;
    const job = erasures.find((one) => one.erasure_id === erasure_id);
    if (job?.state !== 'running') return job!;
  }
  throw new Error('the erasure did not end');
}

/** Everything that the store gives out, as text. */
async function everything(): Promise<string> {
  const { store } = running.gateway;
  const documents: unknown[] = [];
  for (const collection of [RESTRICTIONS_COLLECTION, REVIEWS_COLLECTION, ERASURES_COLLECTION])
    for await (const one of store.docs(collection)) documents.push(one);
  return JSON.stringify([await store.read(0, 10_000), await store.alerts(0, 10_000), documents]);
}

const event = (event_id: string, more: object) => ({ event_id, name: 'page_view', ...more });
const payment = (n: number) => ({
  transaction_id: `pay-${n}`,
  user_id: PERSON,
  session_id: 's-login',
  amount: 20,
  device_id: 'd1',
  card_id: `c${n}`,
  payment_method: 'card',
});

test('what is stored of a person is exported, then erased for good, and nobody else’s is', async () => {
  await running.ask('PUT', '/v1/items', { items: [{ item_id: 'lamp' }] });
  await running.ask('POST', '/v1/events', {
    events: [
      event('anonymous', { session_id: 's-login', name: 'view_item', items: [{ item_id: 'lamp' }] }),
      event('login', { session_id: 's-login', user_id: PERSON, name: 'login' }),
      event('bob-1', { session_id: 's-bob', user_id: 'bob', name: 'view_item', items: [{ item_id: 'lamp' }] }),
      event('nobody', { session_id: 's-nobody' }),
    ],
  });
  await running.ask('POST', '/v1/recommend', { user_id: PERSON, session_id: 's-login' });
  let last: ScoreResponse | undefined;
  for (let n = 0; n < 4; n++) last = (await running.ask<ScoreResponse>('POST', '/v1/score', payment(n))).body;
  expect(last?.decision).toBe('restrict_payment_method');
  const queue = (await (await admin('GET', '/v1/reviews')).json()) as ReviewsResponse;
  const caseId = queue.cases.find(({ transaction_id }) => transaction_id === 'pay-3')!.case_id;
  await admin('POST', `/v1/reviews/${caseId}/notes`, { text: 'Wrote to her at home' });
  await admin('POST', '/v1/restrictions', { action: 'suspend', entity: { kind: 'user', id: PERSON }, reason: 'by hand', hours: 1 });
  const bobBefore = await exported('bob');

  const lines = await exported(PERSON);
  const facts = lines.flatMap(({ type, fact }) => (type === 'fact' ? [fact as { kind: string; event?: { event_id: string } }] : []));
  // The anonymous view too: its session turned out to be hers.
  expect(facts.flatMap((fact) => fact.event?.event_id ?? [])).toEqual(['anonymous', 'login', 'pay-0', 'pay-1', 'pay-2', 'pay-3']);
  expect(new Set(facts.map(({ kind }) => kind))).toEqual(new Set(['event', 'recommendation', 'decision', 'alert', 'admin']));
  expect(lines.filter(({ type }) => type === 'state').map(({ entity }) => entity)).toEqual([
    { kind: 'user', id: PERSON },
    { kind: 'session', id: 's-login' },
  ]);
  expect(lines.find(({ type }) => type === 'state')).toMatchObject({ features: { fraud: { user_attempts_1h: 4 } } });
  expect(lines.map(({ type }) => type)).toEqual(expect.arrayContaining(['review_case', 'restriction']));
  expect(lines.at(-1)).toMatchObject({ type: 'end', facts: facts.length });

  const job = await erased(PERSON);
  expect(job).toMatchObject({ state: 'done', erasure_id: referenceOf(PERSON) });
  expect(job.erased).toBeGreaterThanOrEqual(facts.length);
  const left = await everything();
  for (const trace of [PERSON, 's-login', 'pay-3', 'Wrote to her', caseId]) expect(left.includes(trace), trace).toBe(false);

  const after = await exported(PERSON);
  expect(after.map(({ type }) => type)).toEqual(['user', 'end']);
  const ofBob = (all: readonly Line[]) => all.filter(({ type }) => type === 'fact');
  expect(ofBob(await exported('bob'))).toEqual(ofBob(bobBefore));
  expect(left).toContain('"nobody"');
  expect(((await (await admin('GET', '/v1/reviews')).json()) as ReviewsResponse).counts).toEqual({ open: 0, assigned: 0, closed: 0 });
  // The card of the last payment stays restricted: whoever has it now is not her.
  const restrictions = (await (await admin('GET', '/v1/restrictions')).json()) as RestrictionsResponse;
  expect(restrictions.restrictions.map(({ entity }) => entity)).toEqual([{ kind: 'card', id: 'c3' }]);

  // What is computed from the journal again knows nothing of her, and all of the others.
  const replay = new EntityReplay(createFeatureEngine(DEFAULT_DECLARATIONS));
  for (const { fact } of await running.gateway.store.read(0, 10_000)) replay.apply(fact);
  expect([PERSON, 'bob'].map((id) => replay.state('user', id) !== undefined)).toEqual([false, true]);

  // A retry of an erased payment is told so, and a late chargeback brings nothing back.
  expect(problemOf(await running.ask('POST', '/v1/score', payment(0)))).toEqual({ status: 410, code: 'erased' });
  expect((await running.ask('POST', '/v1/events', { events: [{ event_id: 'cb', name: 'chargeback', transaction_id: 'pay-1' }] })).status).toBe(200);
  expect((await everything()).includes(PERSON)).toBe(false);

  // Who asked stays known, and of whom only to those who know the id.
  const audit = (await running.facts('admin')).filter(({ action }) => action.startsWith('user.'));
  expect(audit.filter(({ detail }) => Object.values(detail).includes(referenceOf(PERSON))).map(({ actor, action }) => [actor, action])).toEqual([
    ['admin', 'user.export'],
    ['admin', 'user.erase'],
    ['admin', 'user.erase.done'],
    ['admin', 'user.export'],
  ]);
});

test('erasing again is no error, and only the admin token may ask', async () => {
  expect(await erased('nobody-known')).toMatchObject({ state: 'done', erased: 0 });
  expect(await erased('nobody-known')).toMatchObject({ state: 'done', erased: 0 });
  for (const method of ['GET', 'DELETE']) {
    expect((await fetch(`${control}/v1/users/bob`, { method })).status).toBe(401);
    expect((await admin(method, '/v1/users/white%20space')).status).toBe(422);
  }
});
