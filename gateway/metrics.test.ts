import { afterEach, describe, expect, test, vi } from 'vitest';
import { LATENCY_BUCKETS_S, LatencyCell, quantileOf } from './histogram.ts';
import { METRICS, Metrics, metricsMarkdown, statusClass } from './metrics.ts';

let open: Metrics[] = [];
function metrics(): Metrics {
  const made = new Metrics();
  open.push(made);
  return made;
}
afterEach(() => {
  for (const each of open) each.close();
  open = [];
});

describe('the table', () => {
  test('names are unique, follow Prometheus conventions and are documented', () => {
    const specs = Object.values(METRICS);
    expect(new Set(specs.map((spec) => spec.name)).size).toBe(specs.length);
    const markdown = metricsMarkdown();
    for (const { name, kind } of specs) {
      expect(name).toMatch(/^gatehouse_[a-z_]+$/);
      expect(name.endsWith('_total'), name).toBe(kind === 'counter');
      if (kind === 'latency') expect(name).toMatch(/_seconds$/);
      expect(markdown).toContain(`| \`${name}\` |`);
    }
  });
});

describe('Metrics', () => {
  test('renders counters, gauges and latencies as Prometheus text', async () => {
    const m = metrics();
    m.counter('decisions', 'decline').inc();
    m.counter('decisions', 'decline').inc(2);
    m.gauge('bundleInfo', 'v1').set(1);
    m.latency('requests', 'score', '2xx').observe(0.0004);
    m.latency('requests', 'score', '2xx').observe(0.02);
    m.latency('requests', 'score', '2xx').observe(99);
    const text = await m.render();
    expect(text).toContain('gatehouse_decisions_total{decision="decline"} 3');
    expect(text).toContain('gatehouse_bundle_info{version="v1"} 1');
    expect(text).toContain('gatehouse_request_duration_seconds_bucket{le="0.0003",route="score",status="2xx"} 0');
    expect(text).toContain('gatehouse_request_duration_seconds_bucket{le="0.0005",route="score",status="2xx"} 1');
    expect(text).toContain('gatehouse_request_duration_seconds_bucket{le="10",route="score",status="2xx"} 2');
    expect(text).toContain('gatehouse_request_duration_seconds_bucket{le="+Inf",route="score",status="2xx"} 3');
    expect(text).toContain('gatehouse_request_duration_seconds_count{route="score",status="2xx"} 3');
    expect(text).toMatch(/gatehouse_request_duration_seconds_sum\{route="score",status="2xx"\} 99\.02/);
    expect(text).toContain('# TYPE gatehouse_request_duration_seconds histogram');
    expect(text).toContain('process_cpu_seconds_total');
  });

  test('clearGauge forgets the former bundle', async () => {
    const m = metrics();
    m.gauge('bundleInfo', 'v1').set(1);
    m.clearGauge('bundleInfo');
    m.gauge('bundleInfo', 'v2').set(1);
    const text = await m.render();
    expect(text).not.toContain('version="v1"');
    expect(text).toContain('version="v2"');
  });

  test('collectors run before the scrape, and their failure is not hidden', async () => {
    const m = metrics();
    m.onScrape(async () => m.gauge('store', 'journal_records').set(7));
    expect(await m.render()).toContain('gatehouse_store_stat{name="journal_records"} 7');
    m.onScrape(() => {
      throw new Error('store is gone');
    });
    await expect(m.render()).rejects.toThrow('store is gone');
  });

  test('counterValues and latencyCells give what was counted', async () => {
    const m = metrics();
    m.counter('degraded', 'score', 'model_missing').inc(4);
    expect(await m.counterValues('degraded')).toEqual([{ labels: { route: 'score', reason: 'model_missing' }, value: 4 }]);
    const cell = m.latency('stages', 'rank');
    expect(m.latency('stages', 'rank')).toBe(cell);
    expect([...m.latencyCells('stages')]).toEqual([cell]);
  });
});

describe('latency cells', () => {
  test('a value on a bound counts in that bucket, a negative one in the first', () => {
    const cell = new LatencyCell([], Float64Array.from(LATENCY_BUCKETS_S));
    cell.observe(LATENCY_BUCKETS_S[3]!);
    cell.observe(-1);
    expect(cell.counts[3]).toBe(1);
    expect(cell.counts[0]).toBe(1);
    expect(cell.sumS).toBe(LATENCY_BUCKETS_S[3]);
  });

  test('quantiles lie within a bucket of the truth', () => {
    const cell = new LatencyCell([], Float64Array.from(LATENCY_BUCKETS_S));
    expect(quantileOf(cell.counts, 0.5)).toBeUndefined();
    // 1..1000 x 10 µs: the true p50 is 5 ms, p99 9.9 ms.
    for (let at = 1; at <= 1000; at++) cell.observe(at * 1e-5);
    expect(quantileOf(cell.counts, 0.5)).toBeCloseTo(0.005, 4);
    expect(quantileOf(cell.counts, 0.99)).toBeCloseTo(0.0099, 4);
    cell.counts.fill(0);
    cell.observe(1000);
    expect(quantileOf(cell.counts, 0.5)).toBe(10);
  });

  test('an observation costs well under a microsecond', () => {
    const cell = new LatencyCell([], Float64Array.from(LATENCY_BUCKETS_S));
    const rounds = 200_000;
    let best = Number.POSITIVE_INFINITY;
    // The best of five: other processes share the machine.
    for (let repeat = 0; repeat < 5; repeat++) {
      const startNs = process.hrtime.bigint();
      for (let at = 0; at < rounds; at++) cell.observe((at % 1000) * 1e-5);
      best = Math.min(best, Number(process.hrtime.bigint() - startNs) / rounds);
    }
    expect(best).toBeLessThan(1000);
  });
});

test('statusClass', () => {
  expect([200, 204, 404, 503].map(statusClass)).toEqual(['2xx', '2xx', '4xx', '5xx']);
});

test('a stall is seen in the window after it, and forgotten with a restart of the window', async () => {
  vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval'] });
  try {
    const made = metrics();
    while (made.eventLoopDelay.maxS < 0.03) {
      // The monitor's own timer is not faked. It measures from one of its ticks to the next, so a window needs two.
      for (let stalls = 0; stalls < 3; stalls++) {
        Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 50);
        await new Promise((resolve) => setTimeout(resolve, 0));
      }
      vi.advanceTimersByTime(5_000);
    }
    made.restartLoopWindow();
    expect(made.eventLoopDelay).toEqual({ p50S: 0, p99S: 0, maxS: 0 });
    vi.advanceTimersByTime(5_000);
    expect(made.eventLoopDelay.maxS).toBe(0);
  } finally {
    vi.useRealTimers();
  }
});
