import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { decode, encode } from '@msgpack/msgpack';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { NeighboursFile, PopularityFile } from '../../contracts/bundle.ts';
import { Handles } from '../../contracts/handles.ts';
import { HandleMap } from './handle-map.ts';
import { historyWeight, historyWeights, NeighbourTable, PopularityTable } from './retrieval.ts';
import { TouchedItems } from './touched.ts';

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

/** The table of a file, asked by id. */
function tableOf(file: NeighboursFile) {
  const handles = new Handles();
  // Handles of others come first: a table's own positions must not pass for handles.
  for (let i = 0; i < 3; i++) handles.intern(`other${i}`);
  const table = NeighbourTable.fromFile(file, handles);
  return (id: string, limit = 1000): [string, number][] => {
    const found: [string, number][] = [];
    table.each(handles.find(id), limit, (neighbour, similarity) => found.push([handles.idOf(neighbour), similarity]));
    return found;
  };
}

const someLists = fc.integer({ min: 1, max: 12 }).chain((items) => {
  const neighbour = fc.tuple(fc.nat(items - 1), fc.float({ min: 0, max: 1, noNaN: true }));
  return fc.array(fc.array(neighbour, { maxLength: 6 }), { minLength: items, maxLength: items });
});

describe('a neighbour table', () => {
  test('gives back the lists that were written, in their order', () => {
    fc.assert(
      fc.property(someLists, (lists) => {
        const neighboursOf = tableOf(fileOf(lists));
        lists.forEach((list, i) => {
          expect(neighboursOf(`i${i}`)).toEqual(list.map(([position, similarity]) => [`i${position}`, similarity]));
        });
        expect(neighboursOf('unknown')).toEqual([]);
      }),
      { seed: 1, numRuns: 100 },
    );
  });

  test('stops at the limit', () => {
    const neighboursOf = tableOf(
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
    expect(neighboursOf('i0', 2).map(([id]) => id)).toEqual(['i1', 'i2']);
    expect(neighboursOf('i0', 0)).toEqual([]);
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
      const neighboursOf = tableOf(decode(await readFile(path)) as NeighboursFile);
      expect(neighboursOf('i1')).toEqual([
        ['i0', 0.25],
        ['i1', 0.125],
      ]);
      await writeFile(path, encode({ [`pad${name}`]: name, ids: ['a', 'b'], scores: floats([1, 0.5]) }));
      const handles = new Handles();
      const popularity = PopularityTable.fromFile(decode(await readFile(path)) as PopularityFile, handles);
      handles.intern('c');
      expect(['a', 'b', 'c'].map((id) => popularity.score(handles.find(id)))).toEqual([1, 0.5, 0]);
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
          let neighboursOf: ReturnType<typeof tableOf>;
          try {
            neighboursOf = tableOf(file);
          } catch (error) {
            expect(error).toMatchObject({ code: 'bundle_corrupt' });
            return;
          }
          for (const id of file.ids) {
            for (const [neighbour, similarity] of neighboursOf(id)) {
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
      expect(() => NeighbourTable.fromFile(broken, new Handles()), Object.keys(change)[0]).toThrow('bundle_corrupt');
    }
  });
});

describe('a popularity table', () => {
  test('that does not hold together is refused', () => {
    for (const broken of [null, undefined, 7, {}, { ids: ['a'] }, { ids: ['a'], scores: floats([]) }, { ids: ['a'], scores: floats([Number.NaN]) }]) {
      expect(() => PopularityTable.fromFile(broken as unknown as PopularityFile, new Handles())).toThrow('bundle_corrupt');
    }
  });
});

describe('history weights', () => {
  type Counts = readonly (readonly [id: string, count: number])[];

  function weightsOf(interactions: Counts, session: Counts, purchases: Counts): Map<string, number> {
    const handles = new Handles();
    const touched = (counts: Counts): TouchedItems => {
      const list = new TouchedItems(handles);
      for (const [id] of counts) handles.intern(id);
      const entries = counts.map(([item_id, count]) => ({ item_id, count, quantity: count, firstMs: 0, lastMs: 0 }));
      list.load({ eachInHistory: (_state, _name, visit) => entries.forEach(visit) }, undefined, '');
      return list;
    };
    const out = new HandleMap();
    historyWeights(touched(interactions), touched(session), touched(purchases), out);
    return new Map(Array.from({ length: out.count }, (_, at) => [handles.idOf(out.handleAt(at)), out.scores[at]!]));
  }

  test('grow less with each repetition, and a purchase says more than a look', () => {
    expect(historyWeight(0, 0)).toBe(0);
    expect(historyWeight(2, 0) - historyWeight(1, 0)).toBeLessThan(historyWeight(1, 0));
    expect(historyWeight(1, 1)).toBeCloseTo(3 * historyWeight(1, 0), 12);
  });

  test('count what session and user share once', () => {
    const weights = weightsOf(
      [
        ['a', 3],
        ['b', 1],
      ],
      [
        ['a', 2],
        ['c', 1],
      ],
      [
        ['a', 1],
        ['d', 4],
      ],
    );
    expect([...weights.keys()]).toEqual(['a', 'b', 'c', 'd']);
    expect(weights.get('a')).toBe(historyWeight(3, 1));
    expect(weights.get('c')).toBe(historyWeight(1, 0));
    // Bought without a look that is still remembered: at least as many looks as purchases.
    expect(weights.get('d')).toBe(historyWeight(4, 4));
  });

  test('of more items than the map had room for are all there', () => {
    const many = Array.from({ length: 3_000 }, (_, i) => [`i${i}`, (i % 7) + 1] as const);
    const weights = weightsOf(many, [], []);
    expect(weights.size).toBe(3_000);
    for (const [id, count] of many) expect(weights.get(id)).toBe(historyWeight(count, 0));
  });

  test('of nothing are none', () => {
    expect(weightsOf([], [], []).size).toBe(0);
  });
});
