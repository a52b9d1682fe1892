import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { openWire, startTestGateway, type TestGateway } from '../client/gateway.suite.ts';
import { type Fetch, sleep } from '../client/index.ts';
import type { Fact } from '../contracts/fact.ts';
import { type LiveOptions, type LiveReport, runLive } from './index.ts';
import { PLAYS_MAX } from './live.ts';
import { createShop, type Shop } from './shop.ts';

/** Seconds of the shop in one second of the test. */
const SPEED = 20;

/** A clock that runs `SPEED` times as fast as the wall's, from now on. */
function fastClock(): Pick<LiveOptions, 'now' | 'sleep'> {
  const startMs = Date.now();
  return { now: () => startMs + (Date.now() - startMs) * SPEED, sleep: (ms, signal) => sleep(ms / SPEED, signal) };
}

const shop: Shop = createShop({ seed: 5, endMs: Date.UTC(2026, 0, 1), users: 60, items: 120, days: 20 });

/** Waits for a condition, as long as the slowest machine may take. */
const until = (assertion: () => void | Promise<void>): Promise<void> => vi.waitFor(assertion, { timeout: 25_000, interval: 20 });

let running: TestGateway;
let abort: AbortController;
beforeEach(async () => {
  running = await startTestGateway();
  abort = new AbortController();
});
afterEach(async () => {
  abort.abort();
  await running.stop();
});

function start(options: Partial<LiveOptions> = {}): Promise<LiveReport> {
  const { baseUrl, secretKey, publishableKey } = running;
  return runLive({
    baseUrl,
    secretKey,
    publishableKey,
    shop,
    ratePerS: 20,
    signal: abort.signal,
    putItems: true,
    run: 1,
    ...fastClock(),
    ...options,
  });
}

const eventsOf = (facts: readonly Fact[]) => facts.flatMap((fact) => (fact.kind === 'event' ? [fact.event] : []));
const decisionsOf = (facts: readonly Fact[]) => facts.flatMap((fact) => (fact.kind === 'decision' ? [fact] : []));

async function end(run: Promise<LiveReport>): Promise<LiveReport> {
  abort.abort();
  return run;
}

