import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { seededRandom } from '../../learners/random.ts';
import { chooseCandidate } from './next-purchase.ts';
import { createFits } from './next-purchase-models.ts';
import { DAY_MS, decayedSums, type Lines, measureLists, readLines, splitAt } from './purchases.ts';

const CUT_MS = Date.UTC(2011, 10, 9);

/** Lines as [customer, invoice, code, days before the cut]. */
function linesOf(...rows: readonly (readonly [customer: number, invoice: string, code: string, daysBefore: number])[]): Lines {
  return {
    customers: rows.map(([customer]) => customer),
    invoices: rows.map(([, invoice]) => invoice),
    codes: rows.map(([, , code]) => code),
    atMs: rows.map(([, , , days]) => CUT_MS - days * DAY_MS),
  };
}

const lines = linesOf(
  [7, 'a', '10002', 40],
  [7, 'a', '10002', 40],
  [7, 'b', '10002', 20],
  [7, 'b', '10001', 20],
  [3, 'c', '10003', 10],
  [3, 'c', '10002', 10],
  // After the cut: 7 buys what it had, what others had, and what is new; 3 what it had; 9 was not there before.
  [7, 'd', '10001', -1],
  [7, 'd', '10003', -1],
  [7, 'd', '10009', 0],
  [3, 'e', '10003', -5],
  [9, 'f', '10001', -5],
);

describe('the split', () => {
  const split = splitAt(lines, CUT_MS, Infinity);

  test('numbers customers and codes in order; an item on one invoice counts once', () => {
    expect(split.codes).toEqual(['10001', '10002', '10003']);
    expect([split.users, split.items, split.purchases.length]).toEqual([2, 3, 5]);
    // Customer 3 is user 0.
    expect(split.bought).toEqual(
      new Map([
        [1, [0, 2, 3]],
        [0, [2]],
      ]),
    );
    expect([...split.buyers]).toEqual([1, 2, 1]);
    expect([...split.buyersRecently]).toEqual([1, 2, 1]);
    expect([...splitAt(lines, CUT_MS + 15 * DAY_MS, Infinity).buyersRecently]).toEqual([2, 1, 2, 1]);
    expect(splitAt(lines, CUT_MS, CUT_MS + DAY_MS).bought).toEqual(new Map([[1, [3]]]));
  });

  test('sums decay by half-life', () => {
    const sums = decayedSums(split, 20);
    expect([...sums.indptr]).toEqual([0, 2, 4]);
    expect([...sums.indices]).toEqual([1, 2, 0, 1]);
    [Math.SQRT1_2, Math.SQRT1_2, 0.5, 0.75].forEach((value, i) => {
      expect(sums.values[i]).toBeCloseTo(value, 6);
    });
    expect([...decayedSums(split, Infinity).values]).toEqual([1, 1, 1, 2]);
    expect([...split.held.values]).toEqual([1, 1, 1, 1]);
  });

  test('lists are measured by hand: unseen items stay relevant, items held before are left out of variant (b)', () => {
    // All equal: the more recent buyers first, then the lower code: 1, 0, 2.
    const scorer = () => [0, 0, 0];
    const any = measureLists(split, scorer, 'any');
    const [second, third] = [1 / Math.log2(3), 1 / Math.log2(4)];
    expect(any.users).toBe(2);
    expect(any.recall).toBeCloseTo((2 / 3 + 1) / 2, 12);
    expect(any.ndcg).toBeCloseTo(((second + third) / (1 + second + third) + third) / 2, 12);
    // User 1 may get item 2 alone, and wants it and the unseen one; user 0 wants nothing new.
    expect(measureLists(split, scorer, 'new')).toEqual({ recall: 0.5, ndcg: 1 / (1 + second), hitRate: 1, users: 1 });
  });
});

test('reads clean lines alone', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'gatehouse-test-'));
  try {
    const path = join(folder, 'retail.csv');
    const rows = [
      '1,10001a,5,2011-01-02 03:04:00,1.5,7',
      'C2,10001,5,2011-01-02 03:04:00,1.5,7',
      '3,POST,5,2011-01-02 03:04:00,1.5,7',
      '4,10001,-5,2011-01-02 03:04:00,1.5,7',
      '5,10001,5,2011-01-02 03:04:00,0,7',
      '6,10001,5,2011-01-02 03:04:00,1.5,',
      '7,100012,5,2011-01-02 03:04:00,1.5,7',
    ];
    writeFileSync(path, ['invoice_no,stock_code,quantity,invoice_date,unit_price,customer_id', ...rows].join('\n'));
    expect(await readLines(path)).toEqual({ customers: [7], invoices: ['1'], codes: ['10001a'], atMs: [Date.UTC(2011, 0, 2, 3, 4)] });
  } finally {
    rmSync(folder, { recursive: true });
  }
  await expect(readLines(join(folder, 'gone.parquet'))).rejects.toMatchObject({ code: 'input_unreadable' });
});

describe('every model', () => {
  /** Customers of three tastes who buy within their taste, again and again. */
  function tastes(): Lines {
    const random = seededRandom(1);
    const rows: [number, string, string, number][] = [];
    for (let customer = 0; customer < 60; customer++) {
      for (let invoice = 0; invoice < 6; invoice++) {
        const days = invoice === 5 ? -1 : 150 * random.next();
        for (let line = 0; line < 6; line++) {
          const item = random.next() < 0.9 ? 3 * random.int(20) + (customer % 3) : random.int(60);
          rows.push([customer, `${customer}-${invoice}`, String(10_000 + item), days]);
        }
      }
    }
    return linesOf(...rows);
  }

  const fits = createFits(splitAt(tastes(), CUT_MS, Infinity));
  const popular = measureLists(fits.split, () => fits.split.buyersRecently, 'new');

  test.each([
    ['item-kNN', () => fits.itemKnn({ weighting: 'bm25' }, true)],
    ['EASE', () => fits.ease(20, 0)],
    ['EASE with a decayed profile', () => fits.ease(20, 60)],
    ['ALS', () => fits.als({ factors: 8, iterations: 8 }, 1)],
    ['BPR', () => fits.bpr({ factors: 8, iterations: 60 }, 1)],
    ['user-kNN', () => fits.userKnn(120, 60, [0, 1, 0])],
    ['user-kNN with EASE', () => fits.userKnn(120, 60, [0, 1, 0.1], [0.3, 20, 60])],
    ['mixture', () => fits.mixture({ own: [1, 120], ease: [1, 20, 60], popular: 0.1 })],
  ])('%s ranks new items far better than popularity does', async (_, build) => {
    const scores = measureLists(fits.split, await build(), 'new');
    expect(scores.users).toBe(popular.users);
    expect(scores.ndcg).toBeGreaterThan(1.4 * popular.ndcg);
  });

  test('own items are those that were bought, the most often bought first', async () => {
    const scores = (await fits.own(Infinity))(0);
    const { held } = fits.split;
    const bought = held.indices.subarray(held.indptr[0]!, held.indptr[1]!);
    expect(Array.from(scores).filter((score) => score > 0).length).toBe(bought.length);
  });

  test('the better candidate is chosen', async () => {
    const report: string[] = [];
    const candidates = [
      { label: 'nothing', build: async () => () => new Float64Array(fits.split.items) },
      { label: 'neighbours', build: () => fits.userKnn(120, 60, [0, 1, 0]) },
    ];
    expect((await chooseCandidate(fits, candidates, 'new', (line) => report.push(line))).label).toBe('neighbours');
    expect(report).toHaveLength(2);
  });
});
