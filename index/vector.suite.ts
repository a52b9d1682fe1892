import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { clusteredVectors, seededRandom } from './clustered.ts';
import type { Metric, VectorIndex } from './contract.ts';
import { createExactIndex } from './exact.ts';
import { readSnapshot, writeSnapshot } from './snapshot.ts';

export interface SuiteOptions {
  readonly dimensions: number;
  readonly metric: Metric;
  readonly capacityMax?: number;
}

const METRICS: readonly Metric[] = ['ip', 'cosine', 'l2'];

/** Write a snapshot, read it into a new index. */
async function roundTrip(index: VectorIndex): Promise<VectorIndex> {
  const folder = await mkdtemp(join(tmpdir(), 'gatehouse-index-'));
  try {
    return await readSnapshot(folder, await writeSnapshot(index, folder));
  } finally {
    await rm(folder, { recursive: true });
  }
}

function ids(neighbours: readonly { id: string }[]): string[] {
  return neighbours.map(({ id }) => id);
}

/**
 * What every VectorIndex must do. `recallMin` is the least mean share of the true 100 nearest that a search for 100 returns; `copyOf` makes another
 * index from the files of one, by a snapshot unless said otherwise.
 */
export function vectorSuite<T extends VectorIndex>(
  name: string,
  create: (options: SuiteOptions) => T,
  { recallMin, copyOf = roundTrip }: { readonly recallMin: number; readonly copyOf?: (index: T) => Promise<VectorIndex> },
): void {
  describe(`${name}: contract`, () => {
    const small = (metric: Metric = 'l2') => create({ dimensions: 2, metric });

    test('adds, replaces, gets, removes', () => {
      const index = small();
      index.upsert('a', Float32Array.of(1, 2));
      index.upsert('b', Float32Array.of(3, 4));
      expect(index.size).toBe(2);
      expect(index.has('a')).toBe(true);
      expect(index.get('a')).toEqual(Float32Array.of(1, 2));
      index.upsert('a', Float32Array.of(9, 9));
      expect(index.size).toBe(2);
      expect(index.get('a')).toEqual(Float32Array.of(9, 9));
      expect([...index.ids()].sort()).toEqual(['a', 'b']);
      expect(index.remove('a')).toBe(true);
      expect(index.remove('a')).toBe(false);
      expect(index.has('a')).toBe(false);
      expect(index.get('a')).toBeUndefined();
      expect(index.size).toBe(1);
      expect(ids(index.search(Float32Array.of(9, 9), 5))).toEqual(['b']);
    });

    test('has another version after each change, and the same one as long as there is none', () => {
      const index = small();
      const versions = [index.version];
      for (const change of [
        () => index.upsert('a', Float32Array.of(1, 2)),
        () => index.upsert('a', Float32Array.of(3, 4)),
        () => index.upsert('b', Float32Array.of(3, 4)),
        () => index.remove('a'),
      ]) {
        change();
        versions.push(index.version);
      }
      expect(new Set(versions).size).toBe(5);
      index.remove('a');
      index.search(Float32Array.of(1, 1), 1);
      expect(() => index.upsert('c', new Float32Array(3))).toThrow(RangeError);
      expect(index.version).toBe(versions[4]);
    });

    test('get returns a copy and upsert keeps one', () => {
      const index = small();
      const vector = Float32Array.of(1, 2);
      index.upsert('a', vector);
      vector[0] = 7;
      index.get('a')![1] = 7;
      expect(index.get('a')).toEqual(Float32Array.of(1, 2));
    });

    test('orders by similarity, as each metric defines it', () => {
      const query = Float32Array.of(1, 0);
      const vectors = { long: Float32Array.of(5, 5), near: Float32Array.of(1, 0.1), unit: Float32Array.of(0.5, 0), away: Float32Array.of(-1, 0) };
      const order = { ip: ['long', 'near', 'unit', 'away'], cosine: ['unit', 'near', 'long', 'away'], l2: ['near', 'unit', 'away', 'long'] };
      for (const metric of METRICS) {
        const index = small(metric);
        for (const [id, vector] of Object.entries(vectors)) index.upsert(id, vector);
        expect(ids(index.search(query, 4))).toEqual(order[metric]);
      }
      const index = small('l2');
      index.upsert('long', vectors.long);
      expect(index.search(query, 1)[0]!.similarity).toBe(-41);
    });

    test('similarities are those of a search, in the order asked for', () => {
      const query = Float32Array.of(1, 0.5);
      for (const metric of METRICS) {
        const index = small(metric);
        index.upsert('a', Float32Array.of(1, 2));
        index.upsert('b', Float32Array.of(-3, 1));
        const found = new Map(index.search(query, 2).map((n) => [n.id, n.similarity]));
        expect([...index.similarities(query, ['b', 'none', 'a'])]).toEqual([found.get('b'), Number.NaN, found.get('a')]);
        expect(() => index.similarities(Float32Array.of(1), ['a'])).toThrow(RangeError);
      }
    });

    test('breaks ties by id', () => {
      const index = small('ip');
      for (const id of ['d', 'b', 'e', 'a', 'c']) index.upsert(id, Float32Array.of(1, 1));
      expect(ids(index.search(Float32Array.of(1, 0), 3))).toEqual(['a', 'b', 'c']);
    });

    test('a zero vector has cosine 0 with everything', () => {
      const index = small('cosine');
      index.upsert('zero', Float32Array.of(0, 0));
      index.upsert('one', Float32Array.of(1, 0));
      expect(index.search(Float32Array.of(2, 0), 2)).toEqual([
        { id: 'one', similarity: 1 },
        { id: 'zero', similarity: 0 },
      ]);
      expect(index.search(Float32Array.of(0, 0), 2).map((n) => n.similarity)).toEqual([0, 0]);
    });

    test('answers an empty index, k of 0 and k past the size', () => {
      const index = small();
      const query = Float32Array.of(0, 0);
      expect(index.search(query, 10)).toEqual([]);
      index.upsert('a', Float32Array.of(1, 1));
      expect(index.search(query, 0)).toEqual([]);
      expect(ids(index.search(query, 1_000_000))).toEqual(['a']);
      index.remove('a');
      expect(index.search(query, 10)).toEqual([]);
    });

    test('refuses bad vectors, queries and k, and stays as it was', () => {
      const index = small();
      index.upsert('a', Float32Array.of(1, 1));
      for (const bad of [[Number.NaN, 0], [Number.POSITIVE_INFINITY, 0], [1e16, 0], [1], [1, 2, 3], []]) {
        expect(() => index.upsert('a', Float32Array.from(bad))).toThrow(RangeError);
        expect(() => index.upsert('b', Float32Array.from(bad))).toThrow(RangeError);
        expect(() => index.search(Float32Array.from(bad), 1)).toThrow(RangeError);
      }
      for (const k of [-1, 0.5, Number.NaN]) expect(() => index.search(Float32Array.of(0, 0), k)).toThrow(RangeError);
      expect(index.size).toBe(1);
      expect(index.get('a')).toEqual(Float32Array.of(1, 1));
    });

    test('fills to capacityMax and no further; a removal makes room', () => {
      const index = create({ dimensions: 2, metric: 'l2', capacityMax: 3 });
      for (let i = 0; i < 3; i++) index.upsert(`i${i}`, Float32Array.of(i, 0));
      expect(() => index.upsert('more', Float32Array.of(9, 9))).toThrow(RangeError);
      index.upsert('i0', Float32Array.of(5, 5));
      index.remove('i1');
      index.upsert('more', Float32Array.of(9, 9));
      expect(ids(index.search(Float32Array.of(9, 9), 9))).toEqual(['more', 'i0', 'i2']);
    });
  });

  describe.each(METRICS)(`${name}: at size, %s`, (metric) => {
    const dimensions = 32;
    const count = 5_000;
    const next = clusteredVectors({ dimensions, clusters: 50, seed: 11 });
    const random = seededRandom(12);
    const index = create({ dimensions, metric });
    const oracle = createExactIndex({ dimensions, metric });

    function put(id: string): void {
      const vector = next();
      index.upsert(id, vector);
      oracle.upsert(id, vector);
    }

    function recall(queries: number, k: number, filter?: (id: string) => boolean): number {
      let found = 0;
      let wanted = 0;
      for (let i = 0; i < queries; i++) {
        const query = next();
        const options = filter ? { filter } : {};
        const truth = new Map(oracle.search(query, k, options).map((n) => [n.id, n.similarity]));
        const got = index.search(query, k, options);
        expect(got.length).toBe(truth.size);
        expect(new Set(ids(got)).size).toBe(got.length);
        for (let j = 1; j < got.length; j++) expect(got[j]!.similarity).toBeLessThanOrEqual(got[j - 1]!.similarity);
        for (const { id, similarity } of got) {
          if (!truth.has(id)) continue;
          found++;
          expect(similarity).toBe(truth.get(id));
        }
        wanted += truth.size;
      }
      return found / wanted;
    }

    test('grows past its first capacity and finds the true neighbours', () => {
      for (let i = 0; i < count; i++) put(`i${i}`);
      expect(index.size).toBe(count);
      expect(recall(50, 100)).toBeGreaterThan(recallMin);
      expect(recall(50, 10)).toBeGreaterThan(recallMin);
    });

    test('returns k matches behind a filter whenever k exist', () => {
      expect(recall(10, 100, () => true)).toBeGreaterThan(recallMin);
      expect(recall(10, 100, (id) => id.endsWith('7'))).toBeGreaterThan(recallMin);
      expect(recall(10, 10, (id) => id.endsWith('123'))).toBe(1);
      expect(recall(3, 10, (id) => id === 'i42' || id === 'i43')).toBe(1);
      expect(index.search(next(), 100, { filter: () => false })).toEqual([]);
    });

    test('passes on what a filter throws', () => {
      const filter = () => {
        throw new Error('broken filter');
      };
      expect(() => index.search(next(), 10, { filter })).toThrow('broken filter');
      expect(index.search(next(), 10)).toHaveLength(10);
    });

    test('keeps its recall under live updates and removals', () => {
      for (let step = 0; step < 3_000; step++) {
        const id = `i${Math.floor(random() * count)}`;
        if (step % 3 === 0) {
          expect(index.remove(id)).toBe(oracle.remove(id));
          expect(index.has(id)).toBe(false);
        } else put(step % 3 === 1 ? id : `n${step}`);
        if (step % 100 === 0) expect(index.search(next(), 20)).toHaveLength(20);
      }
      expect(index.size).toBe(oracle.size);
      expect(recall(50, 100)).toBeGreaterThan(recallMin);
    });

    test('finds a removed id again once it is back, and new ids at once', () => {
      const vector = next();
      index.upsert('again', vector);
      expect(index.get('again')).toEqual(vector);
      index.remove('again');
      expect(ids(index.search(vector, 50))).not.toContain('again');
      const other = next();
      index.upsert('again', other);
      oracle.upsert('again', other);
      const found = index.search(other, 50).find(({ id }) => id === 'again');
      const truth = oracle.search(other, 50).find(({ id }) => id === 'again');
      expect(found).toEqual(truth);
    });

    test('gives identical answers after a snapshot round trip, and goes on living', async () => {
      for (let i = 0; i < 300; i++) {
        index.remove(`i${i}`);
        oracle.remove(`i${i}`);
      }
      const copy = await copyOf(index);
      expect(copy.size).toBe(index.size);
      expect([...copy.ids()].sort()).toEqual([...index.ids()].sort());
      for (let i = 0; i < 30; i++) {
        const query = next();
        expect(copy.search(query, 100)).toEqual(index.search(query, 100));
      }
      const vector = next();
      for (let i = 0; i < 400; i++) copy.upsert(`new${i}`, i === 0 ? vector : next());
      expect(copy.get('new0')).toEqual(vector);
      expect(copy.size).toBe(index.size + 400);
      expect(index.has('new0')).toBe(false);
    });
  });
}
