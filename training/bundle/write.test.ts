import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { Handles } from '../../contracts/handles.ts';
import { indexReaders } from '../../index/readers.ts';
import { DEFAULT_DECLARATIONS } from '../../scoring/features/defaults.ts';
import { createFeatureEngine } from '../../scoring/features/engine.ts';
import { shareOf } from '../../scoring/models/anomaly.ts';
import { loadBundle } from '../../scoring/models/bundle.ts';
import { HandleMap } from '../../scoring/recommend/handle-map.ts';
import { foldIn, gram } from '../learners/als.ts';
import { isolationScores } from '../learners/anomaly/isolationForest.ts';
import { predict } from '../learners/gbdt/predict.ts';
import { testParts } from './parts.testing.ts';
import { type BundleParts, writeBundle } from './write.ts';

const engine = createFeatureEngine(DEFAULT_DECLARATIONS);
const parts = await testParts(engine, 'v1');
const deps = { engine, ...indexReaders };

let dir: string;
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'gatehouse-write-'));
});
afterEach(() => rm(dir, { recursive: true }));

/** What stands in the folder; the lock is gone after each write. */
const entries = async (): Promise<string[]> => (await readdir(dir)).sort();

async function contents(folder: string): Promise<Record<string, string>> {
  const all: Record<string, string> = {};
  for (const name of (await readdir(folder)).sort()) all[name] = (await readFile(join(folder, name))).toString('base64');
  return all;
}

describe('a bundle that was written', () => {
  test('is loaded and answers as the parts do', async () => {
    const manifest = await writeBundle(dir, parts);
    expect(await entries()).toEqual(['v1']);
    const handles = new Handles();
    const bundle = await loadBundle(join(dir, 'v1'), { ...deps, handles });
    expect(bundle.manifest).toEqual(manifest);
    expect(manifest.session_search).toBe(parts.sessionSearch);
    await bundle.probe();

    const vector = Float32Array.from(engine.names('fraud'), (_, i) => (i % 5 === 0 ? Number.NaN : Math.sin(i)));
    expect(await bundle.fraud!.predict(vector)).toBeCloseTo(predict(parts.fraud.model, vector)[0]!, 6);
    const strange = isolationScores(parts.anomaly.model, vector)[0]!;
    expect(await bundle.anomaly!.share(vector)).toBeCloseTo(shareOf('', parts.anomaly.scale)(strange), 4);
    const row = Float32Array.from(engine.names('rank'), (_, i) => Math.cos(i));
    expect((await bundle.recommend.ranker!.rank(row, 1))[0]).toBeCloseTo(predict(parts.ranker.model, row)[0]!, 5);

    const { itemFactors, factors, regularization, alpha } = parts.userTower;
    const touched = new HandleMap();
    touched.put(handles.find('i3'), 2);
    const user = await bundle.recommend.userTower!.fold(touched);
    const direct = foldIn(gram(itemFactors, factors), itemFactors.subarray(3 * factors, 4 * factors), Float32Array.of(2 * alpha), regularization);
    direct.forEach((value, i) => {
      expect(user![i]).toBeCloseTo(value, 4);
    });
    expect(bundle.recommend.itemIndex!.get('i7')).toEqual(parts.itemIndex.get('i7'));
    expect(bundle.userIndex!.size).toBe(parts.userIndex.size);
    expect(handles.idOf(bundle.recommend.popularity!.order[0]!)).toBe('i0');
    const near: [string, number][] = [];
    bundle.recommend.neighbours!.each(handles.find('i4'), 100, (handle, similarity) => near.push([handles.idOf(handle), similarity]));
    const { indptr, neighbours, similarities, ids } = parts.neighbours;
    const from = indptr[4]!;
    expect(near.length).toBe(indptr[5]! - from);
    expect(near).toEqual(near.map((_, i) => [ids[neighbours[from + i]!], similarities[from + i]]));
    expect(await readFile(join(dir, 'v1', manifest.report!), 'utf8')).toContain('v1');
    await bundle.release();
  });

  test('has the same bytes for the same parts, learned twice', async () => {
    await writeBundle(join(dir, 'a'), parts);
    await writeBundle(join(dir, 'b'), await testParts(engine, 'v1'));
    const [first, second] = await Promise.all([contents(join(dir, 'a', 'v1')), contents(join(dir, 'b', 'v1'))]);
    expect(Object.keys(first)).toContain('items.hnsw');
    expect(second).toEqual(first);
    await writeBundle(join(dir, 'c'), await testParts(engine, 'v1', 2));
    expect(await contents(join(dir, 'c', 'v1'))).not.toEqual(first);
  });

  test('may lack any part', async () => {
    const { version, created_ms, trained, metrics } = parts;
    const manifest = await writeBundle(dir, { version, created_ms, trained, metrics });
    expect(manifest).toMatchObject({ models: {}, indexes: {}, tables: {}, files: [] });
    const bundle = await loadBundle(join(dir, version), deps);
    expect(bundle.fraud).toBeUndefined();
    for (const part of Object.keys(parts) as (keyof BundleParts)[]) {
      if (part === 'version' || part === 'created_ms' || part === 'trained' || part === 'metrics') continue;
      const { [part]: _, ...rest } = { ...parts, version: `without-${part.toLowerCase()}` };
      if (part === 'itemIndex') {
        await expect(writeBundle(dir, rest), part).rejects.toThrow('item index');
        continue;
      }
      await writeBundle(dir, rest);
      const loaded = await loadBundle(join(dir, rest.version), deps);
      await loaded.probe();
      await loaded.release();
    }
  });
});

