import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { ErasureJob, ErasuresResponse } from '../../contracts/privacy.ts';
import type { BacktestJob, BacktestResult } from '../../contracts/rules.ts';
import type { ScoreRequest, ScoreResponse } from '../../contracts/score.ts';
import { run, runOk, type ServedGateway, serve } from './command-line.ts';

// Guarantee 9 for rules and lists: a decision is made again with those of its day, whatever has become of them; and the backtest of the command line.

let data: string;
let gateway: ServedGateway;
beforeAll(async () => {
  data = await mkdtemp(join(tmpdir(), 'gatehouse-replay-'));
  gateway = await serve(data);
}, 60_000);
afterAll(async () => {
  await gateway?.stop();
  await rm(data, { recursive: true, force: true });
});

const control = <T>(method: string, path: string, body?: unknown): Promise<T> => gateway.control(method, path, body);
async function live(id: string, version: number, when: string): Promise<void> {
  await control('POST', '/v1/rules', { id, description: `${id} ${version}`, when, action: 'challenge' });
  const { id: job } = await control<BacktestJob>('POST', '/v1/backtests', { rules: [{ id, version }] });
  await expect.poll(async () => (await control<BacktestJob>('GET', `/v1/backtests/${job}`)).state, { timeout: 30_000 }).toBe('done');
  await control('POST', `/v1/rules/${id}/versions/${version}/state`, { state: 'live' });
}
const pay = (transaction_id: string, more: Partial<ScoreRequest> = {}): Promise<ScoreResponse> =>
  gateway.post('/v1/score', { transaction_id, user_id: 'anna', amount: 60, card_id: 'c-anna', ...more });

test('replay is bit for bit after rules, versions and lists have changed, and shows what today would say', async () => {
  await live('dear', 1, 'tx.amount >= 50.0');
  await control('POST', '/v1/lists/watched_users/entries', { entries: [{ value: 'bert', reason: 'a hunch' }] });
  const decisions = [await pay('before'), await pay('listed', { user_id: 'bert', card_id: 'c-bert' }), await pay('cheap', { amount: 5 })];
  expect(decisions.map(({ decision }) => decision)).toEqual(['challenge', 'challenge', 'approve']);
  await live('dear', 2, 'tx.amount >= 500.0');
  await control('POST', '/v1/lists/watched_users/remove', { values: ['bert'], reason: 'wrong' });
  await control('POST', '/v1/rules/watch-list/versions/1/state', { state: 'retired' });
  expect((await pay('after')).decision).toBe('approve');

  // Beside the running gateway, on the same journal: what version 1 decided is what version 1 hits now.
  const backtest = async (...more: string[]) =>
    JSON.parse((await runOk(['backtest', '--json', '--data-dir', data, ...more])).stdout) as BacktestResult;
  const result = await backtest('--rule', 'dear@1', '--rule', 'dear@2');
  expect(result).toMatchObject({ transactions: 4, journalled: 4 });
  expect(result.rules.map(({ id, version, hits }) => [id, version, hits])).toEqual([
    ['dear', 1, 3],
    ['dear', 2, 0],
  ]);
  const file = join(data, 'candidates.json');
  await writeFile(
    file,
    JSON.stringify([{ id: 'idea', version: 1, description: 'an idea', when: 'tx.user_id == "anna"', action: 'review', state: 'draft' }]),
  );
  expect((await backtest('--rules-file', file)).rules).toMatchObject([{ id: 'idea', hits: 3 }]);
  const table = (await runOk(['backtest', '--data-dir', data])).stdout;
  expect(table).toContain('4 payments in');
  expect(table).toMatch(/^dear@2 +challenge +0 /m);
  expect((await run(['backtest', '--rule', 'nothing', '--data-dir', data])).stderr).toContain('(rule_not_found)');

  await pay('forgotten', { user_id: 'carl' });
  const { erasure_id } = await control<ErasureJob>('DELETE', '/v1/users/carl');
  const stateOf = async () => (await control<ErasuresResponse>('GET', '/v1/erasures')).erasures.find((job) => job.erasure_id === erasure_id)?.state;
  await expect.poll(stateOf, { timeout: 30_000 }).toBe('done');

  await gateway.stop();
  expect((await run(['replay', 'forgotten', '--data-dir', data])).stderr).toContain('(erased)');
  for (const [transaction, hits, today] of [
    ['before', ['dear'], 'approve'],
    ['listed', ['dear', 'watch-list'], 'approve'],
    ['cheap', [], 'approve'],
    ['after', [], 'approve'],
  ] as const) {
    const report = JSON.parse((await runOk(['replay', transaction, '--data-dir', data])).stdout);
    expect([transaction, report.identical, report.again]).toEqual([transaction, true, report.then]);
    expect(report.again.rule_hits.map(({ rule }: { rule: string }) => rule)).toEqual(hits);
    expect(report.today.decision).toBe(today);
  }
}, 120_000);
