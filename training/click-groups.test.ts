import { expect, test } from 'vitest';
import type { RetrievalModels } from '../scoring/recommend/retrieval.ts';
import { withClicks } from './click-groups.ts';
import { ListRows, type SeenList } from './list-rows.ts';

const DATA = { rows: Float32Array.of(1, 2), n: 2, f: 1, labels: Float32Array.of(2, 0), groups: Int32Array.of(2) };
const CURVES = { home: { lists: 900, clicks: 300, examined: [1, 0.5, 0.25] } };
const LIST: SeenList = {
  placement: 'home',
  visitor: 'u1',
  places: Uint8Array.of(0, 1, 2),
  clicked: Uint8Array.of(0, 1, 1),
  rows: Float32Array.of(10, 11, 12),
};

function period(...lists: SeenList[]): ListRows {
  const rows = new ListRows({} as RetrievalModels);
  rows.restore({ width: 1, lists });
  return rows;
}

test('a click is a query of its own: its item above those that were passed, each with what its place does for it', () => {
  const { rows, n, labels, groups, offsets } = withClicks(DATA, [period(LIST)], CURVES);
  expect(n).toBe(6);
  expect([...groups!]).toEqual([2, 2, 2]);
  // The other click of the list is no evidence against it.
  expect([...rows]).toEqual([1, 2, 10, 11, 10, 12]);
  expect([...labels]).toEqual([2, 0, 0, 1, 0, 1]);
  expect([...offsets!]).toEqual([0, 0, 0, Math.log(0.5), 0, Math.log(0.25)].map(Math.fround));
});

test('without lists, and of lists without clicks, with nothing else, or of a placement that nothing is known of, nothing changes', () => {
  expect(withClicks(DATA, [period()], CURVES)).toBe(DATA);
  const silent = { ...LIST, clicked: new Uint8Array(3) };
  const full = { ...LIST, clicked: Uint8Array.of(1, 1, 1) };
  expect(withClicks(DATA, [period(silent, full, { ...LIST, placement: 'cart' })], CURVES)).toBe(DATA);
});
