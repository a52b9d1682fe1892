import { decode, encode } from '@msgpack/msgpack';
import { expect, test } from 'vitest';
import type { NeighboursFile, PopularityFile } from '../../contracts/bundle.ts';
import { NeighbourTable, PopularityTable } from './retrieval.ts';

const bytesOf = (words: Uint32Array | Float32Array): Uint8Array => new Uint8Array(words.buffer);
const neighbours: NeighboursFile = {
  ids: ['a', 'b', 'c'],
  indptr: bytesOf(Uint32Array.of(0, 2, 3, 3)),
  neighbours: bytesOf(Uint32Array.of(1, 2, 0)),
  similarities: bytesOf(Float32Array.of(0.75, 0.5, 0.25)),
};
const popularity: PopularityFile = { ids: ['a', 'b'], scores: bytesOf(Float32Array.of(1, 0.5)) };

/** As a bundle is read: a Buffer somewhere in a larger one, at each alignment. */
const asRead = (table: NeighboursFile | PopularityFile, shift: number): unknown => {
  const encoded = encode(table);
  return decode(Buffer.concat([Buffer.alloc(shift), encoded, Buffer.alloc(7)]).subarray(shift, shift + encoded.length));
};

test.each([0, 1, 2, 3])('tables are read from a file at any alignment (%i)', (shift) => {
  const table = NeighbourTable.fromFile(asRead(neighbours, shift) as NeighboursFile);
  const seen: [string, number][] = [];
  for (const id of ['a', 'b', 'c']) table.each(id, 10, (other, similarity) => seen.push([id + other, similarity]));
  expect(seen).toEqual([
    ['ab', 0.75],
    ['ac', 0.5],
    ['ba', 0.25],
  ]);
  const popular = PopularityTable.fromFile(asRead(popularity, shift) as PopularityFile);
  expect([popular.score('a'), popular.score('b'), popular.score('c')]).toEqual([1, 0.5, 0]);
});

test('a popularity table that does not hold together is refused', () => {
  expect(() => PopularityTable.fromFile({ ...popularity, ids: ['a'] })).toThrow('bundle_corrupt');
  expect(() => PopularityTable.fromFile({ ...popularity, scores: new Uint8Array(3) })).toThrow('bundle_corrupt');
});
