import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { expect, test } from 'vitest';
import { measurePositionBias, PLACES, USES } from './bias-run.ts';
import { shopOf } from './options.ts';

/** A gateway probes bundles in a compiled child, so these run compiled as well. */
async function run(script: string, args: string): Promise<string[][]> {
  const path = join(import.meta.dirname, '../../dist/loadtests/simulated', script);
  const { stdout } = await promisify(execFile)(process.execPath, [path, ...args.split(' ')]);
  const rows = stdout.split('\n').filter((line) => line.startsWith('| '));
  return rows.map((line) => line.slice(2, -2).split(' | '));
}

test('position bias: a small shop gives a curve and three rankers', async () => {
  const shop = shopOf({ users: '80', items: '80', weeks: '3', seeds: '1' }, 1, { visitsPerUserDay: 0.6, feedShare: 0.8, fraudRate: 0 });
  const { lists, learned, truth, shares } = await measurePositionBias(shop, { queriesMax: 100 });
  expect(lists).toBeGreaterThan(200);
  expect(learned[0]).toBe(1);
  for (const curve of [learned, truth]) expect(curve[PLACES - 1]!).toBeLessThan(0.6);
  for (const use of USES) expect(shares[use]).toBeGreaterThan(0.2);
}, 60_000);

test('cold start: every ranking has a worth after each number of acts', async () => {
  const [head, ...rows] = await run('cold-start.js', '--users 60 --items 80 --weeks 2 --visits 0.4 --acts 0,2 --strangers 8 --seeds 1');
  expect(head).toEqual(['acts before', 'bundle', 'no bundle', 'popular', 'drawn']);
  expect(rows.map(([acts]) => acts)).toEqual(['0', '2']);
  for (const cell of rows.flatMap(([, ...cells]) => cells)) expect(cell).toMatch(/^\d+\.\d % \(0\.\d{3}\)$/);
}, 120_000);

test('exploration: courses of the shop are judged list by list, new items included', async () => {
  const options = '--users 40 --items 80 --weeks 2 --alone 1 --visits 0.4 --feed 0.6 --new-share 0.5 --appeal 1.5 --arms shipped --seeds 1';
  const rows = await run('recommendations.js', options);
  const course = rows.find(([seed, arm]) => seed === '1' && arm === 'shipped');
  expect(Number.parseFloat(course![2]!)).toBeGreaterThan(10);
  expect(Number.parseFloat(course![3]!)).toBeLessThanOrEqual(100);
  expect(rows.some(([hours, , , shown]) => hours === '6 to 23' && Number(shown) > 0)).toBe(true);
}, 120_000);
