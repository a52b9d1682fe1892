import { hash } from 'node:crypto';

/** Random numbers that follow from a name: the same name gives the same numbers on every machine. */
export interface Draw {
  /** Uniform in [0, 1), 32 bits. */
  next(): number;
  /** Uniform integer in [0, bound). */
  int(bound: number): number;
  /** Beta distributed, in [0, 1]. `a` and `b` above 0. */
  beta(a: number, b: number): number;
}

/** sfc32 (Chris Doty-Humphrey, PractRand), its 128 bits of state taken from a hash of the name. */
export function drawOf(name: string): Draw {
  const digest = hash('sha1', name, 'hex');
  const word = (at: number): number => Number.parseInt(digest.slice(8 * at, 8 * at + 8), 16) | 0;
  let [a, b, c, counter] = [word(0), word(1), word(2), word(3)];
  const next = (): number => {
    const t = (((a + b) | 0) + counter) | 0;
    counter = (counter + 1) | 0;
    a = b ^ (b >>> 9);
    b = (c + (c << 3)) | 0;
    c = (c << 21) | (c >>> 11);
    c = (c + t) | 0;
    return (t >>> 0) / 2 ** 32;
  };
  let spare = Number.NaN;
  /** Marsaglia's polar method: they come in pairs, without a sine. */
  const normal = (): number => {
    if (!Number.isNaN(spare)) {
      const kept = spare;
      spare = Number.NaN;
      return kept;
    }
    // A point of the unit circle: four tries in five hit it.
    for (;;) {
      const x = 2 * next() - 1;
      const y = 2 * next() - 1;
      const squares = x * x + y * y;
      if (squares >= 1 || squares === 0) continue;
      const scale = Math.sqrt((-2 * Math.log(squares)) / squares);
      spare = y * scale;
      return x * scale;
    }
  };
  /** Marsaglia and Tsang (2000), with their squeeze before the logarithms; below 1 by their power of a uniform number. */
  const gamma = (shape: number): number => {
    if (shape < 1) return gamma(shape + 1) * (1 - next()) ** (1 / shape);
    const d = shape - 1 / 3;
    const scale = 1 / Math.sqrt(9 * d);
    // Accepts more than 95 of 100 tries.
    for (;;) {
      const x = normal();
      const root = 1 + scale * x;
      if (root <= 0) continue;
      const v = root * root * root;
      const u = 1 - next();
      if (u < 1 - 0.0331 * x * x * x * x || Math.log(u) < 0.5 * x * x + d - d * v + d * Math.log(v)) return d * v;
    }
  };
  return {
    next,
    int: (bound) => Math.floor(next() * bound),
    beta(alpha, beta) {
      const x = gamma(alpha);
      return x / (x + gamma(beta));
    },
  };
}
