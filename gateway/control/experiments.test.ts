import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import type { Experiment, ExperimentResult, ExperimentsResponse } from '../../contracts/experiment.ts';
import type { Fact } from '../../contracts/fact.ts';
import type { RecommendResponse } from '../../contracts/recommend.ts';
import { readConfig } from '../config.ts';
import { ADMIN_TOKEN, SECRET_KEY } from '../data/data.suite.ts';
import { type Gateway, startGateway } from '../main.ts';

const HOUR_MS = 3_600_000;
const ITEMS = Array.from({ length: 30 }, (_, i) => ({ item_id: `i${i}`, category: `c${i % 3}`, created_ms: 1_600_000_000_000 }));
const TWO = [
  { name: 'control', weight: 1, overrides: {} },
  { name: 'short', weight: 1, overrides: { limit: 3, exploration: { policy: 'none' } } },
];

/** A gateway on a clock of the test's, that can be stopped and started anew over the same data. */
class Shop {
  nowMs = 1_750_000_000_000;
  gateway!: Gateway;
  readonly #dataDir: string;

  private constructor(dataDir: string) {
    this.#dataDir = dataDir;
  }

  static async open(): Promise<Shop> {
    const shop = new Shop(await mkdtemp(join(tmpdir(), 'gatehouse-experiments-')));
    await shop.start();
    return shop;
  }

