import { describe, expect, test } from 'vitest';
import { bandPath, CHART, linePath, niceMax, stack } from './charts.ts';

describe('chart geometry', () => {
  test('the scale ends at a round number at or above the greatest value', () => {
    expect([0, -1, Number.NaN, 0.7, 1, 1.2, 37, 83, 1999].map(niceMax)).toEqual([1, 1, 1, 0.8, 1, 2, 40, 100, 2000]);
  });

  test('the newest value stands at the right edge, full scale at the top', () => {
    expect(linePath([0, 10], 10)).toBe(`M${(CHART.width - CHART.width / 59).toFixed(1)} 120.0L400.0 6.0`);
    expect(linePath([20], 10)).toBe('M400.0 6.0');
  });

  test('a second without a value breaks the line', () => {
    expect(linePath([1, null, 2, 3], 3).match(/M/g)).toHaveLength(2);
    expect(linePath([null, null], 1)).toBe('');
  });

  test('layers stand on each other', () => {
    const edges = stack([
      { name: 'a', tone: 't', values: [1, 2] },
      { name: 'b', tone: 't', values: [3, null] },
    ]);
    expect(edges).toEqual([
      [1, 2],
      [4, 2],
    ]);
    expect(bandPath([0], [10], 10)).toBe('M400.0 6.0L400.0 120.0Z');
    expect(bandPath([], [], 10)).toBe('');
  });
});
