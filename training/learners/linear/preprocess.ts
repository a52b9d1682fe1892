import type { GraphBuilder } from '../../onnx/graph.ts';
import { requireParam } from '../contract.ts';
import type { TableRows } from './table.ts';

export interface PreprocessParams {
  /** Columns whose numbers are names: each value that was met gets a column of its own. */
  categorical: readonly number[];
  /** Columns that enter as sign(x) ln(1 + |x|): counts, amounts, ages. */
  logarithmic: readonly number[];
}

/** A fitted step from raw features to the columns of a linear model: numbers, then signs of missing ones, then categories. */
export interface Preprocess {
  readonly featureCount: number;
  /** Raw columns that are numbers, ascending; their centre and 1 / sd beside them, float32 values (0: the column is constant). */
  readonly numeric: readonly number[];
  readonly isLogarithmic: readonly boolean[];
  readonly centre: readonly number[];
  readonly inverseScale: readonly number[];
  /** Places in `numeric` that were missing in some rows but not in all: whether they are is a column. */
  readonly indicators: readonly number[];
  /** Raw column and value of each category's column. */
  readonly categories: readonly { readonly column: number; readonly value: number }[];
}

/** Categories kept of one column, the most frequent first: the others are as good as unseen, and a row of a table stays short. */
const CATEGORIES_MAX = 256;
/** A spread this small beside the centre is the rounding of float32. */
const SPREAD_MIN = 1e-7;

/** Columns that a row has afterwards. */
export function widthOf({ numeric, indicators, categories }: Preprocess): number {
  return numeric.length + indicators.length + categories.length;
}

/**
 * Learns centre, scale and categories. Numbers that are missing or infinite take the centre, as do those of later rows; a category that was not
 * met, or is missing, has zeros in all columns of its feature. Throws a RangeError for a column that is not there or declared twice.
 */
export function fitPreprocess({ rows, n, f }: Pick<TableRows, 'rows' | 'n' | 'f'>, given: Partial<PreprocessParams> = {}): Preprocess {
  const categorical = new Set(given.categorical);
  const logarithmic = new Set(given.logarithmic);
  for (const column of [...categorical, ...logarithmic]) {
    requireParam(Number.isInteger(column) && column >= 0 && column < f, `there is no column ${column}`);
    requireParam(!(categorical.has(column) && logarithmic.has(column)), `column ${column} is both a category and a number`);
  }
  const numeric = Array.from({ length: f }, (_, column) => column).filter((column) => !categorical.has(column));
  const isLogarithmic = numeric.map((column) => logarithmic.has(column));
  const moments = numeric.map((column, place) => momentsOf(rows, n, f, column, isLogarithmic[place]!));
  return {
    featureCount: f,
    numeric,
    isLogarithmic,
    centre: moments.map(({ centre }) => centre),
    inverseScale: moments.map(({ inverseScale }) => inverseScale),
    indicators: numeric.map((_, place) => place).filter((place) => moments[place]!.present > 0 && moments[place]!.present < n),
    categories: [...categorical].sort((a, b) => a - b).flatMap((column) => categoriesOf(rows, n, f, column)),
  };
}

/** The rows as the linear model sees them: row-major n x widthOf. */
export function transform(preprocess: Preprocess, rows: Float32Array): Float32Array {
  const { featureCount: f, numeric, isLogarithmic, centre, inverseScale, indicators, categories } = preprocess;
  requireParam(rows.length % f === 0, `rows must hold a multiple of ${f} values, not ${rows.length}`);
  const n = rows.length / f;
  const width = widthOf(preprocess);
  const out = new Float32Array(n * width);
  for (let row = 0; row < n; row++) {
    const from = row * f;
    let to = row * width;
    for (let place = 0; place < numeric.length; place++, to++) {
      const x = numberOf(rows[from + numeric[place]!]!, isLogarithmic[place]!);
      if (Number.isFinite(x)) out[to] = (x - centre[place]!) * inverseScale[place]!;
    }
    for (const place of indicators) out[to++] = Number.isFinite(rows[from + numeric[place]!]!) ? 0 : 1;
    for (const { column, value } of categories) out[to++] = rows[from + column] === value ? 1 : 0;
  }
  return out;
}

