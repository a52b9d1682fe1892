/** Seeded vectors for tests and benchmarks. Not used in production. */

/** Mulberry32: a small seeded generator of numbers in [0, 1). */
export function seededRandom(seed: number): () => number {
  let state = seed | 0;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
}

/** A standard normal number (Box and Muller 1958). */
export function gaussian(random: () => number): number {
  return Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random());
}

/**
 * A source of vectors in Gaussian clusters, as learnt embeddings are. `normSpread` is the standard deviation of the logarithm of an
 * extra factor on each vector: 0 keeps norms alike, 0.5 is what popularity does to trained factors.
 */
export function clusteredVectors(options: { dimensions: number; clusters: number; seed: number; normSpread?: number }): () => Float32Array {
  const random = seededRandom(options.seed);
  const spread = options.normSpread ?? 0;
  const centres = Array.from({ length: options.clusters }, () => Float32Array.from({ length: options.dimensions }, () => gaussian(random)));
  return () => {
    const centre = centres[Math.floor(random() * options.clusters)]!;
    const scale = Math.exp(spread * gaussian(random));
    return centre.map((x) => (x + 0.4 * gaussian(random)) * scale);
  };
}
