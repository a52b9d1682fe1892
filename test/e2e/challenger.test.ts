import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { RiskThresholds } from '../../contracts/bundle.ts';
import type { ScoreResponse } from '../../contracts/score.ts';
import { DEFAULT_DECLARATIONS } from '../../scoring/features/defaults.ts';
import { createFeatureEngine } from '../../scoring/features/engine.ts';
import { testParts } from '../../training/bundle/parts.testing.ts';
import { writeBundle } from '../../training/bundle/write.ts';
import { KEYS, runOk, type ServedGateway, serve } from './command-line.ts';

// A challenger beside the bundle that serves: as a shadow, for a share of the users, and to its end.

const LENIENT: RiskThresholds = { review: 1.01, challenge: 1.01, decline: 1.01 };
const STRICT: RiskThresholds = { review: 0, challenge: 0, decline: 0 };
const USERS = Array.from({ length: 40 }, (_, i) => `user-${i}`);

let data: string;
let gateway: ServedGateway;
beforeAll(async () => {
  data = await mkdtemp(join(tmpdir(), 'gatehouse-challenger-'));
  const engine = createFeatureEngine(DEFAULT_DECLARATIONS);
  for (const [version, thresholds] of [
    ['v1', LENIENT],
    ['v2', STRICT],
  ] as const) {
    const { created_ms, trained, metrics, fraud, anomaly } = await testParts(engine, version);
    // To one of them every payment is strange, to the other none is.
    const scale = version === 'v2' ? { scores: [-1], shares: [1] } : { scores: [1e9], shares: [0] };
    await writeBundle(join(data, 'bundles'), {
      ...{ version, created_ms, trained, metrics },
      fraud: { ...fraud, thresholds },
      anomaly: { ...anomaly, scale },
    });
  }
  await runOk(['bundle', 'activate', 'v1', '--data-dir', data]);
  // A busy machine's first answers are late: this is not about deadlines.
  gateway = await serve(data, { GATEHOUSE_SCORE_DEADLINE_MS: '10000' });
}, 60_000);
afterAll(async () => {
  await gateway?.stop();
  await rm(data, { recursive: true, force: true });
});

const operate = async (method: string, path: string, body?: unknown): Promise<{ status: number; body: unknown }> => {
  const response = await fetch(`${gateway.controlUrl}${path}`, {
    method,
    headers: { authorization: `Bearer ${KEYS.admin}`, 'content-type': 'application/json' },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
  return { status: response.status, body: await response.json() };
};
/** Decisions of one name of which the other model would have made another. */
const differed = async (decision: string, other: string): Promise<number> => {
  const text = await (await fetch(`${gateway.controlUrl}/metrics`)).text();
  return Number(new RegExp(`gatehouse_other_model_total\\{decision="${decision}",other="${other}"\\} (\\d+)`).exec(text)?.[1] ?? 0);
};
let round = 0;
const payAll = async (): Promise<ScoreResponse[]> => {
  round++;
  const ask = (user: string) =>
    gateway.post<ScoreResponse>('/v1/score', {
      transaction_id: `${user}.${round}`,
      user_id: user,
      session_id: `s-${user}-${round}`,
      amount: 20,
    });
  return Promise.all(USERS.map(ask));
};
/** Users whose payment a bundle decided. */
const decidedBy = (answers: readonly ScoreResponse[], bundle: string): string[] =>
  answers.flatMap((answer, i) => (answer.bundle === bundle ? [USERS[i]!] : []));

test('a shadow is recorded and decides nothing; a share decides for the same users each time; the end is the end', async () => {
  expect((await operate('PUT', '/v1/challenger', { version: 'v2', percent: 0 })).body).toEqual({ version: 'v2', percent: 0 });
  const shadowed = await payAll();
  // What is strange is for the bundle that decides to say: a shadow's word stays with it.
  expect(shadowed.map(({ bundle, decision, anomaly }) => [bundle, decision, anomaly])).toEqual(USERS.map(() => ['v1', 'approve', 0]));
  expect(await differed('approve', 'decline')).toBe(USERS.length);

  await operate('PUT', '/v1/challenger', { version: 'v2', percent: 40 });
  const [first, second] = [await payAll(), await payAll()];
  const tried = decidedBy(first, 'v2');
  expect(tried.length).toBeGreaterThan(4);
  expect(tried.length).toBeLessThan(30);
  expect(decidedBy(second, 'v2')).toEqual(tried);
  for (const { bundle, decision, anomaly } of first) expect([decision, anomaly]).toEqual(bundle === 'v2' ? ['decline', 1] : ['approve', 0]);
  // Where the challenger decides, the bundle that serves is the shadow.
  expect(await differed('decline', 'approve')).toBe(2 * tried.length);

  expect((await operate('GET', '/v1/bundles')).body).toMatchObject({ current: 'v1', challenger: { version: 'v2', percent: 40 } });
  expect((await operate('DELETE', '/v1/challenger')).status).toBe(200);
  expect(decidedBy(await payAll(), 'v1')).toEqual(USERS);
  expect((await operate('DELETE', '/v1/challenger')).status).toBe(404);
});

test.each([
  [{ version: 'v1', percent: 10 }, 422, 'bundle_incompatible'],
  [{ version: 'v9', percent: 10 }, 404, 'bundle_not_found'],
  [{ version: 'v2', percent: 101 }, 422, 'invalid_request'],
])('%j is refused', async (request, status, code) => {
  const answer = await operate('PUT', '/v1/challenger', request);
  expect(answer.status).toBe(status);
  expect(answer.body).toMatchObject({ code });
});
