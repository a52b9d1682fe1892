import { expect, test } from 'vitest';
import type { ErasuresResponse } from '../../contracts/privacy.ts';
import type { RestrictionsResponse } from '../../contracts/restriction.ts';
import type { ReviewsResponse } from '../../contracts/review.ts';
import type { ScoreResponse } from '../../contracts/score.ts';
import { describeWith } from '../../test/describe-with.ts';
import { REDIS } from '../../test/services.ts';
import { ADMIN_TOKEN, problemOf, type TestGateway } from '../data/data.suite.ts';
import { control } from '../rules/rules.testing.ts';
import { TwoGateways } from '../two-gateways.suite.ts';

const PERSON = 'mallory-77';

describeWith(REDIS, 'two gateways on one Redis', () => {
  const shared = new TwoGateways();

  test('one erases a person, the other forgets too, and no file of Redis holds them', async () => {
    const payment = (n: number, user: string) => ({
      transaction_id: `pay-${n}-of-${user.length}`,
      user_id: user,
      amount: 20,
      device_id: `device-of-${user.length}`,
      card_id: `card-${n}-of-${user.length}`,
    });
    for (const user of [PERSON, 'bob']) for (let n = 0; n < 4; n++) await shared.one.ask<ScoreResponse>('POST', '/v1/score', payment(n, user));
    await shared.one.ask('POST', '/v1/events', {
      events: [{ event_id: 'view', name: 'page_view', user_id: PERSON, session_id: 's-of-hers' }],
    });
    await control(shared.one, 'POST', '/v1/restrictions', { action: 'suspend', entity: { kind: 'user', id: PERSON }, reason: 'by hand', hours: 1 });
    const held = async (gateway: TestGateway) => {
      const { cases } = (await control<ReviewsResponse>(gateway, 'GET', '/v1/reviews')).body;
      const { restrictions } = (await control<RestrictionsResponse>(gateway, 'GET', '/v1/restrictions')).body;
      return [cases.map(({ user_id }) => user_id).sort(), restrictions.map(({ entity }) => entity.id).sort()];
    };
    const cards = [`card-3-of-${PERSON.length}`, 'card-3-of-3'];
    for (const gateway of [shared.one, shared.two]) {
      await expect
        .poll(() => held(gateway), { timeout: 10_000 })
        .toEqual(
          [
            ['bob', PERSON],
            [...cards, PERSON],
          ].map((all) => all.sort()),
        );
    }

    expect((await control(shared.two, 'DELETE', `/v1/users/${PERSON}`)).status).toBe(202);
    for (const gateway of [shared.one, shared.two]) {
      const state = async () => (await control<ErasuresResponse>(gateway, 'GET', '/v1/erasures')).body.erasures.map((job) => job.state);
      await expect.poll(state, { timeout: 20_000 }).toEqual(['done']);
      await expect.poll(() => held(gateway), { timeout: 10_000 }).toEqual([['bob'], cards]);
      const lines = async (user: string) => (await (await fetchExport(gateway, user)).text()).trimEnd().split('\n').length;
      expect([await lines(PERSON), (await lines('bob')) > 2]).toEqual([2, true]);
    }
    expect(problemOf(await shared.one.ask('POST', '/v1/score', payment(0, PERSON)))).toEqual({ status: 410, code: 'erased' });
    const files = shared.server.fileBytes().toString('latin1');
    for (const trace of [PERSON, 's-of-hers']) expect([trace, files.includes(trace)]).toEqual([trace, false]);
    expect(files).toContain('bob');
  }, 60_000);
});

function fetchExport({ gateway }: TestGateway, user: string): Promise<Response> {
  return fetch(`http://127.0.0.1:${gateway.controlPort}/v1/users/${user}`, { headers: { authorization: `Bearer ${ADMIN_TOKEN}` } });
}
