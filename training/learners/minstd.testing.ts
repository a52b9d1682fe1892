/** Numbers that any language makes alike (Park and Miller's minimal standard, 48271), for figures computed with other libraries. */
export function minstd(seed: number): () => number {
  let state = seed;
  return () => {
    state = (48271 * state) % 2147483647;
    return state / 2147483647;
  };
}

/** The sum of twelve of them less six: nearly normal. */
export function nearlyNormal(next: () => number): number {
  let sum = -6;
  for (let i = 0; i < 12; i++) sum += next();
  return sum;
}

/** 300 rows of 3 columns around four centres; with the generator after them. */
export function blobs(): { values: Float64Array; columns: number; next: () => number } {
  const centres = [
    [0, 0, 0],
    [4, 1, 0],
    [0, 5, 2],
    [6, 6, -3],
  ];
  const next = minstd(42);
  const values = Float64Array.from({ length: 900 }, (_, i) => centres[Math.floor(i / 3) % 4]![i % 3]! + nearlyNormal(next));
  return { values, columns: 3, next };
}
