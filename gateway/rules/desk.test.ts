import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Problem } from '../../contracts/errors.ts';
import type { ListsResponse } from '../../contracts/lists.ts';
import type { BacktestJob, RulesResponse, RuleVersion } from '../../contracts/rules.ts';
import type { ScoreRequest, ScoreResponse } from '../../contracts/score.ts';
import { DEFAULT_DECLARATIONS } from '../../scoring/features/defaults.ts';
import { createFeatureEngine } from '../../scoring/features/engine.ts';
import { recordedLists } from '../../scoring/risk/lists.ts';
import { FRAUD_SET, judge } from '../../scoring/risk/pipeline.ts';
import { RuleBook } from '../../scoring/risk/rules.ts';
import { readConfig } from '../config.ts';
import { ADMIN_TOKEN, TestGateway } from '../data/data.suite.ts';
import { type Gateway, startGateway } from '../main.ts';
import { control } from './rules.testing.ts';
import { rulesOf } from './stored.ts';

// Rules, lists and backtests over HTTP, on a gateway with a store of its own.

const ANNA = `gh_adm_${'n'.repeat(43)}`;
const BERT = `gh_adm_${'b'.repeat(43)}`;

let desk: TestGateway;
let payments = 0;
beforeAll(async () => {
  desk = await TestGateway.start({ adminTokens: [`anna=${ANNA}`, `bert=${BERT}`] });
});
afterAll(() => desk.stop());

const ask = <T = RuleVersion>(method: string, path: string, body?: unknown, token = ANNA, on = desk) => control<T>(on, method, path, body, { token });
const create = (id: string, when: string, more: object = {}, on = desk) =>
  ask('POST', '/v1/rules', { id, description: `the rule ${id}`, when, action: 'decline', ...more }, ANNA, on);
const move = (id: string, version: number, state: string, token = ANNA, on = desk) =>
  ask<RuleVersion & Problem>('POST', `/v1/rules/${id}/versions/${version}/state`, { state }, token, on);
const pay = async (more: Partial<ScoreRequest> = {}, on = desk): Promise<ScoreResponse> =>
  (await on.ask<ScoreResponse>('POST', '/v1/score', { transaction_id: `p${++payments}`, user_id: `u${payments}`, amount: 10, ...more })).body;

/** Runs a backtest to its end. */
async function backtest(request: object, on = desk): Promise<BacktestJob> {
  const { status, body } = await ask<BacktestJob>('POST', '/v1/backtests', request, ANNA, on);
  expect(status).toBe(202);
  await expect
    .poll(async () => (await ask<BacktestJob>('GET', `/v1/backtests/${body.id}`, undefined, ANNA, on)).body.state, { timeout: 30_000 })
    .not.toBe('running');
  return (await ask<BacktestJob>('GET', `/v1/backtests/${body.id}`, undefined, ANNA, on)).body;
}
/** Writes a rule and takes it live, on the way that everyone takes. */
async function live(id: string, when: string, more: object = {}, on = desk): Promise<void> {
  const { body } = await create(id, when, more, on);
  expect((await backtest({ rules: [{ id, version: body.version }] }, on)).problem).toBeUndefined();
  expect((await move(id, body.version, 'live', ANNA, on)).body.state).toBe('live');
}
const admin = async () => (await desk.facts('admin')).map(({ actor, action, detail }) => ({ actor, action, detail }));

