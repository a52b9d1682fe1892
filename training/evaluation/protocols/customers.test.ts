import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { seededRandom } from '../../learners/random.ts';
import { evaluate, foldOf, LEARNERS, readCustomers } from './customers.ts';

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'gatehouse-test-'));
});
afterAll(() => rmSync(folder, { recursive: true }));

const HEADER = 'invoice_no,stock_code,quantity,invoice_date,unit_price,customer_id,country';

function write(name: string, lines: readonly string[]): string {
  const path = join(folder, name);
  writeFileSync(path, [HEADER, ...lines].join('\n'));
  return path;
}

test('features of a customer, by hand: nothing of them comes from behind the cut', async () => {
  const customers = await readCustomers(
    write('small.csv', [
      // Three purchase days 10 and 20 days apart, the last 5 days before the cut at noon; two lines on the first invoice.
      'A1,12345,2,2011-10-05 12:00:00,1.5,17,United Kingdom',
      'A1,12346a,1,2011-10-05 12:00:00,4,17,United Kingdom',
      'A2,12345,1,2011-10-15 12:00:00,1.5,17,United Kingdom',
      'A3,12345,10,2011-11-04 12:00:00,1,17,United Kingdom',
      // A return, postage, a gift: none of them is a clean line.
      'CA4,12345,-1,2011-11-05 12:00:00,1.5,17,United Kingdom',
      'A5,POST,1,2011-11-06 12:00:00,5,17,United Kingdom',
      'A6,12345,1,2011-11-06 12:00:00,0,17,United Kingdom',
      // Behind the cut, within 30 days.
      'A7,12345,100,2011-11-20 12:00:00,100,17,United Kingdom',
      // One purchase; then another when the 30 days are over. And one who comes only later.
      'B1,12345,1,2011-11-08 12:00:00,2,18,France',
      'B2,12345,1,2011-12-09 00:00:00,2,18,France',
      'D1,12345,1,2011-11-20 12:00:00,2,19,France',
    ]),
  );
  expect(customers.n).toBe(2);
  expect([...customers.labels]).toEqual([1, 0]);
  expect([...customers.folds]).toEqual([foldOf(17), foldOf(18)]);
  const [first, second] = [customers.rows.slice(0, customers.f), customers.rows.slice(customers.f)];
  // recency, age, invoices, days, revenue, lines, items, quantity, price, revenue an invoice, gaps: mean, sd, last, recency in gaps.
  const head = [4.5, 34.5, 3, 3, 18.5, 4, 2, 14, 2, 18.5 / 3, 15, Math.sqrt(50), 20, 0.3];
  const windows = [1, 10, 2, 11.5, 3, 18.5, 3, 18.5, 3, 18.5];
  [...head, ...windows, 0, 1, 1].forEach((wanted, i) => {
    expect(first[i]).toBeCloseTo(wanted, 5);
  });
  expect([...second.slice(10, 14)]).toEqual([Number.NaN, Number.NaN, Number.NaN, Number.NaN]);
  expect([...second.slice(-3)]).toEqual([0, 0, 0]);
});

test('every learner sees who comes often, and nothing where labels are chance', async () => {
  const random = seededRandom(1);
  const lines: string[] = [];
  for (let customer = 1000; customer < 1250; customer++) {
    const everyDays = customer % 2 === 0 ? 8 : 70;
    for (let day = random.int(everyDays); day < 130; day += 1 + Math.floor(2 * everyDays * random.next())) {
      const date = new Date(Date.UTC(2011, 7, 1 + day, 9)).toISOString().slice(0, 10);
      lines.push(`I${lines.length},2${random.int(10)}345,${1 + random.int(9)},${date} 09:00:00,${1 + random.int(5)},${customer},France`);
    }
  }
  const customers = await readCustomers(write('many.csv', lines));
  const blind = { ...customers, labels: customers.labels.map(() => random.int(2)) };
  for (const { name, learner } of LEARNERS) {
    const scores = await evaluate(customers, learner, 1);
    expect(scores.auc, name).toBeGreaterThan(0.7);
    expect(scores.ap, name).toBeGreaterThan(0.5);
    expect(Math.abs((await evaluate(blind, learner, 1)).auc - 0.5), name).toBeLessThan(0.12);
  }
});

test('a customer is in the fold of the reference, which hashed the text of a float', () => {
  // The first 32 bits of the MD5 of 0.0 to 4.0, modulo 5, by Python's hashlib.
  expect([0, 1, 2, 3, 4].map(foldOf)).toEqual([1, 1, 2, 4, 3]);
});

test('says so when the data are absent', async () => {
  await expect(readCustomers(join(tmpdir(), 'gatehouse-no-such-file.parquet'))).rejects.toMatchObject({ code: 'input_unreadable' });
});
