import { setImmediate } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { openWire, startTestGateway, type TestGateway } from '../client/gateway.suite.ts';
import { type Fetch, sleep } from '../client/index.ts';
import type { TimedEvent } from '../contracts/event.ts';
import type { Fact } from '../contracts/fact.ts';
import type { RecommendRequest } from '../contracts/recommend.ts';
import type { DecisionName } from '../contracts/score.ts';
import { type LiveOptions, type LiveReport, runLive } from './index.ts';
import { PLAYS_MAX } from './live.ts';
import { createShop, type Shop } from './shop.ts';

/** Seconds of the shop in one second of the test. */
const SPEED = 20;

/** A clock that runs faster than the wall's, from now on. */
function fastClock() {
  const startMs = Date.now();
  return { now: () => startMs + (Date.now() - startMs) * SPEED, sleep: (ms: number, signal: AbortSignal) => sleep(ms / SPEED, signal) };
}

/** A clock of its own that jumps to the next moment at which somebody wakes: hours pass at once, and no machine is too slow for it. */
function virtualClock() {
  const startMs = Date.UTC(2026, 0, 1);
  let nowMs = startMs;
  const sleepers: { readonly dueMs: number; readonly wake: () => void }[] = [];
  return {
    now: () => nowMs,
    elapsedMs: () => nowMs - startMs,
    sleep: (ms: number, signal: AbortSignal) =>
      new Promise<void>((resolve, reject) => {
        if (signal.aborted) reject(signal.reason);
        const onAbort = () => reject(signal.reason);
        signal.addEventListener('abort', onAbort, { once: true });
        const wake = () => {
          signal.removeEventListener('abort', onAbort);
          resolve();
        };
        sleepers.push({ dueMs: nowMs + ms, wake });
      }),
    async run(forMs: number): Promise<void> {
      while (nowMs < startMs + forMs) {
        // Whoever woke acts first, down to its next sleep.
        for (let turn = 0; turn < 5; turn++) await setImmediate();
        const next = sleepers.sort((a, b) => a.dueMs - b.dueMs).shift();
        if (next === undefined) continue;
        nowMs = Math.max(nowMs, next.dueMs);
        next.wake();
      }
    },
  };
}

/** Enough people for the highest rate. */
const largeShop: Shop = createShop({ seed: 6, endMs: Date.UTC(2026, 0, 1), users: 1_000, items: 120, days: 20 });
const shop: Shop = createShop({ seed: 5, endMs: Date.UTC(2026, 0, 1), users: 60, items: 120, days: 20 });

/** Waits for a condition, as long as the slowest machine may take. */
const until = (assertion: () => void | Promise<void>): Promise<void> => vi.waitFor(assertion, { timeout: 25_000, interval: 50 });

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
const REFUSING: ReadonlySet<string> = new Set(['restrict_payment_method', 'decline', 'suspend']);
const decisionsOf = (facts: readonly Fact[]) => facts.flatMap((fact) => (fact.kind === 'decision' ? [fact] : []));

async function end(run: Promise<LiveReport>): Promise<LiveReport> {
  abort.abort();
  return run;
}

