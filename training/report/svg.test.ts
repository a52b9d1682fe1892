import { describe, expect, test } from 'vitest';
import { niceRange, niceTicks, rangeOf, tickLabel } from './scale.ts';
import { barChart, histogram, lineChart } from './svg.ts';

describe('scales', () => {
  test('ticks are round, inside the range and about as many as asked', () => {
    expect(niceTicks([0, 1], 5)).toEqual([0, 0.2, 0.4, 0.6, 0.8, 1]);
    expect(niceTicks([0, 239], 6)).toEqual([0, 50, 100, 150, 200]);
    expect(niceTicks([-0.3, 0.3], 3)).toEqual([-0.2, 0, 0.2]);
    expect(niceTicks([0.0901, 0.3399], 5)).toEqual([0.1, 0.15, 0.2, 0.25, 0.3]);
  });

  test('ranges hold their values and are never empty', () => {
    expect(rangeOf([3, Number.NaN, 1, Number.POSITIVE_INFINITY])).toEqual([1, 3]);
    expect(rangeOf([])).toEqual([0, 1]);
    expect(rangeOf([4])).toEqual([2, 6]);
    expect(rangeOf([0])).toEqual([-1, 1]);
    expect(niceRange([0.09, 0.34], 5)).toEqual([0.05, 0.35]);
    expect(niceRange([0, 1], 5)).toEqual([0, 1]);
  });

  test('labels are short', () => {
    expect([0, 0.25, 1500, 12_000, 2_500_000, 3e9, 0.00002].map(tickLabel)).toEqual(['0', '0.25', '1500', '12k', '2.5M', '3G', '2e-5']);
  });
});

describe('lineChart', () => {
  const base = { title: 't', xLabel: 'x', yLabel: 'y' };

  test('maps the range onto the frame, y upwards', () => {
    const { text } = lineChart({
      ...base,
      series: [
        {
          name: 'a',
          points: [
            { x: 0, y: 0 },
            { x: 1, y: 1 },
          ],
        },
      ],
      xRange: [0, 1],
      yRange: [0, 1],
    });
    expect(text).toContain('d="M56 256L502 12"');
    expect(text).not.toContain('legend');
  });

  test('has a legend and a colour for each of several series; baselines are dashed', () => {
    const points = [
      { x: 1, y: 1 },
      { x: 2, y: 3 },
    ];
    const { text } = lineChart({
      ...base,
      series: [
        { name: 'model', points },
        { name: 'old', points, kind: 'baseline', markers: true },
      ],
    });
    expect(text).toContain('<span class="key c0"></span>model');
    expect(text).toContain('<span class="key base c1"></span>old');
    expect(text.match(/<circle/g)).toHaveLength(2);
  });

  test('leaves out points that cannot be placed and thins long lines to their ends', () => {
    const points = Array.from({ length: 50_000 }, (_, x) => ({ x, y: x % 7 === 0 ? Number.NaN : 1 }));
    const { text } = lineChart({ ...base, series: [{ name: 'a', points }] });
    expect(text.match(/L/g)!.length).toBe(599);
    expect(text).not.toContain('NaN');
  });

  test('a logarithmic axis is marked where its points are', () => {
    const points = [5, 10, 100].map((x) => ({ x, y: x }));
    const { text } = lineChart({ ...base, xLog: true, series: [{ name: 'a', points: [{ x: 0, y: 0 }, ...points] }] });
    for (const label of ['>5<', '>10<', '>100<']) expect(text).toContain(label);
    expect(text).not.toContain('Infinity');
  });
});

test('bars start at the label, the longest fills the room, long labels are cut with the whole in the title', () => {
  const long = 'a'.repeat(60);
  const { text } = barChart({
    title: 't',
    bars: [
      { label: long, value: 4 },
      { label: 'b', value: 2, text: 'two' },
      { label: 'c', value: -1 },
    ],
  });
  const widths = [...text.matchAll(/<rect[^>]*width="([\d.]+)"/g)].map((match) => Number(match[1]));
  expect(widths[0]).toBe(216);
  expect(widths[1]).toBe(108);
  expect(widths[2]).toBe(0);
  expect(text).toContain(`<title>${long}: 4</title>`);
  expect(text).toContain('a…');
  expect(text).toContain('>two<');
});

test('histogram columns stand on the axis and share its scale', () => {
  const { text } = histogram({
    title: 't',
    xLabel: 'x',
    yLabel: 'y',
    edges: [0, 1, 2],
    series: [
      { name: 'a', values: [1, 0.5] },
      { name: 'b', values: [0, 1] },
    ],
  });
  const columns = [...text.matchAll(/<rect class="column (c\d)"[^>]*y="([\d.]+)"[^>]*height="([\d.]+)"/g)].map(([, style, y, height]) => [
    style,
    Number(y) + Number(height),
    Number(height),
  ]);
  expect(columns).toEqual([
    ['c0', 256, 244],
    ['c0', 256, 122],
    ['c1', 256, 0],
    ['c1', 256, 244],
  ]);
});
