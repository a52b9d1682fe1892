/**
 * RFM segmentation of the retail customers: k-means and Ward, beside scikit-learn's figures.
 *
 *   npm run build && node dist/training/evaluation/protocols/segments.js [data folder]
 */
import { assign, fitKMeans } from '../../learners/cluster/kmeans.ts';
import type { PointRows } from '../../learners/cluster/points.ts';
import { silhouette } from '../../learners/cluster/silhouette.ts';
import { cut, fitWard } from '../../learners/cluster/ward.ts';
import { readFunction, type Tables } from '../../sources/duckdb.ts';
import { row, say, withData } from './openData.ts';

const FILE = 'uci_online_retail/online_retail.parquet';
/** k, k-means inertia, silhouette and sizes, Ward inertia and silhouette (scikit-learn 1.9, best of 3 seeds x 20 starts). */
const REFERENCE = [
  [2, 6478.948, '0.4343', '2684 1650', 7698.114, '0.4197'],
  [3, 4869.124, '0.3420', '1950 1682 702', 5446.665, '0.2888'],
  [4, 3955.571, '0.3374', '1643 1184 820 687', 4452.945, '0.2862'],
  [5, 3324.121, '0.3164', '1221 1051 958 816 288', 3733.844, '0.2749'],
  [6, 2870.823, '0.3145', '1003 1001 821 678 563 268', 3297.165, '0.2576'],
] as const;
const SEED = 1;
const STARTS = 20;
/** Seeds of the reference differ by less than 0.02 %. */
const INERTIA_SHARE = 0.001;

/** Days since the last purchase, invoices and revenue of each customer: logarithms, standardised. */
async function rfm(tables: Tables): Promise<PointRows> {
  const rows = await tables.all(`
    SELECT floor(date_diff('second', max(invoice_date), TIMESTAMP '2011-12-10') / 86400)::DOUBLE,
           count(DISTINCT invoice_no)::DOUBLE, sum(quantity * unit_price)::DOUBLE
    FROM ${readFunction(tables.files)}
    WHERE customer_id IS NOT NULL AND invoice_no NOT LIKE 'C%' AND quantity > 0 AND unit_price > 0
      AND regexp_full_match(stock_code, '[0-9]{5}[A-Za-z]*')
    GROUP BY customer_id ORDER BY customer_id`);
  const columns = 3;
  const values = Float64Array.from(rows.flat(), (value) => Math.log1p(Number(value)));
  for (let c = 0; c < columns; c++) {
    const column = values.filter((_, i) => i % columns === c);
    const mean = column.reduce((a, b) => a + b, 0) / rows.length;
    const sd = Math.sqrt(column.reduce((sum, x) => sum + (x - mean) ** 2, 0) / rows.length);
    say(`column ${c}: mean ${mean.toFixed(6)}, sd ${sd.toFixed(6)}`);
    for (let i = c; i < values.length; i += columns) values[i] = (values[i]! - mean) / sd;
  }
  return { values, columns };
}

function inertiaOf({ values, columns }: PointRows, labels: Uint32Array, clusters: number): number {
  const sums = new Float64Array(clusters * columns);
  const sizes = new Float64Array(clusters);
  labels.forEach((label, i) => {
    sizes[label]! += 1;
    for (let c = 0; c < columns; c++) sums[label * columns + c]! += values[i * columns + c]!;
  });
  let total = 0;
  labels.forEach((label, i) => {
    for (let c = 0; c < columns; c++) total += (values[i * columns + c]! - sums[label * columns + c]! / sizes[label]!) ** 2;
  });
  return total;
}

await withData(FILE, async (tables) => {
  const points = await rfm(tables);
  say(`${points.values.length / points.columns} customers (reference 4334)`);
  say(row('', ['inertia', 'reference', 'silhouette', 'reference', '']));
  const started = process.cpuUsage();
  for (const [k, inertia, score, sizes] of REFERENCE) {
    const model = fitKMeans(points, { clusters: k, starts: STARTS }, { seed: SEED });
    const own = silhouette(points, assign(model, points.values));
    const verdict = model.inertia <= inertia * (1 + INERTIA_SHARE) ? 'met' : 'missed';
    say(row(`k-means ${k}`, [model.inertia.toFixed(3), inertia, own.toFixed(4), score, verdict]));
    say(`    sizes ${[...model.sizes].join(' ')} (reference ${sizes})`);
  }
  const tree = fitWard(points, {}, {});
  for (const [k, , , , inertia, score] of REFERENCE) {
    const labels = cut(tree, k);
    say(row(`Ward ${k}`, [inertiaOf(points, labels, k).toFixed(3), inertia, silhouette(points, labels).toFixed(4), score, '']));
  }
  say(`${(process.cpuUsage(started).user / 1e6).toFixed(1)} s of processor time`);
});