describe('an open shop', () => {
  test('visits reach the journal: events, lists shown and clicked, payments decided, and what becomes of them', async () => {
    // A starved test machine is no slow gateway.
    const run = start({ attackShare: 0.3, timeoutMs: 60_000 });
    await until(async () => {
      const facts = await running.facts();
      const events = eventsOf(facts);
      // Cards are being tested: the gateway's rules refuse that without a model.
      expect(decisionsOf(facts).filter(({ response }) => REFUSING.has(response.decision)).length).toBeGreaterThan(3);
      expect(events.some(({ name, recommendation_id }) => name === 'select_item' && recommendation_id !== undefined)).toBe(true);
      // Long enough after a label that its answer has been counted.
      const labelled = events.findIndex(({ name, is_fraud }) => name === 'label' && is_fraud === true);
      expect(labelled >= 0 && events.length - labelled > 50).toBe(true);
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
    expect(caught).toBeGreaterThan(0);

    // Nothing was bought against the gateway's word.
    const refused = new Set(decisions.flatMap(({ response }) => (REFUSING.has(response.decision) ? [response.transaction_id] : [])));
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

const people = new Set(shop.userIds());

/** Takes all events, recommends nothing, and decides the same on every payment. */
function gatewayThat(decision: DecisionName) {
  const events: TimedEvent[] = [];
  const asked: { readonly request: RecommendRequest; readonly seen: readonly TimedEvent[] }[] = [];
  const scored = { honest: 0, fraud: 0 };
  const fetch: Fetch = async (url, { body }) => {
    const request = JSON.parse(String(body));
    if (url.endsWith('/v1/events')) {
      events.push(...request.events);
      return Response.json({ accepted: request.events.length, duplicates: 0 });
    }
    if (url.endsWith('/v1/recommend')) {
      asked.push({ request, seen: events.filter(({ session_id }) => session_id === request.session_id) });
      return Response.json({ recommendation_id: 'r', placement: 'home', items: [], bundle: null, degraded: false });
    }
    scored[people.has(request.user_id) ? 'honest' : 'fraud']++;
    return Response.json({ transaction_id: request.transaction_id, decision, score: null, probability: null, reasons: [], rule_hits: [] });
  };
  const buyers = () => events.flatMap(({ name, user_id }) => (name === 'purchase' ? [people.has(user_id ?? '') ? 'honest' : 'fraud'] : []));
  return { fetch, events, asked, scored, buyers };
}

describe('against a gateway that the test plays', () => {
  test.each([5, 20, 100])('requests come at %d a second, whatever the visits need', async (ratePerS) => {
    const clock = virtualClock();
    const gateway = gatewayThat('approve');
    const run = start({ now: clock.now, sleep: clock.sleep, fetch: gateway.fetch, putItems: false, ratePerS, shop: largeShop });
    await clock.run(30_000);
    const { requests } = await end(run);
    const reached = (requests.events + requests.recommend + requests.score) / 30 / ratePerS;
    // Arrivals are random: 150 of them vary by a twelfth.
    expect(reached).toBeGreaterThan(0.75);
    expect(reached).toBeLessThan(1.25);
  });

  test.each<[DecisionName, 'all' | 'honest' | 'none']>([
    ['approve', 'all'],
    ['review', 'all'],
    ['challenge', 'honest'],
    ['restrict_payment_method', 'none'],
    ['decline', 'none'],
    ['suspend', 'none'],
  ])('%s lets %s buy', async (decision, who) => {
    const gateway = gatewayThat(decision);
    const run = start({ fetch: gateway.fetch, putItems: false, attackShare: 0.2, ratePerS: 100 });
    const mayBuy = who === 'all' ? ['fraud', 'honest'] : who === 'honest' ? ['honest'] : [];
    await until(() => {
      expect(Math.min(gateway.scored.honest, gateway.scored.fraud)).toBeGreaterThan(20);
      expect(gateway.buyers()).toEqual(expect.arrayContaining(mayBuy));
    });
    const report = await end(run);
    expect([...new Set(gateway.buyers())].sort()).toEqual(mayBuy);
    const { frauds, honest } = report;
    expect(frauds.caught > 0).toBe(who !== 'all');
    expect(frauds.reviewed > 0).toBe(decision === 'review');
    expect(frauds.missed > 0).toBe(decision === 'approve');
    expect([honest.passed > 0, honest.refused > 0]).toEqual([who !== 'none', who === 'none']);
  });

  test('what a visitor looked at is known before a list is asked for', async () => {
    const gateway = gatewayThat('approve');
    const run = start({ fetch: gateway.fetch, putItems: false, ratePerS: 100 });
    const onProduct = () => gateway.asked.filter(({ request }) => request.item_id !== undefined);
    await until(() => expect(onProduct().length).toBeGreaterThan(20));
    await end(run);
    for (const { request, seen } of onProduct()) {
      const viewed = seen.flatMap(({ name, items }) => (name === 'view_item' ? (items ?? []).map(({ item_id }) => item_id) : []));
      expect(viewed).toContain(request.item_id);
    }
  });

  test('within a session time never stands still', async () => {
    const gateway = gatewayThat('approve');
    const run = start({ fetch: gateway.fetch, putItems: false, ratePerS: 100, attackShare: 0.2 });
    await until(() => expect(gateway.events.length).toBeGreaterThan(500));
    await end(run);
    const last = new Map<string, number>();
    for (const { session_id, timestamp_ms, name } of gateway.events) {
      // A label comes from the desk, later, and belongs to no session.
      if (session_id === undefined || name === 'review') continue;
      expect(timestamp_ms).toBeGreaterThan(last.get(session_id) ?? 0);
      last.set(session_id, timestamp_ms);
    }
    expect(last.size).toBeGreaterThan(20);
  });
});

describe('trouble', () => {
  test('a dead gateway is asked less and less, and crashes nobody', async () => {
    const clock = virtualClock();
    const tries: number[] = [];
    const fetch: Fetch = async () => {
      tries.push(clock.elapsedMs());
      throw new TypeError('fetch failed');
    };
    const run = start({ now: clock.now, sleep: clock.sleep, fetch, putItems: false });
    await clock.run(120_000);
    const report = await end(run);
    expect(report.errors).toEqual({ unreachable: report.requests.events + report.requests.score + report.requests.recommend });
    // At 20 a second there would be 2,400. The waits grow to between 0.1 and 10.1 s.
    expect(tries.length).toBeGreaterThan(10);
    expect(tries.length).toBeLessThan(100);
    expect(tries.at(-1)).toBeGreaterThan(100_000);
    expect(report.events.accepted).toBe(0);
    expect(report.events.lost).toBeGreaterThan(0);
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
    const clock = virtualClock();
    const gateway = gatewayThat('approve');
    const shed: number[] = [];
    const body = JSON.stringify({ code: 'overloaded', detail: 'busy' });
    const fetch: Fetch = async (url, init) => {
      if (clock.elapsedMs() >= 20_000) return gateway.fetch(url, init);
      shed.push(clock.elapsedMs());
      return new Response(body, { status: 503, headers: { 'retry-after': '2' } });
    };
    const run = start({ now: clock.now, sleep: clock.sleep, fetch, putItems: false });
    await clock.run(60_000);
    const report = await end(run);
    expect(report.errors['overloaded']).toBeGreaterThan(0);
    expect(report.errors['overloaded']).toBeLessThanOrEqual(shed.length);
    // At least 2 s between rounds, and growing waits. At 20 a second there would be 400.
    expect(shed.length).toBeLessThan(30);
    expect(report.events.accepted).toBeGreaterThan(300);
  });

  test('a key that is refused does not hammer', async () => {
    const clock = virtualClock();
    const refusal = JSON.stringify({ code: 'unauthenticated', detail: 'no such key' });
    let asked = 0;
    const fetch: Fetch = async () => {
      asked++;
      return new Response(refusal, { status: 401 });
    };
    const run = start({ now: clock.now, sleep: clock.sleep, fetch, putItems: false });
    await clock.run(60_000);
    const report = await end(run);
    expect(report.errors['unauthenticated']).toBe(asked);
    expect(asked).toBeGreaterThan(5);
    // At 20 a second there would be 1,200.
    expect(asked).toBeLessThan(100);
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
