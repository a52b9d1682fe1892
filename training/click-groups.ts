import type { GbdtRows } from './learners/gbdt/objective.ts';
import type { ListRows } from './list-rows.ts';
import { type PlaceCurves, placeOffset } from './position-bias.ts';

/** What is clicked on in a list is wanted like what is touched in a visit. */
const CLICKED = 1;

/** A click on a list, among what was passed over. */
export interface Click {
  /** The list's rows of the `rank` set. */
  readonly from: Float32Array;
  /** Rows of the list: the item clicked on, and those that were not. */
  readonly rows: readonly number[];
  readonly clicked: number;
  /** What the place does for each of `rows`, in logarithms. */
  readonly offsets: readonly number[];
}

/**
 * The rows with clicks on shown lists behind them: a query a click, the item clicked on above those beside it that were not. What the place does for a row
 * is added to its score while learning and is no part of the model: a click at the top says little, one far down much. Counting clicks by their inverse
 * propensities instead (Joachims et al. 2017) is as unbiased, but did worse on the simulated shop: few clicks far down decided too much. Lists of
 * placements without a curve are left out.
 */
export function withClicks(data: GbdtRows, periods: readonly ListRows[], curves: PlaceCurves): GbdtRows {
  const { f } = data;
  const clicks = clicksOf(periods, curves);
  if (clicks.length === 0) return data;
  const n = data.n + clicks.reduce((sum, { rows }) => sum + rows.length, 0);
  const rows = new Float32Array(n * f);
  const labels = new Float32Array(n);
  const offsets = new Float32Array(n);
  const groups = new Int32Array(data.groups!.length + clicks.length);
  rows.set(data.rows);
  labels.set(data.labels);
  groups.set(data.groups!);
  let at = data.n;
  clicks.forEach((click, query) => {
    groups[data.groups!.length + query] = click.rows.length;
    click.rows.forEach((row, i) => {
      rows.set(click.from.subarray(row * f, (row + 1) * f), at * f);
      labels[at] = row === click.clicked ? CLICKED : 0;
      offsets[at++] = click.offsets[i]!;
    });
  });
  return { rows, n, f, labels, groups, offsets };
}

/** Lists of placements without a curve are left out. */
export function clicksOf(periods: readonly ListRows[], curves: PlaceCurves): Click[] {
  const clicks: Click[] = [];
  for (const { placement, places, clicked, rows: from } of periods.flatMap(({ lists }) => lists)) {
    const curve = curves[placement];
    if (curve === undefined) continue;
    const passed = [...clicked.keys()].filter((row) => clicked[row] === 0);
    for (const [row, isClicked] of clicked.entries()) {
      if (isClicked === 0 || passed.length === 0) continue;
      const rows = [row, ...passed].sort((a, b) => a - b);
      clicks.push({ from, rows, clicked: row, offsets: rows.map((other) => placeOffset(curve, places[other]!)) });
    }
  }
  return clicks;
}
