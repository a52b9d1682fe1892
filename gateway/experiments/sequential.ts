/** Count, mean and variance of numbers that come one by one (Welford 1962). */
export class Moments {
  n = 0;
  mean = 0;
  #squares = 0;

  add(value: number): void {
    this.n++;
    const from = value - this.mean;
    this.mean += from / this.n;
    this.#squares += from * (value - this.mean);
  }

  get variance(): number {
    return this.n > 1 ? this.#squares / (this.n - 1) : 0;
  }
}

/** With fewer on either side the mean is not yet close to normal, which is all that the sequence supposes. */
export const VISITORS_MIN = 100;

export interface Difference {
  readonly difference: number;
  readonly low: number;
  readonly high: number;
  readonly pValue: number;
}

/**
 * The difference of two means with a confidence sequence and an always-valid p-value: with probability 1 - alpha the interval holds the truth at all
 * times at once, so it may be looked at after every visitor. Both are one test, the mixture of likelihood ratios over a normal prior of effects
 * (mSPRT; Johari, Pekelis and Walsh 2015, Johari, Koomen, Pekelis and Walsh 2017), in the form for unknown variance: the asymptotic confidence sequence
 * of Waudby-Smith, Arbour, Sinha, Kennedy and Ramdas (2021), narrowest at `planned` observations. Undefined where there is too little to say anything.
 */
export function compareMeans(control: Moments, variant: Moments, alpha: number, planned: number): Difference | undefined {
  if (control.n < VISITORS_MIN || variant.n < VISITORS_MIN) return undefined;
  const squaredError = control.variance / control.n + variant.variance / variant.n;
  if (!(squaredError > 0)) return undefined;
  const difference = variant.mean - control.mean;
  const strength = (control.n + variant.n) * priorScale(alpha, planned) ** 2;
  const half = Math.sqrt(squaredError * 2 * ((strength + 1) / strength) * Math.log(Math.sqrt(strength + 1) / alpha));
  const evidence = (difference * difference * strength) / (2 * squaredError * (strength + 1));
  return { difference, low: difference - half, high: difference + half, pValue: Math.min(1, Math.sqrt(strength + 1) * Math.exp(-evidence)) };
}

/** The rho that makes the sequence narrowest at a number of observations (Waudby-Smith et al., appendix). */
function priorScale(alpha: number, planned: number): number {
  const bits = -2 * Math.log(alpha);
  return Math.sqrt((bits + Math.log(bits) + 1) / planned);
}

/** How firmly the mixture believes in the declared shares: small enough to see a side that lost a tenth within some thousand visitors. */
const SHARE_BELIEF = 100;

/**
 * Always-valid p-value of counts against declared shares: the mixture of multinomial likelihoods over a Dirichlet prior around the shares (Lindon and
 * Malek 2020).
 */
export function sampleRatioPValue(counts: readonly number[], weights: readonly number[]): number {
  const total = weights.reduce((a, b) => a + b);
  let n = 0;
  let logRatio = 0;
  for (const [i, count] of counts.entries()) {
    const share = weights[i]! / total;
    n += count;
    logRatio += logGamma(SHARE_BELIEF * share + count) - logGamma(SHARE_BELIEF * share) - count * Math.log(share);
  }
  logRatio += logGamma(SHARE_BELIEF) - logGamma(SHARE_BELIEF + n);
  return Math.min(1, Math.exp(-logRatio));
}

/** Stirling's series above 8, where its error is below 1e-12; the recurrence below. */
function logGamma(x: number): number {
  let shift = 0;
  let at = x;
  while (at < 8) shift += Math.log(at++);
  const inverse = 1 / (at * at);
  const series = (1 / 12 - inverse * (1 / 360 - inverse * (1 / 1260 - inverse * (1 / 1680 - inverse / 1188)))) / at;
  return (at - 0.5) * Math.log(at) - at + 0.5 * Math.log(2 * Math.PI) + series - shift;
}