describe('a rule', () => {
  test('goes from draft over backtest and shadow to live and retired, each step journalled, and acts only when live', async () => {
    const when = 'tx.merchant_id == "life"';
    const life = { merchant_id: 'life' };
    expect((await create('life', when)).body).toMatchObject({ version: 1, state: 'draft', author: 'anna' });
    expect((await pay(life)).rule_hits).toEqual([]);
    expect((await move('life', 1, 'live')).body).toMatchObject({ code: 'rule_state_conflict', detail: expect.stringContaining('backtest') });

    const job = await backtest({ rules: [{ id: 'life', version: 1 }] });
    expect(job.result?.rules.find(({ id }) => id === 'life')).toMatchObject({ hits: 1, failed: 0 });
    expect((await move('life', 1, 'shadow')).body.state).toBe('shadow');
    const shadowed = await pay(life);
    expect([shadowed.decision, shadowed.rule_hits]).toEqual(['approve', []]);
    const decision = (await desk.facts('decision')).find(({ request }) => request.transaction_id === shadowed.transaction_id);
    expect(decision?.shadow_hits).toEqual([{ rule: 'life', version: 1, action: 'decline' }]);

    expect((await move('life', 1, 'live')).body.state).toBe('live');
    expect((await pay(life)).decision).toBe('decline');
    expect((await move('life', 1, 'retired')).body.state).toBe('retired');
    expect((await pay(life)).decision).toBe('approve');
    expect((await move('life', 1, 'live')).body.code).toBe('rule_state_conflict');
    const steps = (await admin()).filter(({ action, detail }) => action === 'rule.state' && detail['id'] === 'life');
    expect(steps.map(({ actor, detail }) => [actor, detail['from'], detail['to']])).toEqual([
      ['anna', 'backtest', 'shadow'],
      ['anna', 'shadow', 'live'],
      ['anna', 'live', 'retired'],
    ]);
  }, 60_000);

  test('an edit is a new version, and the old one acts until the new one is live', async () => {
    await live('edit', 'tx.merchant_id == "edit"');
    expect((await create('edit', 'tx.merchant_id == "edit"', { action: 'review' })).body).toMatchObject({ version: 2, state: 'draft' });
    expect((await pay({ merchant_id: 'edit' })).rule_hits).toEqual([{ rule: 'edit', version: 1, action: 'decline' }]);
    await backtest({ rules: [{ id: 'edit', version: 2 }] });
    await move('edit', 2, 'live');
    expect((await pay({ merchant_id: 'edit' })).rule_hits).toEqual([{ rule: 'edit', version: 2, action: 'review' }]);
    const { rules } = (await ask<RulesResponse>('GET', '/v1/rules')).body;
    expect(rules.filter(({ id }) => id === 'edit').map(({ version, state }) => [version, state])).toEqual([
      [2, 'live'],
      [1, 'retired'],
    ]);
  }, 60_000);

  test('two edits at once are two versions', async () => {
    const both = await Promise.all([create('twice', 'true'), create('twice', 'false')]);
    expect(both.map(({ body }) => body.version).sort()).toEqual([1, 2]);
  });

  test('that is wrong is refused with line and column, and nothing is written', async () => {
    const end = await desk.journalEnd();
    const { status, body } = await ask<Problem>('POST', '/v1/rules', {
      id: 'wrong',
      description: 'x',
      action: 'review',
      when: 'true &&\n tx.amont > 1.0',
    });
    expect([status, body.code]).toEqual([422, 'rule_invalid']);
    expect(body.errors).toEqual([{ path: '/when:2:5', message: 'No such key: amont; is amount meant?' }]);
    expect(await desk.journalEnd()).toBe(end);
    expect((await move('wrong', 1, 'live')).body.code).toBe('rule_not_found');
  });

  test('an allow rule lets through what an overridable rule stops, and not what a block list stops', async () => {
    await live('stop', 'tx.merchant_id == "allowed"');
    await ask('POST', '/v1/lists/allowed_users/entries', { entries: [{ value: 'honest', reason: 'a regular' }] });
    const answer = await pay({ merchant_id: 'allowed', user_id: 'honest' });
    expect(answer).toMatchObject({ decision: 'approve', reasons: [{ code: 'rule:allow-list' }] });
    expect(answer.rule_hits).toContainEqual({ rule: 'stop', version: 1, action: 'decline', overruled: true });
    expect((await pay({ merchant_id: 'allowed' })).decision).toBe('decline');
    await ask('POST', '/v1/lists/blocked_cards/entries', { entries: [{ value: 'stolen', reason: 'reported' }] });
    expect((await pay({ user_id: 'honest', card_id: 'stolen' })).decision).toBe('decline');
  }, 60_000);
});

