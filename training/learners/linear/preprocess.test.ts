import { describe, expect, test } from 'vitest';
import { GraphBuilder } from '../../onnx/graph.ts';
import { expectClose, join, MESSY_PARAMS, messy, STRANGE, serve } from './linear.testing.ts';
import { fitPreprocess, preprocessGraph, transform, widthOf } from './preprocess.ts';

const NONE = Number.NaN;

describe('preprocessing', () => {
  test('the hand-computed table: scale, gap, logarithm, category', () => {
    const rows = Float32Array.from(
      [
        [1, 0, 4],
        [3, Math.E - 1, 4],
        [NONE, 1 - Math.E, 9],
        [5, 0, NONE],
      ].flat(),
    );
    const fitted = fitPreprocess({ rows, n: 4, f: 3 }, { categorical: [2], logarithmic: [1] });
    // Column 0 is 1, 3, 5: mean 3, sd sqrt(8/3). Column 1 in logarithms is 0, 1, -1, 0: mean 0, sd sqrt(1/2).
    const [s, t] = [Math.sqrt(8 / 3), Math.sqrt(1 / 2)];
    expectClose(
      transform(fitted, rows),
      [
        [-2 / s, 0, 0, 1, 0],
        [0, 1 / t, 0, 1, 0],
        [0, -1 / t, 1, 0, 1],
        [2 / s, 0, 0, 0, 0],
      ].flat(),
      1e-6,
    );
    expect(widthOf(fitted)).toBe(5);
  });

  test('the graph gives what transform gives, on rows that were never seen too', async () => {
    const table = messy(500, 1);
    const fitted = fitPreprocess(table, MESSY_PARAMS);
    const graph = new GraphBuilder('preprocess');
    graph.input('features', 'float32', ['N', 5]);
    graph.node('Identity', [preprocessGraph(graph, 'features', fitted)], {}, 'columns');
    graph.output('columns', 'float32', ['N', widthOf(fitted)]);
    const rows = join(table.rows, STRANGE);
    const { columns } = await serve(graph.toBytes(), rows, 5);
    expectClose(columns!, transform(fitted, rows), 2e-6);
    expect(columns!.every(Number.isFinite)).toBe(true);
  });

  test('a constant column says nothing; one that is never there neither', () => {
    const rows = Float32Array.of(7, NONE, 7, NONE, 7, NONE);
    const fitted = fitPreprocess({ rows, n: 3, f: 2 });
    expect([...transform(fitted, Float32Array.of(9, 5))]).toEqual([0, 0]);
    expect(fitted.indicators).toEqual([]);
  });

  test('keeps the most frequent categories of a column with too many', () => {
    const rows = Float32Array.from({ length: 700 }, (_, i) => (i < 600 ? i % 300 : 299));
    const { categories } = fitPreprocess({ rows, n: 700, f: 1 }, { categorical: [0] });
    expect(categories).toHaveLength(256);
    expect(categories.at(-1)).toEqual({ column: 0, value: 299 });
  });

  test('refuses columns that are not there or declared twice', () => {
    const table = { rows: new Float32Array(4), n: 2, f: 2 };
    expect(() => fitPreprocess(table, { categorical: [2] })).toThrow(RangeError);
    expect(() => fitPreprocess(table, { categorical: [1], logarithmic: [1] })).toThrow(RangeError);
    expect(() => transform(fitPreprocess(table), new Float32Array(3))).toThrow(RangeError);
  });
});
