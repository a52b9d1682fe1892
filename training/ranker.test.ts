import { expect, test } from 'vitest';
import { chosenOf, treeParams } from './ranker.ts';

const NAMES = ['session_neighbours_share', 'next_item_rank', 'popular'];
const rankings = (ndcg: Readonly<Record<string, number>>) =>
  Object.fromEntries(Object.entries(ndcg).map(([name, value]) => [name, { recall: value, ndcg: value, recallByCut: [] }]));

test('what is shipped is never worse on the later period than the best source', () => {
  const sources = { popularity: 0.1, 'session neighbours': 0.3, 'next item': 0.4 };
  expect(chosenOf(rankings({ trees: 0.45, fused: 0.42, ...sources }), NAMES)).toBe('trees');
  expect(chosenOf(rankings({ trees: 0.4, fused: 0.4, ...sources }), NAMES)).toBe('trees');
  expect(chosenOf(rankings({ trees: 0.35, fused: 0.42, ...sources }), NAMES)).toBe('fused');
  expect(chosenOf(rankings({ trees: 0.35, fused: 0.38, ...sources }), NAMES)).toBe('next item');
  // What learned from clicks too is shipped where it is better, and only there.
  expect(chosenOf(rankings({ trees: 0.45, 'trees by clicks too': 0.46, fused: 0.42, ...sources }), NAMES)).toBe('trees by clicks too');
  expect(chosenOf(rankings({ trees: 0.45, 'trees by clicks too': 0.44, fused: 0.42, ...sources }), NAMES)).toBe('trees');
  // A mixture is not a source, and one that no feature gives cannot be served.
  expect(chosenOf(rankings({ trees: 0.35, fused: 0.2, blend: 0.9, linear: 0.9, popularity: 0.1 }), NAMES)).toBe('trees');
});

test('of few questions the trees are small and their steps short', () => {
  const [few, many] = [treeParams(200), treeParams(3_000)];
  expect(few.learningRate).toBeLessThan(many.learningRate!);
  expect(few.numLeaves).toBeLessThan(many.numLeaves!);
  expect(few.objective).toBe('lambdarank');
});