test('with two_person nobody takes live what nobody else approved', async () => {
  await expect(TestGateway.start({ ruleApproval: 'two_person' })).rejects.toMatchObject({ code: 'config_invalid' });
  const careful = await TestGateway.start({ ruleApproval: 'two_person', adminTokens: [`anna=${ANNA}`, `bert=${BERT}`] });
  try {
    await create('four-eyes', 'tx.amount > 5.0', {}, careful);
    await backtest({ rules: [{ id: 'four-eyes', version: 1 }] }, careful);
    const approve = (token: string) => ask<RuleVersion & Problem>('POST', '/v1/rules/four-eyes/versions/1/approve', undefined, token, careful);
    expect((await move('four-eyes', 1, 'live', BERT, careful)).body.code).toBe('approval_required');
    expect((await approve(ANNA)).body.code).toBe('approval_required');
    expect((await move('four-eyes', 1, 'live', ANNA, careful)).status).toBe(403);
    expect((await approve(BERT)).body.approved_by).toBe('bert');
    expect((await move('four-eyes', 1, 'live', ANNA, careful)).body.state).toBe('live');
    expect((await pay({}, careful)).decision).toBe('decline');
    expect((await careful.facts('admin')).filter(({ action }) => action === 'rule.approve').map(({ actor }) => actor)).toEqual(['bert']);
    // An approval is of a text: the next version has none.
    await create('four-eyes', 'tx.amount > 1.0', {}, careful);
    await backtest({ rules: [{ id: 'four-eyes', version: 2 }] }, careful);
    expect((await move('four-eyes', 2, 'live', ANNA, careful)).body.code).toBe('approval_required');
  } finally {
    await careful.stop();
  }
}, 60_000);

test('the breaker takes a rule that stops everyone into shadow, with an alert and an audit entry; an analyst puts it back', async () => {
  const shop = await TestGateway.start({ breakerDecisionsMin: 20 });
  const admins = (method: string, path: string, body?: unknown) => control<RuleVersion & RulesResponse>(shop, method, path, body);
  try {
    await admins('POST', '/v1/rules', { id: 'wrong', description: 'all of them', when: 'tx.amount > 1.0', action: 'decline' });
    const { body: job } = await control<BacktestJob>(shop, 'POST', '/v1/backtests', { rules: [{ id: 'wrong', version: 1 }] });
    await expect.poll(async () => (await control<BacktestJob>(shop, 'GET', `/v1/backtests/${job.id}`)).body.state, { timeout: 30_000 }).toBe('done');
    await admins('POST', '/v1/rules/wrong/versions/1/state', { state: 'live' });
    const decisions: string[] = [];
    for (let i = 0; i < 30; i++) decisions.push((await pay({}, shop)).decision);
    expect(decisions).toEqual([...Array<string>(20).fill('decline'), ...Array<string>(10).fill('approve')]);

    await expect.poll(async () => (await shop.gateway.store.alerts(0, 1000)).filter(({ alert }) => alert.kind === 'system').length).toBe(1);
    const alert = (await shop.gateway.store.alerts(0, 1000)).find(({ alert: { kind } }) => kind === 'system')?.alert;
    expect(alert).toMatchObject({ severity: 'critical', title: expect.stringContaining('wrong (version 1)') });
    const trip = (await shop.facts('admin')).find(({ action }) => action === 'rule.trip');
    expect(trip).toMatchObject({ actor: 'circuit-breaker', detail: { id: 'wrong', version: 1, decisions: 20, stopped: 20 } });
    // It is still evaluated and recorded.
    expect((await shop.facts('decision')).at(-1)?.shadow_hits).toEqual([{ rule: 'wrong', version: 1, action: 'decline' }]);
    const wrong = (await admins('GET', '/v1/rules')).body.rules.find(({ id }) => id === 'wrong');
    expect(wrong).toMatchObject({ state: 'live', tripped: { scope: 'rule' } });

    expect((await admins('POST', '/v1/rules/wrong/versions/1/reset')).body.tripped).toBeUndefined();
    expect((await pay({}, shop)).decision).toBe('decline');
    expect((await admins('POST', '/v1/rules/wrong/versions/1/reset')).status).toBe(409);
  } finally {
    await shop.stop();
  }
}, 60_000);

