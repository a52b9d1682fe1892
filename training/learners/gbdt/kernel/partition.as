import { CHUNK_ROWS, chunkEnd, columnAt } from './common';

// Splits a leaf's rows in two steps, both in chunks. Step 1: each chunk writes its left rows from the front and its right rows from the back of its
// own stretch of `spare`, without a branch: every row is written to both ends, one of which keeps it. counts[task] = rows on the left.
export function partition(rows: usize, spare: usize, bins: usize, n: u32, feature: u32, goesLeft: usize, start: u32, count: u32, counts: usize, task: u32): void {
  const column = columnAt(bins, n, feature);
  const first = start + task * CHUNK_ROWS;
  const end = start + chunkEnd(count, task);
  let left = spare + (<usize>first << 2);
  let right = spare + (<usize>(end - 1) << 2);
  for (let i = first; i < end; i++) {
    const row = load<u32>(rows + (<usize>i << 2));
    const toLeft = <usize>load<u8>(goesLeft + load<u8>(column + (<usize>row << 3)));
    store<u32>(left, row);
    store<u32>(right, row);
    left += toLeft << 2;
    right -= (1 - toLeft) << 2;
  }
  store<u32>(counts + (<usize>task << 2), <u32>((left - (spare + (<usize>first << 2))) >> 2));
}

// Step 2: each chunk copies its rows to their final places; the order of rows stays ascending. before[task] = left rows of earlier chunks.
// `gather` (1: left, 2: right) says which side's gradient pairs are copied to `ordered`, in the order of the rows.
export function place(
  rows: usize,
  spare: usize,
  pairs: usize,
  ordered: usize,
  start: u32,
  count: u32,
  counts: usize,
  before: usize,
  leftTotal: u32,
  gather: u32,
  task: u32,
): void {
  const first = task * CHUNK_ROWS;
  const size = chunkEnd(count, task) - first;
  const leftCount = load<u32>(counts + (<usize>task << 2));
  const leftBefore = load<u32>(before + (<usize>task << 2));
  const from = spare + (<usize>(start + first) << 2);
  const left = start + leftBefore;
  memory.copy(rows + (<usize>left << 2), from, <usize>leftCount << 2);
  if (gather & 1) {
    for (let i: u32 = 0; i < leftCount; i++) {
      store<u64>(ordered + (<usize>(left + i) << 3), load<u64>(pairs + (<usize>load<u32>(from + (<usize>i << 2)) << 3)));
    }
  }
  const right = start + leftTotal + first - leftBefore;
  const rightCount = size - leftCount;
  const back = from + (<usize>(size - 1) << 2);
  for (let i: u32 = 0; i < rightCount; i++) {
    const row = load<u32>(back - (<usize>i << 2));
    store<u32>(rows + (<usize>(right + i) << 2), row);
    if (gather & 2) store<u64>(ordered + (<usize>(right + i) << 3), load<u64>(pairs + (<usize>row << 3)));
  }
}

// Adds a leaf's value to the scores of its rows. A task is a leaf: (start, count, value f64) in `leaves`.
export function addLeafValues(rows: usize, scores: usize, leaves: usize, task: u32): void {
  const leaf = leaves + (<usize>task << 4);
  const start = load<u32>(leaf);
  const end = start + load<u32>(leaf, 4);
  const value = load<f64>(leaf, 8);
  for (let i = start; i < end; i++) {
    const at = scores + (<usize>load<u32>(rows + (<usize>i << 2)) << 3);
    store<f64>(at, load<f64>(at) + value);
  }
}

// Adds the tree's value to the scores of `count` rows that did not take part in it. A node: (feature or -1, left, right, address of its 256
// bytes of goesLeft) in `nodes`, its value f64 in `values`.
export function addTreeValues(rows: usize, scores: usize, bins: usize, n: u32, start: u32, count: u32, nodes: usize, values: usize, task: u32): void {
  const end = start + chunkEnd(count, task);
  for (let i = start + task * CHUNK_ROWS; i < end; i++) {
    const row = load<u32>(rows + (<usize>i << 2));
    let node: u32 = 0;
    let at = nodes;
    let feature = load<i32>(at);
    while (feature >= 0) {
      const bin = load<u8>(columnAt(bins, n, feature) + (<usize>row << 3));
      node = load<u8>(<usize>load<u32>(at, 12) + bin) ? load<u32>(at, 4) : load<u32>(at, 8);
      at = nodes + (<usize>node << 4);
      feature = load<i32>(at);
    }
    const score = scores + (<usize>row << 3);
    store<f64>(score, load<f64>(score) + load<f64>(values + (<usize>node << 3)));
  }
}
