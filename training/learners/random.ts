/**
 * Seeded random numbers for learners: sfc32 (Chris Doty-Humphrey, PractRand), 128 bits of state, equal on every machine.
 */
export interface Random {
  /** Uniform in [0, 1), 32 bits. */
  next(): number;
  /** Uniform integer in [0, bound). */
  int(bound: number): number;
  /** Standard normal (Box-Muller). */
  normal(): number;
}

export function seededRandom(seed: number): Random {
  let a = seed | 0;
  let b = Math.floor(seed / 4294967296) | 0;
  let c = 0x9e3779b9 | 0;
  let counter = 1;
  const bits = (): number => {
    const t = (((a + b) | 0) + counter) | 0;
    counter = (counter + 1) | 0;
    a = b ^ (b >>> 9);
    b = (c + (c << 3)) | 0;
    c = (c << 21) | (c >>> 11);
    c = (c + t) | 0;
    return t >>> 0;
  };
  // The first outputs still resemble the seed; 15 rounds mix them (the author's advice).
  for (let round = 0; round < 15; round++) bits();
  const next = () => bits() / 4294967296;
  return {
    next,
    int: (bound) => Math.floor(next() * bound),
    normal: () => Math.sqrt(-2 * Math.log(1 - next())) * Math.cos(2 * Math.PI * next()),
  };
}

/** `count` distinct numbers out of 0..n-1, ascending (selection sampling, Knuth 3.4.2 S). */
export function sampleSorted(random: Random, n: number, count: number): Int32Array {
  const chosen = new Int32Array(Math.min(count, n));
  let taken = 0;
  for (let i = 0; i < n && taken < chosen.length; i++) {
    if (random.next() * (n - i) < chosen.length - taken) chosen[taken++] = i;
  }
  return chosen;
}