/** The same step as nodes: `features` float [N, featureCount] to float [N, widthOf]; returns the name of the result. */
export function preprocessGraph(graph: GraphBuilder, features: string, preprocess: Preprocess): string {
  const { numeric, isLogarithmic, centre, inverseScale, indicators, categories } = preprocess;
  const parts: string[] = [];
  const vector = (name: string, values: readonly number[]) => graph.initializer(name, Float32Array.from(values), [values.length]);
  if (numeric.length > 0) {
    const raw = graph.node('Gather', [features, graph.ints(...numeric)], { axis: { i: 1 } });
    // x - x is NaN for NaN and for both infinities, and 0 for every number.
    const isMissing = graph.node('IsNaN', [graph.node('Sub', [raw, raw])]);
    const filled = graph.node('Where', [isMissing, vector('centre', centre), logarithmGraph(graph, raw, isLogarithmic)]);
    parts.push(graph.node('Mul', [graph.node('Sub', [filled, 'centre']), vector('inverse_scale', inverseScale)]));
    if (indicators.length > 0) {
      const marks = graph.node('Gather', [isMissing, graph.ints(...indicators)], { axis: { i: 1 } });
      parts.push(graph.node('Cast', [marks], { to: { i: FLOAT } }));
    }
  }
  if (categories.length > 0) {
    const raw = graph.node('Gather', [features, graph.ints(...categories.map(({ column }) => column))], { axis: { i: 1 } });
    const equal = graph.node('Equal', [
      raw,
      vector(
        'categories',
        categories.map(({ value }) => value),
      ),
    ]);
    parts.push(graph.node('Cast', [equal], { to: { i: FLOAT } }));
  }
  return parts.length === 1 ? parts[0]! : graph.node('Concat', parts, { axis: { i: 1 } });
}

/** TensorProto.DataType of float32. */
const FLOAT = 1;

function logarithmGraph(graph: GraphBuilder, raw: string, isLogarithmic: readonly boolean[]): string {
  if (!isLogarithmic.includes(true)) return raw;
  const mask = graph.initializer('is_logarithmic', Uint8Array.from(isLogarithmic, Number), [isLogarithmic.length], 'bool');
  const logarithm = graph.node('Log', [graph.node('Add', [graph.node('Abs', [raw]), graph.scalar(1)])]);
  return graph.node('Where', [mask, graph.node('Mul', [graph.node('Sign', [raw]), logarithm]), raw]);
}

function numberOf(raw: number, isLogarithmic: boolean): number {
  return isLogarithmic ? Math.sign(raw) * Math.log1p(Math.abs(raw)) : raw;
}

function momentsOf(rows: Float32Array, n: number, f: number, column: number, isLogarithmic: boolean) {
  let [present, sum] = [0, 0];
  const each = (use: (x: number) => void) => {
    for (let row = 0; row < n; row++) {
      const x = numberOf(rows[row * f + column]!, isLogarithmic);
      if (Number.isFinite(x)) use(x);
    }
  };
  each((x) => {
    present++;
    sum += x;
  });
  const mean = present > 0 ? sum / present : 0;
  let squares = 0;
  each((x) => {
    squares += (x - mean) * (x - mean);
  });
  const spread = present > 0 ? Math.sqrt(squares / present) : 0;
  const isConstant = !(spread > SPREAD_MIN * Math.abs(mean));
  return { present, centre: Math.fround(mean), inverseScale: isConstant ? 0 : Math.fround(1 / spread) };
}

function categoriesOf(rows: Float32Array, n: number, f: number, column: number): { column: number; value: number }[] {
  const counts = new Map<number, number>();
  for (let row = 0; row < n; row++) {
    const value = rows[row * f + column]!;
    if (Number.isFinite(value)) counts.set(value, (counts.get(value) ?? 0) + 1);
  }
  const kept = [...counts].sort(([a, countA], [b, countB]) => countB - countA || a - b).slice(0, CATEGORIES_MAX);
  return kept.map(([value]) => ({ column, value })).sort((a, b) => a.value - b.value);
}
