import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { BacktestJob, BacktestResult } from '../../contracts/rules.ts';
import type { ScoreResponse } from '../../contracts/score.ts';
import { DEFAULT_DECLARATIONS } from '../../scoring/features/defaults.ts';
import { createFeatureEngine } from '../../scoring/features/engine.ts';
import { testParts } from '../../training/bundle/parts.testing.ts';
import { writeBundle } from '../../training/bundle/write.ts';
import { runOk, type ServedGateway, serve } from './command-line.ts';

// Guarantee 9 for the anomaly score: what it said is in the answer, and a replay and a backtest judge on that, whatever serves later.

const engine = createFeatureEngine(DEFAULT_DECLARATIONS);
let data: string;
let gateway: ServedGateway;
beforeAll(async () => {
  data = await mkdtemp(join(tmpdir(), 'gatehouse-anomaly-'));
  const parts = await testParts(engine, 'v1');
  await writeBundle(join(data, 'bundles'), parts);
  // Everything is stranger to it than all that it knows.
  await writeBundle(join(data, 'bundles'), { ...parts, version: 'v2', anomaly: { ...parts.anomaly, scale: { scores: [0], shares: [0] } } });
  const { anomaly: _, ...without } = parts;
  await writeBundle(join(data, 'bundles'), { ...without, version: 'v3' });
  gateway = await serve(data);
}, 60_000);
afterAll(async () => {
  await gateway?.stop();
  await rm(data, { recursive: true, force: true });
});

const control = <T>(method: string, path: string, body?: unknown): Promise<T> => gateway.control(method, path, body);
const pay = (transaction_id: string): Promise<ScoreResponse> =>
  gateway.post('/v1/score', { transaction_id, user_id: `u-${transaction_id}`, amount: 60, card_id: `c-${transaction_id}` });

test('is answered, recorded, and taken from the record by replay and backtest', async () => {
  await control('POST', '/v1/rules', { id: 'strange', description: 'strange', when: 'anomaly >= 1.0', action: 'review' });
  const { id: job } = await control<BacktestJob>('POST', '/v1/backtests', { rules: [{ id: 'strange', version: 1 }] });
  await expect.poll(async () => (await control<BacktestJob>('GET', `/v1/backtests/${job}`)).state, { timeout: 30_000 }).toBe('done');
  await control('POST', '/v1/rules/strange/versions/1/state', { state: 'live' });

  const before = await pay('before');
  expect(before).toMatchObject({ anomaly: null, bundle: null, degraded_by: ['model_missing'] });
  const answers = new Map<string, ScoreResponse>([['before', before]]);
  for (const version of ['v1', 'v2', 'v3']) {
    await control('POST', `/v1/bundles/${version}/activate`);
    answers.set(version, await pay(version));
  }
  expect(answers.get('v1')!.anomaly).toBeGreaterThanOrEqual(0);
  expect(answers.get('v1')!.anomaly).toBeLessThan(1);
  expect(answers.get('v2')!.anomaly).toBe(1);
  expect(answers.get('v3')).toMatchObject({ anomaly: null, bundle: 'v3', degraded: false });
  const hits = [...answers].map(([id, { rule_hits }]) => [id, rule_hits.some(({ rule }) => rule === 'strange')]);
  expect(Object.fromEntries(hits)).toEqual({ before: false, v1: false, v2: true, v3: false });

  const backtest = JSON.parse((await runOk(['backtest', '--json', '--rule', 'strange@1', '--data-dir', data])).stdout) as BacktestResult;
  expect(backtest).toMatchObject({ transactions: 4, journalled: 4, rules: [{ id: 'strange', hits: 1 }] });
  await control('POST', '/v1/bundles/v2/activate');
  await gateway.stop();
  for (const [transaction, answer] of answers) {
    const report = JSON.parse((await runOk(['replay', transaction, '--data-dir', data])).stdout);
    expect([transaction, report.identical, report.again.anomaly]).toEqual([transaction, true, answer.anomaly]);
    expect(report.today.anomaly).toBe(1);
  }
}, 120_000);