describe('an open shop', () => {
  test('visits reach the journal: events, lists shown and clicked, payments decided, and what becomes of them', async () => {
    const run = start({ attackShare: 0.1 });
    await until(async () => {
      const events = eventsOf(await running.facts());
      expect(events.some(({ name, recommendation_id }) => name === 'select_item' && recommendation_id !== undefined)).toBe(true);
      expect(events.some(({ name, is_fraud }) => name === 'label' && is_fraud === true)).toBe(true);
      expect(events.filter(({ name }) => name === 'purchase').length).toBeGreaterThan(3);
    });
    const report = await end(run);
    const facts = await running.facts();
    const events = eventsOf(facts);

    // What was acknowledged is there, once; calls that were cut off by the end may be there too.
    const paid = events.filter(({ name }) => name === 'payment_attempt');
    expect(new Set(events.map(({ event_id }) => event_id)).size).toBe(events.length);
    expect(events.length - paid.length).toBeGreaterThanOrEqual(report.events.accepted);
    expect(report.events).toMatchObject({ duplicates: 0, lost: 0 });
    expect(report.errors).toEqual({});

    // Every payment that was answered has its decision in the journal.
    const decisions = decisionsOf(facts);
    const answered = Object.values(report.decisions).reduce((sum, count) => sum + count, 0);
    expect(answered).toBeGreaterThan(3);
    expect(decisions.length).toBeGreaterThanOrEqual(answered);
    expect(decisions.length).toBeLessThanOrEqual(paid.length);
    const { caught, reviewed, missed } = report.frauds;
    expect(caught + reviewed + missed + report.honest.passed + report.honest.refused).toBe(answered);
    expect(caught + reviewed + missed).toBeGreaterThan(0);

    // Nothing was bought against the gateway's word.
    const refused = new Set(decisions.flatMap(({ response }) => (response.decision === 'decline' ? [response.transaction_id] : [])));
    expect(events.filter(({ name, transaction_id }) => name === 'purchase' && refused.has(transaction_id ?? ''))).toEqual([]);

    // Lists that were shown are lists that were recommended.
    const recommended = new Map(
      facts.flatMap((fact) => (fact.kind === 'recommendation' ? [[fact.response.recommendation_id, fact.response.items] as const] : [])),
    );
    const shown = events.filter(({ name, recommendation_id }) => name === 'view_item_list' && recommendation_id !== undefined);
    expect(shown.length).toBeGreaterThan(0);
    for (const { recommendation_id, items } of shown) {
      expect(recommended.get(recommendation_id!)?.map(({ item_id }) => item_id)).toEqual(items?.map(({ item_id }) => item_id));
    }
    expect(report.recommended.clicks).toBeGreaterThan(0);
    expect(report.outcomes.sent).toBeGreaterThan(0);
    expect(Math.min(...events.map(({ timestamp_ms }) => timestamp_ms))).toBeGreaterThan(Date.now() - 120_000);
  });

  test('requests come at about the rate asked for', async () => {
    const clock = fastClock();
    const fromMs = clock.now!();
    const run = start({ ...clock, putItems: false });
    await until(() => expect(clock.now!() - fromMs).toBeGreaterThan(30_000));
    const elapsedS = (clock.now!() - fromMs) / 1000;
    const { requests } = await end(run);
    const ratePerS = (requests.events + requests.recommend + requests.score) / elapsedS;
    expect(ratePerS).toBeGreaterThan(10);
    expect(ratePerS).toBeLessThan(24);
  });

  test('two runs of one shop share no id', async () => {
    const ids: Set<string>[] = [];
    for (const run of [1, 2]) {
      const before = (await running.facts()).length;
      abort = new AbortController();
      const live = start({ run, putItems: false, attackShare: 0.3 });
      await until(async () => expect((await running.facts()).length - before).toBeGreaterThan(150));
      await end(live);
      ids.push(new Set(eventsOf((await running.facts()).slice(before)).map(({ event_id }) => event_id)));
    }
    expect([...ids[0]!].filter((id) => ids[1]!.has(id))).toEqual([]);
  });
});

