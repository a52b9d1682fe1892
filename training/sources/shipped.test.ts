import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { describeWith } from '../../test/describe-with.ts';
import { rowsOf } from '../../test/e2e/real-data.ts';
import { dataSet } from '../../test/services.ts';
import { importFile } from './import.ts';

/** Rows that a test reads of a large set. Whether each row fits its mapping doesn't need them all. */
const ROWS_MAX = 40_000;

interface Shipped {
  readonly mapping: string;
  readonly file: string;
  /** Rows of the whole set, as its own description counts them. */
  readonly rows: number;
  /** What the mapping makes of the rows that the test reads. */
  readonly events: Readonly<Record<string, number>>;
}

const SETS: readonly Shipped[] = [
  { mapping: 'abs-retail', file: 'abs_aus_retail/monthly_turnover.parquet', rows: 64_532, events: { purchase: ROWS_MAX } },
  { mapping: 'clothing-reviews', file: 'womens_clothing_reviews/reviews.parquet', rows: 18_833, events: { review: 18_833 } },
  { mapping: 'diginetica', file: 'diginetica_sessions/session_clicks.parquet', rows: 982_961, events: { view_item: ROWS_MAX } },
  { mapping: 'eshop-clickstream', file: 'uci_eshop_clickstream/clicks.parquet', rows: 165_474, events: { view_item: ROWS_MAX } },
  {
    mapping: 'fraud-handbook',
    file: 'fraud_handbook_simulated/transactions.parquet',
    rows: 1_303_778,
    events: { payment_attempt: ROWS_MAX, label: ROWS_MAX },
  },
  { mapping: 'hillstrom-email', file: 'hillstrom_email/campaign.parquet', rows: 64_000, events: {} },
  { mapping: 'online-retail', file: 'uci_online_retail/online_retail.parquet', rows: 541_909, events: {} },
  {
    mapping: 'online-shoppers',
    file: 'uci_online_shoppers_intention/sessions.parquet',
    rows: 12_330,
    events: { page_view: 12_330, begin_checkout: 1_908 },
  },
  { mapping: 'weekly-sales', file: 'uci_sales_transactions_weekly/weekly_sales.parquet', rows: 42_172, events: {} },
];

test('every shipped mapping is tried on its data set', async () => {
  const names = (await readdir(new URL('./mappings/', import.meta.url))).map((name) => name.replace(/\.json$/, ''));
  expect(SETS.map(({ mapping }) => mapping).sort()).toEqual(names.sort());
});

for (const { mapping, file, rows, events } of SETS) {
  const set = dataSet(file);
  describeWith(set, `the mapping ${mapping} on its data set`, () => {
    let dir: string;
    beforeAll(async () => {
      dir = await mkdtemp(join(tmpdir(), 'gatehouse-shipped-'));
    });
    afterAll(() => rm(dir, { recursive: true, force: true }));

    test('refuses no row', async () => {
      expect(await rowsOf(`SELECT count(*) FROM '${set.path}'`)).toEqual([[rows]]);
      const part = join(dir, 'part.parquet');
      await rowsOf(`COPY (SELECT * FROM '${set.path}' LIMIT ${ROWS_MAX}) TO '${part}'`);
      const taken: Record<string, number> = {};
      const report = await importFile({
        mapping,
        path: part,
        table: { tempDir: dir },
        sink: async (batch) => {
          for (const { name } of batch) taken[name] = (taken[name] ?? 0) + 1;
        },
      });
      expect(report.refused).toEqual({});
      expect(report.duplicates).toBe(0);
      expect(report.events).toEqual(taken);
      expect(report.events).toMatchObject(events);
      expect(Object.values(taken).reduce((sum, count) => sum + count, 0)).toBeGreaterThan(500);
    });
  });
}