describe('nothing is left behind', () => {
  test('when the version exists', async () => {
    const { version, created_ms, trained, metrics } = parts;
    await writeBundle(dir, { version, created_ms, trained, metrics });
    const before = await contents(join(dir, 'v1'));
    await expect(writeBundle(dir, parts)).rejects.toMatchObject({ code: 'bundle_exists' });
    expect(await entries()).toEqual(['v1']);
    expect(await contents(join(dir, 'v1'))).toEqual(before);
  });

  test.each<[string, Partial<BundleParts>, string | RegExp]>([
    ['a version that is a path', { version: '../v1' }, 'a version is'],
    ['a version that is hidden', { version: '.tmp-v1' }, 'a version is'],
    ['a metric that is no number', { metrics: { 'fraud.ap': Number.NaN } }, 'bundle_corrupt'],
    ['a fraud model that gives no probability', { fraud: { ...parts.fraud, model: parts.ranker.model } }, 'binary'],
    ['an anomaly scale that falls', { anomaly: { ...parts.anomaly, scale: { scores: [0.5, 0.4], shares: [0, 1] } } }, 'bundle_corrupt'],
    ['neighbours out of bounds', { neighbours: { ...parts.neighbours, ids: parts.neighbours.ids.slice(0, -1) } }, 'bundle_corrupt'],
    ['popularity of other items', { popularity: { ids: ['i1'], scores: new Float32Array(2) } }, 'bundle_corrupt'],
    ['a tower of another width', { userTower: { ...parts.userTower, factors: 4 } }, 'item index'],
    [
      'a report that fails',
      {
        report: () => {
          throw new Error('no chart');
        },
      },
      'no chart',
    ],
  ])('after %s', async (_, change, message) => {
    await expect(writeBundle(dir, { ...parts, ...change })).rejects.toThrow(message);
    expect(await entries()).toEqual([]);
  });

  test('after an abort, wherever it comes', async () => {
    const reason = new Error('stopped');
    await expect(writeBundle(dir, parts, { signal: AbortSignal.abort(reason) })).rejects.toBe(reason);
    const abort = new AbortController();
    const report = (): string => {
      abort.abort(reason);
      return 'too late';
    };
    await expect(writeBundle(dir, { ...parts, report }, { signal: abort.signal })).rejects.toBe(reason);
    expect(await entries()).toEqual([]);
    await writeBundle(dir, parts);
    expect(await entries()).toEqual(['v1']);
  });

  test('of a writer that was killed, nor of its lock', async () => {
    await mkdir(join(dir, '.tmp-v0'));
    await writeFile(join(dir, '.tmp-v0', 'items.f32'), 'half');
    await writeFile(join(dir, 'gatehouse.lock'), '{"token":"to');
    await writeBundle(dir, parts);
    expect(await entries()).toEqual(['v1']);
  });
});

test('a second writer is refused while the first one writes', async () => {
  const first = writeBundle(dir, parts);
  const second = writeBundle(dir, { ...parts, version: 'v2' });
  const outcomes = await Promise.allSettled([first, second]);
  expect(outcomes.map(({ status }) => status).sort()).toEqual(['fulfilled', 'rejected']);
  expect(outcomes.find((outcome) => outcome.status === 'rejected')!.reason).toMatchObject({ code: 'store_locked' });
  expect(await entries()).toHaveLength(1);
});
