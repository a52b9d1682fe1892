import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { seededRandom } from '../../learners/random.ts';
import { COLUMNS, evaluate, FOLDS, hashFold, readSessions } from './purchase-intention.ts';

test('folds are those of the protocol', () => {
  expect([0, 1, 2, 3, 4].map((key) => hashFold(key, 5))).toEqual([1, 0, 0, 0, 2]);
  const sizes = new Array<number>(FOLDS).fill(0);
  for (let row = 0; row < 12_330; row++) sizes[hashFold(row, FOLDS)]! += 1;
  expect(sizes).toEqual([2533, 2408, 2447, 2531, 2411]);
});

test('reads sessions in file order and scores learners that see no test row', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'gatehouse-test-'));
  try {
    const random = seededRandom(1);
    const lines = Array.from({ length: 600 }, (_, row) => {
      const pageValue = random.next() < 0.3 ? 30 * random.next() : 0;
      const month = ['Nov', 'May', 'Feb'][random.int(3)]!;
      const purchased = random.next() < (pageValue > 0 ? 0.6 : 0.05) + (month === 'Nov' ? 0.2 : 0);
      const value = { page_value: pageValue, month, visitor_type: 'New_Visitor', weekend: row % 7 > 4 } as Record<string, unknown>;
      return [...COLUMNS.map((name) => value[name] ?? random.int(5)), purchased].join(',');
    });
    const path = join(folder, 'sessions.csv');
    writeFileSync(path, [[...COLUMNS, 'purchased'].join(','), ...lines].join('\n'));
    const data = await readSessions(path);
    expect(data.n).toBe(600);
    const month = COLUMNS.indexOf('month');
    // Feb, May, Nov: in byte order.
    const first = lines[0]!.split(',')[month]!;
    expect(data.rows[month]).toBe(['Feb', 'May', 'Nov'].indexOf(first));
    const reports: string[] = [];
    const small = { numIterations: 20, numLeaves: 4, minDataInLeaf: 10 };
    const { boosting, forest } = await evaluate(data, 1, [small, { ...small, numLeaves: 8 }], (report) => reports.push(report));
    expect(reports.length).toBe(FOLDS);
    for (const scores of [boosting, forest]) {
      expect(scores.auc).toBeGreaterThan(0.75);
      expect(scores.auc).toBeLessThan(0.95);
      expect(scores.f1).toBeGreaterThan(0.4);
    }
    // Labels by chance: nothing is learned that holds on other rows.
    const chance = { ...data, labels: data.labels.map(() => random.int(2)) };
    const blind = await evaluate(chance, 1, [small], () => {});
    expect(Math.abs(blind.boosting.auc - 0.5)).toBeLessThan(0.08);
  } finally {
    rmSync(folder, { recursive: true });
  }
});

test('says so when the data are absent', async () => {
  await expect(readSessions(join(tmpdir(), 'gatehouse-no-such-file.parquet'))).rejects.toMatchObject({ code: 'input_unreadable' });
});
