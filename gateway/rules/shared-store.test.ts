import { afterAll, beforeAll, expect, test } from 'vitest';
import type { ListChangeResponse, ListEntriesResponse } from '../../contracts/lists.ts';
import type { BacktestJob, RulesResponse, RuleVersion } from '../../contracts/rules.ts';
import type { ScoreResponse } from '../../contracts/score.ts';
import { RedisServer } from '../../store/redis-server.testing.ts';
import { describeWith } from '../../test/describe-with.ts';
import { REDIS } from '../../test/services.ts';
import { TestGateway } from '../data/data.suite.ts';
import { control } from './rules.testing.ts';

describeWith(REDIS, 'two gateways on one Redis', () => {
  const server = new RedisServer();
  let [one, two]: (TestGateway | undefined)[] = [];
  beforeAll(async () => {
    await server.start();
    one = await TestGateway.start({ store: 'redis', redisUrl: server.url });
    two = await TestGateway.start({ store: 'redis', redisUrl: server.url });
  }, 60_000);
  afterAll(async () => {
    await two?.stop();
    await one?.stop();
    await server.destroy();
  });

  let payments = 0;
  const decisionAt = async (gateway: TestGateway, more: object): Promise<string> =>
    (await gateway.ask<ScoreResponse>('POST', '/v1/score', { transaction_id: `s${++payments}`, user_id: `u${payments}`, amount: 10, ...more })).body
      .decision;

  test('what one changes acts in the other, and a backtest reads the shared journal', async () => {
    await control(one!, 'POST', '/v1/lists/blocked_cards/entries', { entries: [{ value: 'stolen', reason: 'reported' }] });
    await expect.poll(() => decisionAt(two!, { card_id: 'stolen' }), { timeout: 10_000 }).toBe('decline');
    expect((await control<ListEntriesResponse>(two!, 'GET', '/v1/lists/blocked_cards/entries')).body.entries).toMatchObject([
      { value: 'stolen', author: 'admin' },
    ]);

    await control(one!, 'POST', '/v1/rules', { id: 'shared', description: 'shared', when: 'tx.merchant_id == "m"', action: 'review' });
    await expect
      .poll(async () => (await control<RulesResponse>(two!, 'GET', '/v1/rules')).body.rules.some(({ id }) => id === 'shared'), { timeout: 10_000 })
      .toBe(true);
    await decisionAt(one!, { merchant_id: 'm' });
    const { body } = await control<BacktestJob>(two!, 'POST', '/v1/backtests', { rules: [{ id: 'shared', version: 1 }] });
    const job = async () => (await control<BacktestJob>(two!, 'GET', `/v1/backtests/${body.id}`)).body;
    await expect.poll(async () => (await job()).state, { timeout: 30_000 }).toBe('done');
    expect((await job()).result).toMatchObject({ journalled: payments, left_out: 0 });
    expect((await job()).result?.rules.find(({ id }) => id === 'shared')?.hits).toBe(1);
    expect((await control<RuleVersion>(two!, 'POST', '/v1/rules/shared/versions/1/state', { state: 'live' })).body.state).toBe('live');
    await expect.poll(() => decisionAt(one!, { merchant_id: 'm' }), { timeout: 10_000 }).toBe('review');
  }, 60_000);

  test('both add to one list at once, and neither entry is lost', async () => {
    const add = (gateway: TestGateway, n: number) =>
      control<ListChangeResponse>(gateway, 'POST', '/v1/lists/blocked_devices/entries', { entries: [{ value: `d${n}`, reason: 'r' }] });
    const answers = await Promise.all(Array.from({ length: 8 }, (_, n) => add(n % 2 === 0 ? one! : two!, n)));
    expect(answers.map(({ status, body }) => [status, body.added])).toEqual(answers.map(() => [200, 1]));
    for (const gateway of [one!, two!]) {
      const total = async () => (await control<ListEntriesResponse>(gateway, 'GET', '/v1/lists/blocked_devices/entries')).body.total;
      await expect.poll(total, { timeout: 10_000 }).toBe(answers.length);
    }
  }, 30_000);
});