describe('trouble', () => {
  test('a dead gateway is asked less and less, and crashes nobody', async () => {
    const clock = fastClock();
    const fromMs = clock.now!();
    const tries: number[] = [];
    const fetch: Fetch = async () => {
      tries.push(clock.now!() - fromMs);
      throw new TypeError('fetch failed');
    };
    const run = start({ ...clock, fetch, putItems: false });
    await until(() => expect(clock.now!() - fromMs).toBeGreaterThan(60_000));
    const report = await end(run);
    expect(report.errors['unreachable']).toBe(report.requests.events + report.requests.score + report.requests.recommend);
    // At 20 a second there would be 1,200.
    expect(tries.length).toBeGreaterThan(3);
    expect(tries.length).toBeLessThan(200);
    expect(report.events.accepted).toBe(0);
  });

  test('a gateway that goes away and comes back: the run goes on', async () => {
    const wire = await openWire(running.gateway.dataPort);
    try {
      const run = start({ baseUrl: `http://127.0.0.1:${wire.port}` });
      await until(async () => expect(eventsOf(await running.facts()).length).toBeGreaterThan(50));
      wire.target = undefined;
      wire.cut();
      running = await running.restart();
      const before = (await running.facts()).length;
      wire.target = running.gateway.dataPort;
      await until(async () => expect((await running.facts()).length - before).toBeGreaterThan(100));
      const report = await end(run);
      expect(report.errors['unreachable']).toBeGreaterThan(0);
      const ids = eventsOf(await running.facts()).map(({ event_id }) => event_id);
      expect(new Set(ids).size).toBe(ids.length);
    } finally {
      await wire.close();
    }
  });

  test('overload is counted and waited out as long as the gateway asks', async () => {
    const clock = fastClock();
    const fromMs = clock.now!();
    const sheddingUntilMs = 10_000;
    const shed: number[] = [];
    const body = JSON.stringify({ code: 'overloaded', detail: 'busy' });
    const fetch: Fetch = async (url, init) => {
      const atMs = clock.now!() - fromMs;
      if (atMs >= sheddingUntilMs) return globalThis.fetch(url, init);
      shed.push(atMs);
      return new Response(body, { status: 503, headers: { 'retry-after': '2' } });
    };
    const run = start({ ...clock, fetch, putItems: false });
    await until(async () => expect(eventsOf(await running.facts()).length).toBeGreaterThan(50));
    const report = await end(run);
    expect(report.errors['overloaded']).toBeGreaterThan(0);
    expect(report.errors['overloaded']).toBeLessThanOrEqual(shed.length);
    expect(report.events.accepted).toBeGreaterThan(0);
    // 10 s of shedding with at least 2 s between tries: a few rounds, not two hundred requests.
    expect(shed.length).toBeLessThan(60);
  });

  test('a key that is refused does not hammer', async () => {
    const clock = fastClock();
    const fromMs = clock.now!();
    const run = start({ ...clock, publishableKey: running.publishableKey.replace('gh_pub_', 'gh_pub_x'), putItems: false });
    await until(() => expect(clock.now!() - fromMs).toBeGreaterThan(30_000));
    const report = await end(run);
    expect(report.errors['unauthenticated']).toBeGreaterThan(1);
    expect(report.errors['unauthenticated']).toBeLessThan(120);
    expect(report.events.lost).toBeGreaterThan(0);
  });

  test.each([
    ['while requests hang', () => new Promise<never>(() => {})],
    ['while the gateway is away', () => Promise.reject(new TypeError('fetch failed'))],
  ])('the signal ends it at once %s', async (_when, answer) => {
    let asked = 0;
    const fetch: Fetch = (_url, init) => {
      asked++;
      return Promise.race([
        answer(),
        new Promise<never>((_resolve, reject) => init.signal?.addEventListener('abort', () => reject(init.signal?.reason), { once: true })),
      ]);
    };
    const run = start({ fetch });
    await until(() => expect(asked).toBeGreaterThan(0));
    const atMs = performance.now();
    await end(run);
    expect(performance.now() - atMs).toBeLessThan(1_000);
  });

  test('a gateway that does not answer holds a bounded number of plays, whatever the rate', async () => {
    let asked = 0;
    const fetch: Fetch = (_url, init) => {
      asked++;
      return new Promise((_resolve, reject) => init.signal?.addEventListener('abort', () => reject(init.signal?.reason), { once: true }));
    };
    const run = start({ fetch, ratePerS: 10_000, attackShare: 1, putItems: false, now: Date.now, sleep });
    await until(() => expect(asked).toBeGreaterThan(PLAYS_MAX - 10));
    const { attacks } = await end(run);
    expect(attacks).toBeLessThanOrEqual(PLAYS_MAX);
  });

  test('a signal that has fired already: nothing is asked', async () => {
    abort.abort();
    const report = await start();
    expect(report.requests).toEqual({ events: 0, recommend: 0, score: 0, items_put: 0 });
  });

  test.each([0, -1, Number.NaN, 1e6])('a rate of %d is refused', async (ratePerS) => {
    await expect(start({ ratePerS })).rejects.toThrow(RangeError);
  });

  test('a defect ends the run and is thrown', async () => {
    const world = { ...shop.world, catalogue: { ...shop.world.catalogue, leadsTo: [] } };
    await expect(start({ shop: { ...shop, world } })).rejects.toThrow();
  });
});
