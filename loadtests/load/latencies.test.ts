import { expect, test } from 'vitest';
import { Latencies } from './latencies.ts';

test('quantiles are those of the sorted latencies, exact below 100 ms and to a millisecond above', () => {
  const latencies = new Latencies();
  let state = 7;
  const all = Array.from({ length: 2_000 }, () => {
    state = (state * 48_271) % 2_147_483_647;
    return (state % 400_000) / 1000;
  });
  for (const ms of all) latencies.add(ms);
  all.sort((a, b) => a - b);
  for (const share of [0.01, 0.1, 0.24, 0.5, 0.95, 0.99, 1]) {
    const exact = all[Math.ceil(share * all.length) - 1]!;
    expect(latencies.quantileMs(share)).toBe(exact < 100 ? exact : Math.floor(exact));
  }
});

test('nothing, absurdly late and cleared', () => {
  const latencies = new Latencies();
  expect(latencies.quantileMs(0.5)).toBeNaN();
  latencies.add(10 * 60_000);
  expect(latencies.quantileMs(0.5)).toBe(60_000);
  latencies.clear();
  expect([latencies.count, latencies.quantileMs(0.5)]).toEqual([0, Number.NaN]);
});