  async start(): Promise<void> {
    const patient = { eventLoopDelayMaxMs: 60_000, recommendDeadlineMs: 10_000, logLevel: 'silent' } as const;
    const keys = { secretKeys: [SECRET_KEY], adminToken: ADMIN_TOKEN };
    this.gateway = await startGateway(readConfig({}, { dataDir: this.#dataDir, port: 0, controlPort: 0, ...keys, ...patient }), () => this.nowMs);
  }

  async close(): Promise<void> {
    await this.gateway.drain();
    await rm(this.#dataDir, { recursive: true, force: true });
  }

  async data<T>(method: string, path: string, body: unknown): Promise<T> {
    return (await this.#ask<T>(this.gateway.dataPort, SECRET_KEY, method, path, body)).body;
  }

  control<T>(method: string, path: string, body?: unknown): Promise<{ status: number; body: T }> {
    return this.#ask<T>(this.gateway.controlPort, ADMIN_TOKEN, method, path, body);
  }

  async #ask<T>(port: number, key: string, method: string, path: string, body: unknown): Promise<{ status: number; body: T }> {
    const response = await fetch(`http://127.0.0.1:${port}${path}`, {
      method,
      headers: { authorization: `Bearer ${key}`, 'content-type': 'application/json' },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    return { status: response.status, body: (await response.json()) as T };
  }

  /** Visitors who ask for the home page once, and buy or not; then their windows pass. */
  async visit(from: number, count: number, pays: (variant: string, n: number) => number): Promise<RecommendResponse[]> {
    const answers: RecommendResponse[] = [];
    const events: unknown[] = [];
    for (let n = from; n < from + count; n++) {
      const answer = await this.data<RecommendResponse>('POST', '/v1/recommend', { user_id: `u${n}`, placement: 'home' });
      answers.push(answer);
      const value = pays(answer.experiment?.variant ?? '', n);
      const items = [{ item_id: answer.items[0]!.item_id }];
      if (value > 0) events.push({ event_id: `buy${n}`, name: 'purchase', user_id: `u${n}`, value, items, timestamp_ms: this.nowMs });
    }
    if (events.length > 0) await this.data('POST', '/v1/events', { events });
    this.nowMs += 2 * HOUR_MS;
    await this.data('POST', '/v1/events', { events: [{ event_id: `later${from}`, name: 'page_view', user_id: 'nobody' }] });
    return answers;
  }
}

test('from declaration to result, over a restart, and then it is as it was', async () => {
  const shop = await Shop.open();
  try {
    await shop.data('PUT', '/v1/items', { items: ITEMS });
    const declared = await shop.control<Experiment>('POST', '/v1/experiments', {
      experiment_id: 'short-home',
      placement: 'home',
      variants: TWO,
      window_hours: 1,
    });
    expect(declared).toMatchObject({ status: 201, body: { state: 'draft', alpha: 0.05, guardrails: { revenue_drop: 0.05 } } });
    const before = await shop.data<RecommendResponse>('POST', '/v1/recommend', { user_id: 'u1', placement: 'home' });
    expect(before.experiment).toBeUndefined();
    expect((await shop.control('POST', '/v1/experiments/short-home/start')).status).toBe(200);

    const first = await shop.visit(0, 60, () => 0);
    for (const { experiment, items } of first) expect(items).toHaveLength(experiment?.variant === 'short' ? 3 : 12);
    expect(new Set(first.map(({ experiment }) => experiment?.variant))).toEqual(new Set(['control', 'short']));
    const elsewhere = await shop.data<RecommendResponse>('POST', '/v1/recommend', { user_id: 'u1', placement: 'cart' });
    expect(elsewhere.experiment).toBeUndefined();
    const nobody = await shop.data<RecommendResponse>('POST', '/v1/recommend', { placement: 'home' });
    expect(nobody.experiment).toBeUndefined();

    const { body: result } = await shop.control<ExperimentResult>('GET', '/v1/experiments/short-home/result');
    expect(result.complete).toBe(true);
    expect(result.variants.reduce((sum, { visitors }) => sum + visitors, 0)).toBe(60);
    expect(result.variants.map(({ counted }) => counted)).toEqual(result.variants.map(({ visitors }) => visitors));

    await shop.gateway.drain();
    await shop.start();
    expect((await shop.control<ExperimentResult>('GET', '/v1/experiments/short-home/result')).body).toEqual(result);
    const again = await shop.visit(0, 60, () => 0);
    expect(again.map(({ experiment }) => experiment)).toEqual(first.map(({ experiment }) => experiment));
    // Whoever was counted is not counted anew.
    expect((await shop.control<ExperimentResult>('GET', '/v1/experiments/short-home/result')).body.variants).toEqual(result.variants);

    const stopped = await shop.control<ExperimentResult>('POST', '/v1/experiments/short-home/stop', { reason: 'seen enough' });
    expect(stopped.body.experiment).toMatchObject({ state: 'stopped', stop_reason: 'seen enough' });
    const after = await shop.data<RecommendResponse>('POST', '/v1/recommend', { user_id: 'u1', placement: 'home' });
    expect(after.experiment).toBeUndefined();
    await shop.gateway.drain();
    await shop.start();
    expect((await shop.control('GET', '/v1/experiments/short-home/result')).body).toEqual(stopped.body);
    expect((await shop.control<ExperimentsResponse>('GET', '/v1/experiments')).body.experiments).toEqual([stopped.body.experiment]);
  } finally {
    await shop.close();
  }
});

test('a variant that costs revenue is stopped by its guardrail, and somebody is told', async () => {
  const shop = await Shop.open();
  try {
    await shop.data('PUT', '/v1/items', { items: ITEMS });
    const request = { experiment_id: 'bad', placement: 'home', variants: TWO, window_hours: 1, visitors_planned: 500 };
    await shop.control('POST', '/v1/experiments', request);
    await shop.control('POST', '/v1/experiments/bad/start');
    await shop.visit(0, 500, (variant, n) => (variant === 'control' && n % 2 === 0 ? 40 : 0));
    const stopped = async (): Promise<Experiment> => (await shop.control<ExperimentsResponse>('GET', '/v1/experiments')).body.experiments[0]!;
    await expect.poll(async () => (await stopped()).state, { timeout: 20_000 }).toBe('stopped');
    expect((await stopped()).stop_reason).toMatch(/^revenue_per_visitor of short differs from the control by -/);
    await expect
      .poll(async () => JSON.stringify((await shop.control('GET', '/v1/alerts')).body), { timeout: 20_000 })
      .toContain('The experiment bad was stopped');
  } finally {
    await shop.close();
  }
});

test('an experiment that loses the visitors of one side is stopped', async () => {
  const shop = await Shop.open();
  try {
    await shop.control('POST', '/v1/experiments', { experiment_id: 'lost', placement: 'home', variants: TWO });
    await shop.control('POST', '/v1/experiments/lost/start');
    const facts = Array.from({ length: 200 }, (_, n): Fact => {
      const answer = { recommendation_id: `r${n}`, placement: 'home', items: [], bundle: null, degraded: false };
      const experiment = { experiment_id: 'lost', variant: n % 4 === 0 ? 'short' : 'control' };
      return { kind: 'recommendation', at_ms: shop.nowMs, request: { user_id: `u${n}` }, response: { ...answer, experiment } };
    });
    await shop.gateway.store.write(facts);
    const experiment = async (): Promise<Experiment> => (await shop.control<ExperimentsResponse>('GET', '/v1/experiments')).body.experiments[0]!;
    await expect
      .poll(async () => (await experiment()).stop_reason, { timeout: 20_000 })
      .toBe('the visitors are not divided as declared: control 150, short 50');
  } finally {
    await shop.close();
  }
});

test('what cannot be is refused', async () => {
  const shop = await Shop.open();
  try {
    const create = (change: object) =>
      shop.control<{ code: string }>('POST', '/v1/experiments', { experiment_id: 'e1', placement: 'home', variants: TWO, ...change });
    const wrong: [object, string][] = [
      [{ placement: 'no-such' }, 'invalid_request'],
      [{ variants: [TWO[0]] }, 'invalid_request'],
      [{ variants: [TWO[0], TWO[0]] }, 'invalid_request'],
      [{ variants: [TWO[0], { ...TWO[1], overrides: { limit: 0 } }] }, 'invalid_request'],
      [{ variants: [TWO[0], { ...TWO[1], overrides: { unheard_of: 1 } }] }, 'invalid_request'],
      [{ alpha: 0 }, 'invalid_request'],
    ];
    for (const [change, code] of wrong) expect((await create(change)).body.code).toBe(code);
    expect((await create({})).status).toBe(201);
    expect((await create({})).body.code).toBe('experiment_conflict');
    expect((await create({ experiment_id: 'e2' })).status).toBe(201);
    const act = async (path: string, body?: object) => (await shop.control<{ code: string }>('POST', `/v1/experiments/${path}`, body)).body.code;
    expect(await act('e1/stop', { reason: 'x' })).toBe('experiment_conflict');
    expect(await act('e9/start')).toBe('not_found');
    // One at a time on a placement, also when both are started at once.
    const starts = await Promise.all([act('e1/start'), act('e2/start')]);
    expect(starts).toEqual([undefined, 'experiment_conflict']);
    expect(await act('e1/start')).toBe('experiment_conflict');
    const stops = await Promise.all([act('e1/stop', { reason: 'x' }), act('e1/stop', { reason: 'y' })]);
    expect(stops).toEqual([undefined, 'experiment_conflict']);
  } finally {
    await shop.close();
  }
});
