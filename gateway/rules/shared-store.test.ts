import { expect, test } from 'vitest';
import type { ListChangeResponse, ListEntriesResponse } from '../../contracts/lists.ts';
import type { BacktestJob, RulesResponse, RuleVersion } from '../../contracts/rules.ts';
import type { ScoreResponse } from '../../contracts/score.ts';
import { describeWith } from '../../test/describe-with.ts';
import { REDIS } from '../../test/services.ts';
import type { TestGateway } from '../data/data.suite.ts';
import { TwoGateways } from '../two-gateways.suite.ts';
import { control } from './rules.testing.ts';

describeWith(REDIS, 'two gateways on one Redis', () => {
  const shared = new TwoGateways();

  let payments = 0;
  const decisionAt = async (gateway: TestGateway, more: object): Promise<string> =>
    (await gateway.ask<ScoreResponse>('POST', '/v1/score', { transaction_id: `s${++payments}`, user_id: `u${payments}`, amount: 10, ...more })).body
      .decision;

  test('what one changes acts in the other, and a backtest reads the shared journal', async () => {
    await control(shared.one, 'POST', '/v1/lists/blocked_cards/entries', { entries: [{ value: 'stolen', reason: 'reported' }] });
    await expect.poll(() => decisionAt(shared.two, { card_id: 'stolen' }), { timeout: 10_000 }).toBe('decline');
    expect((await control<ListEntriesResponse>(shared.two, 'GET', '/v1/lists/blocked_cards/entries')).body.entries).toMatchObject([
      { value: 'stolen', author: 'admin' },
    ]);

    await control(shared.one, 'POST', '/v1/rules', { id: 'shared', description: 'shared', when: 'tx.merchant_id == "m"', action: 'review' });
    await expect
      .poll(async () => (await control<RulesResponse>(shared.two, 'GET', '/v1/rules')).body.rules.some(({ id }) => id === 'shared'), {
        timeout: 10_000,
      })
      .toBe(true);
    await decisionAt(shared.one, { merchant_id: 'm' });
    const { body } = await control<BacktestJob>(shared.two, 'POST', '/v1/backtests', { rules: [{ id: 'shared', version: 1 }] });
    const job = async () => (await control<BacktestJob>(shared.two, 'GET', `/v1/backtests/${body.id}`)).body;
    await expect.poll(async () => (await job()).state, { timeout: 30_000 }).toBe('done');
    expect((await job()).result).toMatchObject({ journalled: payments, left_out: 0 });
    expect((await job()).result?.rules.find(({ id }) => id === 'shared')?.hits).toBe(1);
    expect((await control<RuleVersion>(shared.two, 'POST', '/v1/rules/shared/versions/1/state', { state: 'live' })).body.state).toBe('live');
    await expect.poll(() => decisionAt(shared.one, { merchant_id: 'm' }), { timeout: 10_000 }).toBe('review');
  }, 60_000);

  test('both add to one list at once, and neither entry is lost', async () => {
    const add = (gateway: TestGateway, n: number) =>
      control<ListChangeResponse>(gateway, 'POST', '/v1/lists/blocked_devices/entries', { entries: [{ value: `d${n}`, reason: 'r' }] });
    const answers = await Promise.all(Array.from({ length: 8 }, (_, n) => add(n % 2 === 0 ? shared.one : shared.two, n)));
    expect(answers.map(({ status, body }) => [status, body.added])).toEqual(answers.map(() => [200, 1]));
    for (const gateway of [shared.one, shared.two]) {
      const total = async () => (await control<ListEntriesResponse>(gateway, 'GET', '/v1/lists/blocked_devices/entries')).body.total;
      await expect.poll(total, { timeout: 10_000 }).toBe(answers.length);
    }
  }, 30_000);
});