test('a backtest finds what the engine decided: the same hits for every rule and payment', async () => {
  const shop = await TestGateway.start();
  try {
    await ask('POST', '/v1/lists/blocked_ips/entries', { entries: [{ value: '192.0.2.0/24', reason: 'a proxy' }] }, undefined as never, shop).catch(
      () => undefined,
    );
    await control(shop, 'POST', '/v1/lists/blocked_ips/entries', { entries: [{ value: '192.0.2.0/24', reason: 'a proxy' }] });
    const answers: ScoreResponse[] = [];
    for (let i = 0; i < 120; i++) {
      const user = `b${i % 7}`;
      answers.push(
        await pay(
          { user_id: user, card_id: `c${(i * i) % 11}`, device_id: `d${i % 3}`, amount: 5 + ((i * 37) % 400), ip: `192.0.${2 + (i % 5)}.${i}` },
          shop,
        ),
      );
    }
    const isFraud = (i: number): boolean => i % 6 === 0;
    const labels = answers.map(({ transaction_id }, i) => ({ event_id: `l${i}`, name: 'label', transaction_id, is_fraud: isFraud(i) }));
    expect((await shop.ask('POST', '/v1/events', { events: labels })).status).toBe(200);

    const { body } = await control<BacktestJob>(shop, 'POST', '/v1/backtests', {});
    await expect.poll(async () => (await control<BacktestJob>(shop, 'GET', `/v1/backtests/${body.id}`)).body.state, { timeout: 30_000 }).toBe('done');
    const { result } = (await control<BacktestJob>(shop, 'GET', `/v1/backtests/${body.id}`)).body;
    expect(result).toMatchObject({ transactions: 120, journalled: 120, replayed: 0, left_out: 0, fraud: 20, without_model: 120 });
    const hitsOf = (id: string) => answers.filter(({ rule_hits }) => rule_hits.some(({ rule }) => rule === id));
    for (const rule of result!.rules) {
      const hit = hitsOf(rule.id);
      const frauds = hit.filter((answer) => isFraud(answers.indexOf(answer))).length;
      expect([rule.id, rule.hits, rule.fraud_hits]).toEqual([rule.id, hit.length, frauds]);
    }
    expect(result!.rules.filter(({ hits }) => hits > 0).map(({ id }) => id)).toEqual(
      expect.arrayContaining(['block-lists', 'many-cards-short-time', 'many-payments-short-time']),
    );
  } finally {
    await shop.stop();
  }
}, 60_000);

test('a decision is made again from its vector, with the rules and the answers of lists of its day', async () => {
  await ask('POST', '/v1/lists/watched_users/entries', { entries: [{ value: 'odd', reason: 'a hunch' }] });
  await live('day', 'tx.merchant_id == "day"');
  const { transaction_id } = await pay({ user_id: 'odd', merchant_id: 'day' });
  const [fact] = (await desk.facts('decision')).filter(({ request }) => request.transaction_id === transaction_id);
  // Then everything changes.
  await move('day', 1, 'retired');
  await ask('POST', '/v1/lists/watched_users/remove', { values: ['odd'], reason: 'a wrong hunch' });
  expect((await pay({ user_id: 'odd', merchant_id: 'day' })).rule_hits).toEqual([]);

  const engine = createFeatureEngine(DEFAULT_DECLARATIONS);
  const then = await rulesOf(desk.gateway.store as never, fact!.ruleset!);
  const rules = new RuleBook(then!.rules, engine.names(FRAUD_SET), recordedLists(then!.lists, fact!.list_hits ?? []), fact!.ruleset);
  const again = await judge(engine, {
    request: fact!.request,
    vector: Float32Array.from(fact!.vector!),
    model: undefined,
    rules,
    nowMs: fact!.at_ms,
  });
  expect(again.response.rule_hits.map(({ rule }) => rule)).toEqual(['day', 'watch-list']);
  expect({ ...again.decision, vector: Array.from(again.decision.vector!) }).toEqual(fact);
}, 60_000);

test('the next start finds rules and lists as they were', async () => {
  let dataDir = '';
  const first = await TestGateway.start({}, async (dir) => {
    dataDir = dir;
  });
  let again: Gateway | undefined;
  try {
    await control(first, 'POST', '/v1/lists/blocked_users/entries', { entries: [{ value: 'mallory', reason: 'seen' }] });
    await control(first, 'POST', '/v1/rules', { id: 'kept', description: 'kept', when: 'true', action: 'review' });
    const before = (await control<RulesResponse>(first, 'GET', '/v1/rules')).body;
    const lists = (await control<ListsResponse>(first, 'GET', '/v1/lists')).body;
    await first.gateway.drain();
    again = await startGateway(readConfig({}, { dataDir, port: 0, controlPort: 0, logLevel: 'silent', adminToken: ADMIN_TOKEN }));
    expect((await control<RulesResponse>({ gateway: again }, 'GET', '/v1/rules')).body).toEqual(before);
    expect((await control<ListsResponse>({ gateway: again }, 'GET', '/v1/lists')).body).toEqual(lists);
    expect(lists.lists.find(({ name }) => name === 'blocked_users')).toMatchObject({ entries: 1, used_by: ['block-lists@1'] });
  } finally {
    await again?.drain();
    await first.stop();
  }
}, 60_000);
