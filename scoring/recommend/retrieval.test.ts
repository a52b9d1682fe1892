import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { decode, encode } from '@msgpack/msgpack';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { NeighboursFile, PopularityFile } from '../../contracts/bundle.ts';
import type { HistoryEntry } from '../features/contract.ts';
import { historyWeight, historyWeights, NeighbourTable, PopularityTable } from './retrieval.ts';

const words = (values: Iterable<number>): Uint8Array => new Uint8Array(Uint32Array.from(values).buffer);
const floats = (values: Iterable<number>): Uint8Array => new Uint8Array(Float32Array.from(values).buffer);

/** Lists by item: positions and similarities. */
type Lists = readonly (readonly (readonly [position: number, similarity: number])[])[];

function fileOf(lists: Lists): NeighboursFile {
  const offsets = [0];
  for (const list of lists) offsets.push(offsets[offsets.length - 1]! + list.length);
  const flat = lists.flat();
  return {
    ids: lists.map((_, i) => `i${i}`),
    indptr: words(offsets),
    neighbours: words(flat.map(([position]) => position)),
    similarities: floats(flat.map(([, similarity]) => similarity)),
  };
}

function neighboursOf(table: NeighbourTable, id: string, limit = 1000): [string, number][] {
  const found: [string, number][] = [];
  table.each(id, limit, (neighbour, similarity) => found.push([neighbour, similarity]));
  return found;
}

const someLists = fc.integer({ min: 1, max: 12 }).chain((items) => {
  const neighbour = fc.tuple(fc.nat(items - 1), fc.float({ min: 0, max: 1, noNaN: true }));
  return fc.array(fc.array(neighbour, { maxLength: 6 }), { minLength: items, maxLength: items });
});

describe('a neighbour table', () => {
  test('gives back the lists that were written, in their order', () => {
    fc.assert(
      fc.property(someLists, (lists) => {
        const table = NeighbourTable.fromFile(fileOf(lists));
        lists.forEach((list, i) => {
          expect(neighboursOf(table, `i${i}`)).toEqual(list.map(([position, similarity]) => [`i${position}`, similarity]));
        });
        expect(neighboursOf(table, 'unknown')).toEqual([]);
      }),
      { seed: 1, numRuns: 100 },
    );
  });

  test('stops at the limit', () => {
    const table = NeighbourTable.fromFile(
      fileOf([
        [
          [1, 0.9],
          [2, 0.8],
          [1, 0.1],
        ],
        [],
        [],
      ]),
    );
    expect(neighboursOf(table, 'i0', 2).map(([id]) => id)).toEqual(['i1', 'i2']);
    expect(neighboursOf(table, 'i0', 0)).toEqual([]);
  });

  test('is read from a file as from memory, wherever its bytes lie', async () => {
    const dir = await mkdtemp(join(tmpdir(), 'gatehouse-table-'));
    for (const name of ['', 'x', 'xy', 'xyz']) {
      // Names of other lengths before the columns move them off the 4-byte grid.
      const path = join(dir, `table${name}`);
      const lists: Lists = [
        [[1, 0.5]],
        [
          [0, 0.25],
          [1, 0.125],
        ],
      ];
      await writeFile(path, encode({ [`pad${name}`]: name, ...fileOf(lists) }));
      const table = NeighbourTable.fromFile(decode(await readFile(path)) as NeighboursFile);
      expect(neighboursOf(table, 'i1')).toEqual([
        ['i0', 0.25],
        ['i1', 0.125],
      ]);
      await writeFile(path, encode({ [`pad${name}`]: name, ids: ['a', 'b'], scores: floats([1, 0.5]) }));
      const popularity = PopularityTable.fromFile(decode(await readFile(path)) as PopularityFile);
      expect(['a', 'b', 'c'].map((id) => popularity.score(id))).toEqual([1, 0.5, 0]);
    }
    await rm(dir, { recursive: true });
  });

  test('of damaged numbers is refused, or stays within its items', () => {
    fc.assert(
      fc.property(
        someLists,
        fc.constantFrom('indptr' as const, 'neighbours' as const, 'similarities' as const),
        fc.nat(),
        fc.nat(255),
        (lists, column, where, byte) => {
          const file = fileOf(lists);
          const bytes = file[column];
          if (bytes.length > 0) bytes[where % bytes.length] = byte;
          let table: NeighbourTable;
          try {
            table = NeighbourTable.fromFile(file);
          } catch (error) {
            expect(error).toMatchObject({ code: 'bundle_corrupt' });
            return;
          }
          for (const id of file.ids) {
            for (const [neighbour, similarity] of neighboursOf(table, id)) {
              expect(file.ids).toContain(neighbour);
              expect(Number.isFinite(similarity)).toBe(true);
            }
          }
        },
      ),
      { seed: 2, numRuns: 500 },
    );
  });

  test('of another length than its parts say is refused', () => {
    const file = fileOf([[[1, 0.5]], [[0, 0.5]]]);
    const changes: Partial<Record<keyof NeighboursFile, unknown>>[] = [
      { ids: ['i0'] },
      { ids: ['i0', 'i1', 'i2'] },
      { indptr: words([0, 1]) },
      { indptr: words([0, 2, 1]) },
      { indptr: words([1, 1, 2]) },
      { indptr: file.indptr.subarray(1) },
      { neighbours: words([1]) },
      { neighbours: words([1, 2]) },
      { similarities: floats([0.5]) },
      { similarities: floats([0.5, Number.NaN]) },
      { similarities: floats([0.5, Number.POSITIVE_INFINITY]) },
      { similarities: [0.5, 0.5] },
      { neighbours: undefined },
    ];
    for (const change of changes) {
      const broken = { ...file, ...change } as unknown as NeighboursFile;
      expect(() => NeighbourTable.fromFile(broken), Object.keys(change)[0]).toThrow('bundle_corrupt');
    }
  });
});

describe('a popularity table', () => {
  test('that does not hold together is refused', () => {
    for (const broken of [null, undefined, 7, {}, { ids: ['a'] }, { ids: ['a'], scores: floats([]) }, { ids: ['a'], scores: floats([Number.NaN]) }]) {
      expect(() => PopularityTable.fromFile(broken as unknown as PopularityFile)).toThrow('bundle_corrupt');
    }
  });
});

describe('history weights', () => {
  const entry = (item_id: string, count: number): HistoryEntry => ({ item_id, count, quantity: count, firstMs: 0, lastMs: 0 });

  test('grow less with each repetition, and a purchase says more than a look', () => {
    expect(historyWeight(0, 0)).toBe(0);
    expect(historyWeight(2, 0) - historyWeight(1, 0)).toBeLessThan(historyWeight(1, 0));
    expect(historyWeight(1, 1)).toBeCloseTo(3 * historyWeight(1, 0), 12);
  });

  test('count what session and user share once', () => {
    const weights = historyWeights([entry('a', 3), entry('b', 1)], [entry('a', 2), entry('c', 1)], [entry('a', 1), entry('d', 4)]);
    expect([...weights.keys()]).toEqual(['a', 'b', 'c', 'd']);
    expect(weights.get('a')).toBe(historyWeight(3, 1));
    expect(weights.get('c')).toBe(historyWeight(1, 0));
    // Bought without a look that is still remembered: at least as many looks as purchases.
    expect(weights.get('d')).toBe(historyWeight(4, 4));
  });

  test('of nothing are none', () => {
    expect(historyWeights([], [], []).size).toBe(0);
  });
});
