import { execFile } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { expect, test } from 'vitest';
import { DEFAULT_DECLARATIONS } from '../../scoring/features/defaults.ts';
import { createFeatureEngine } from '../../scoring/features/engine.ts';
import { actOut } from '../../simulator/index.ts';
import { train } from '../../training/index.ts';
import { silentProgress } from '../../training/progress.ts';
import { Course, measurePositionBias, PLACES, USES } from './bias-run.ts';
import { RETRIEVAL } from './gate.ts';
import { shopOf } from './options.ts';

/** A gateway probes bundles in a compiled child, so these run compiled as well. */
async function run(script: string, args: string): Promise<string[][]> {
  const path = join(import.meta.dirname, '../../dist/loadtests/simulated', script);
  const { stdout } = await promisify(execFile)(process.execPath, [path, ...args.split(' ')]);
  const rows = stdout.split('\n').filter((line) => line.startsWith('| '));
  return rows.map((line) => line.slice(2, -2).split(' | '));
}

test('a shop whose lists are in the log is trained on its clicks, and the bundle says how its places are looked at', async () => {
  const shop = shopOf({ users: '80', items: '80', weeks: '3', seeds: '1' }, 1, { visitsPerUserDay: 0.6, feedShare: 0.8, fraudRate: 0 });
  const course = new Course(shop);
  await actOut(shop.world, course);
  const outDir = await mkdtemp(join(tmpdir(), 'gatehouse-clicks-'));
  try {
    const { manifest, skipped } = await train({
      facts: {
        count: course.facts.length,
        async *read() {
          for (const [offset, fact] of course.facts.entries()) yield { offset, fact };
        },
      },
      engine: createFeatureEngine(DEFAULT_DECLARATIONS),
      outDir,
      seed: 1,
      params: { retrieval: RETRIEVAL, queriesMax: 100 },
      progress: silentProgress,
      now: () => shop.settings.endMs,
    });
    expect(skipped['ranker']).toBeUndefined();
    const { metrics } = manifest;
    expect(metrics['recommend_examined_home_1']).toBe(1);
    expect(metrics['recommend_examined_home_8']).toBeLessThan(0.6);
    const best = Math.max(metrics['recommend_ndcg20_trees']!, metrics['recommend_ndcg20_trees_by_clicks_too']!);
    // Appeal is added as far as clicks ask for it, which may cost a little of what was touched next.
    expect(metrics['recommend_appeal_weight']).toBeGreaterThanOrEqual(0);
    expect(metrics['recommend_ndcg20_ranker']).toBeGreaterThanOrEqual(0.9 * best);
  } finally {
    await rm(outDir, { recursive: true, force: true });
  }
}, 120_000);

test('position bias: a small shop gives a curve and three rankers', async () => {
  const shop = shopOf({ users: '80', items: '80', weeks: '3', seeds: '1' }, 1, { visitsPerUserDay: 0.6, feedShare: 0.8, fraudRate: 0 });
  const { lists, learned, truth, shares } = await measurePositionBias(shop, { queriesMax: 100 });
  expect(lists).toBeGreaterThan(200);
  expect(learned[0]).toBe(1);
  for (const curve of [learned, truth]) expect(curve[PLACES - 1]!).toBeLessThan(0.6);
  for (const use of USES) expect(shares[use]).toBeGreaterThan(0.2);
}, 120_000);

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
  expect(Number.parseFloat(course![4]!)).toBeLessThanOrEqual(100);
  expect(rows.some(([hours, , , shown]) => hours === '6 to 23' && Number(shown) > 0)).toBe(true);
}, 120_000);

test('exploration on many shops: each form beside the first one, and what is tried reaches new items', async () => {
  const options = '--users 40 --items 80 --weeks 2 --visits 0.4 --appeal 1.5 --forms none,rates,shipped --seeds 1,2';
  const [head, , ...rows] = await run('exploration.js', options);
  expect(head!.length).toBe(6);
  expect(rows.map(([form]) => form)).toEqual(['none', 'rates', 'shipped']);
  for (const cell of rows[0]!.slice(1)) expect(Number(cell)).toBeGreaterThan(0);
  for (const cell of rows[2]!.slice(1)) expect(cell).toMatch(/^\d+\.\d \([+-]\d+\.\d ± \d+\.\d\)$/);
}, 120_000);
