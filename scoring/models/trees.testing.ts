import { LEAF, type Tree } from '../../contracts/trees.ts';

/** Mulberry32: small, seeded, good enough to make trees. */
export function random(seed: number): () => number {
  let state = seed | 0;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
}

/** Splits random leaves; few features, so that paths test one again. `chain` always splits the newest leaf: a deep tree. */
export function randomTree(next: () => number, features: number, leaves: number, chain = false): Tree {
  const tree = { feature: [LEAF], threshold: [0], left: [0], right: [0], missingLeft: [0], value: [0], cover: [1000] };
  for (let made = 1; made < leaves; made++) {
    const open = tree.feature.flatMap((feature, node) => (feature === LEAF ? [node] : []));
    const node = chain ? open[open.length - 1]! : open[Math.floor(next() * open.length)]!;
    const part = tree.cover[node]! * (0.02 + 0.96 * next());
    tree.feature[node] = Math.floor(next() * features);
    tree.threshold[node] = Math.fround(2 * next() - 1);
    tree.missingLeft[node] = next() < 0.5 ? 1 : 0;
    tree.value[node] = 0;
    tree.left[node] = tree.feature.length;
    tree.right[node] = tree.feature.length + 1;
    for (const cover of [part, tree.cover[node]! - part]) {
      tree.feature.push(LEAF);
      tree.threshold.push(0);
      tree.left.push(0);
      tree.right.push(0);
      tree.missingLeft.push(0);
      tree.value.push(Math.fround(2 * next() - 1));
      tree.cover.push(cover);
    }
  }
  return tree;
}

/** A fifth is missing. */
export function randomRow(next: () => number, features: number): Float32Array {
  return Float32Array.from({ length: features }, () => (next() < 0.2 ? Number.NaN : 2 * next() - 1));
}
