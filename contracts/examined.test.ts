import { expect, test } from 'vitest';
import { examinedMetric, examinedOf } from './examined.ts';

test('the curves of placements come back from the metrics of a bundle, whatever their ids are like', () => {
  const curves = { home: [1, 0.8, 0.5], home_2: [1, 0.4] };
  const metrics: Record<string, number> = { recommend_ndcg20_ranker: 0.2, recommend_examined_: 1, recommend_examined_home_x: 1 };
  for (const [placement, curve] of Object.entries(curves))
    for (const [place, share] of curve.entries()) metrics[examinedMetric(placement, place)] = share;
  expect(Object.fromEntries(examinedOf(metrics))).toEqual(curves);
});

test('a curve with a place missing is none', () => {
  expect(examinedOf({ [examinedMetric('home', 0)]: 1, [examinedMetric('home', 2)]: 0.5 }).size).toBe(0);
});
