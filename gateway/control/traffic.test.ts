import { afterEach, expect, test } from 'vitest';
import { TrafficResponse } from '../../contracts/control.ts';
import { Metrics } from '../metrics.ts';
import { checker } from './input.ts';
import { Traffic } from './traffic.ts';

let metrics = new Metrics();
afterEach(() => {
  metrics.close();
  metrics = new Metrics();
});

test('rates, quantiles and counters are those of the last minute', async () => {
  let nowMs = 1_000_000;
  const traffic = new Traffic(metrics, () => nowMs);
  const check = checker(TrafficResponse);
  expect(check(traffic.snapshot())).toMatchObject({ window_s: 0, routes: [], seconds: [] });

  // Before the window: these must not count.
  metrics.latency('requests', 'score', '2xx').observe(9);
  metrics.counter('decisions', 'decline').inc(100);
  await traffic.tick();
  for (let second = 0; second < 10; second++) {
    nowMs += 1000;
    for (let at = 0; at < 20; at++) metrics.latency('requests', 'score', '2xx').observe(0.0009);
    metrics.latency('requests', 'score', '5xx').observe(0.0009);
    metrics.latency('requests', 'events', '2xx').observe(0.2);
    metrics.counter('decisions', 'decline').inc();
    metrics.counter('degraded', 'score', 'model_missing').inc(2);
    metrics.counter('degraded', 'recommend', 'model_missing').inc();
    await traffic.tick();
  }
  const answer = check(traffic.snapshot());
  expect(answer.window_s).toBe(10);
  const score = answer.routes.find((route) => route.route === 'score');
  expect(score).toMatchObject({ per_s: 21, errors_per_s: 1 });
  expect(score?.p99_ms).toBeGreaterThan(0.75);
  expect(score?.p99_ms).toBeLessThanOrEqual(1);
  expect(answer.decisions).toEqual({ decline: 10 });
  expect(answer.degraded).toEqual({ model_missing: 30 });
  expect(answer.seconds).toHaveLength(10);
  expect(answer.seconds[0]?.requests).toEqual({ score: 21, events: 1 });
  // Only answers count for the latency that a shopper feels.
  expect(answer.seconds[0]?.p99_ms).toBeLessThanOrEqual(1);
});

test('a late sample is spread over its time, and no more than a minute is kept', async () => {
  let nowMs = 0;
  const traffic = new Traffic(metrics, () => nowMs);
  await traffic.tick();
  metrics.latency('requests', 'recommend', '2xx').observe(0.001);
  metrics.latency('requests', 'recommend', '2xx').observe(0.001);
  nowMs += 2000;
  await traffic.tick();
  expect(traffic.snapshot().seconds[0]?.requests).toEqual({ recommend: 1 });
  for (let second = 0; second < 100; second++) {
    nowMs += 1000;
    await traffic.tick();
  }
  expect(traffic.snapshot().seconds).toHaveLength(60);
  expect(traffic.snapshot().window_s).toBe(60);
  expect(traffic.snapshot().routes[0]?.per_s).toBe(0);
});
