import { describe, expect, test } from 'vitest';
import { drawOf } from '../../scoring/recommend/explore/draw.ts';
import { compareMeans, Moments, sampleRatioPValue, VISITORS_MIN } from './sequential.ts';

const ALPHA = 0.05;
const VISITORS = 4_000;
const PLANNED = 4_000;
const RUNS = 400;
/** Three standard errors above alpha: a test that keeps its promise exactly fails it once in seven hundred. */
const RATE_MAX = ALPHA + 3 * Math.sqrt((ALPHA * (1 - ALPHA)) / RUNS);
/** The two-sided 95 % point of the normal distribution. */
const Z = 1.959963984540054;

type Outcome = (uniform: () => number, variant: boolean) => number;
interface Peeked {
  /** Whether zero was ever outside of the interval, of a z test, and whether the truth was ever outside of the interval. */
  readonly rejected: boolean;
  readonly naive: boolean;
  readonly missed: boolean;
}

/** One experiment, looked at after every tenth visitor. */
function peek(seed: string, outcome: Outcome, truth: number): Peeked {
  const draw = drawOf(seed);
  const sides = [new Moments(), new Moments()] as const;
  const seen = { rejected: false, naive: false, missed: false };
  for (let n = 1; n <= VISITORS; n++) {
    const variant = draw.next() < 0.5;
    sides[variant ? 1 : 0].add(outcome(draw.next, variant));
    if (n % 10 !== 0) continue;
    const found = compareMeans(sides[0], sides[1], ALPHA, PLANNED);
    if (found === undefined) continue;
    if (found.pValue < ALPHA) seen.rejected = true;
    if (found.low > truth || found.high < truth) seen.missed = true;
    const error = Math.sqrt(sides[0].variance / sides[0].n + sides[1].variance / sides[1].n);
    if (Math.abs(found.difference) > Z * error) seen.naive = true;
  }
  return seen;
}

function rates(name: string, outcome: Outcome, truth: number): Record<keyof Peeked, number> {
  const runs = Array.from({ length: RUNS }, (_, run) => peek(`${name} ${run}`, outcome, truth));
  const share = (key: keyof Peeked): number => runs.filter((one) => one[key]).length / RUNS;
  return { rejected: share('rejected'), naive: share('naive'), missed: share('missed') };
}

const clicks =
  (rate: number, lift = 0): Outcome =>
  (uniform, variant) =>
    uniform() < rate + (variant ? lift : 0) ? 1 : 0;
/** Most pay nothing; the others' baskets are log-normal with a long tail. */
const revenue: Outcome = (uniform) => {
  if (uniform() > 0.08) return 0;
  const normal = Math.sqrt(-2 * Math.log(1 - uniform())) * Math.cos(2 * Math.PI * uniform());
  return 40 * Math.exp(normal);
};

describe('looked at all the time', () => {
  test.each<[string, Outcome]>([
    ['common clicks', clicks(0.3)],
    ['rare purchases', clicks(0.03)],
    ['revenue with a long tail', revenue],
  ])('%s of an A/A experiment are told apart in no more than alpha of the runs, where a z test is wrong far more often', (name, outcome) => {
    const { rejected, naive } = rates(name, outcome, 0);
    expect(rejected).toBeLessThanOrEqual(RATE_MAX);
    expect(naive).toBeGreaterThan(3 * ALPHA);
  });

  test('a real difference is found, and the interval holds it', () => {
    const { rejected, missed } = rates('lift', clicks(0.2, 0.06), 0.06);
    expect(rejected).toBeGreaterThan(0.9);
    expect(missed).toBeLessThanOrEqual(RATE_MAX);
  });
});

test('the interval leaves out zero exactly where the p-value is below alpha', () => {
  for (let seed = 0; seed < 50; seed++) {
    const draw = drawOf(`dual ${seed}`);
    const sides = [new Moments(), new Moments()] as const;
    for (let n = 0; n < 1_000; n++) sides[n % 2]!.add(draw.next() < 0.2 + (n % 2) * 0.1 ? 1 : 0);
    const { low, high, pValue } = compareMeans(sides[0], sides[1], ALPHA, PLANNED)!;
    expect(low > 0 || high < 0).toBe(pValue < ALPHA);
  }
});

test('says nothing of too few visitors, or of outcomes that are all the same', () => {
  const of = (n: number, value: (i: number) => number): Moments => {
    const moments = new Moments();
    for (let i = 0; i < n; i++) moments.add(value(i));
    return moments;
  };
  expect(
    compareMeans(
      of(VISITORS_MIN - 1, (i) => i % 2),
      of(1_000, (i) => i % 2),
      ALPHA,
      PLANNED,
    ),
  ).toBeUndefined();
  expect(
    compareMeans(
      of(1_000, () => 0),
      of(1_000, () => 0),
      ALPHA,
      PLANNED,
    ),
  ).toBeUndefined();
  const moments = of(5, (i) => i);
  expect([moments.mean, moments.variance]).toEqual([2, 2.5]);
});

describe('the sample ratio', () => {
  const WEIGHTS = [2, 1, 1];
  const lowest = (seed: string, lost: number): number => {
    const draw = drawOf(seed);
    const counts = [0, 0, 0];
    let p = 1;
    for (let n = 0; n < 4_000; n++) {
      const u = draw.next() * 4;
      const side = u < 2 ? 0 : u < 3 ? 1 : 2;
      if (side === 2 && draw.next() < lost) continue;
      counts[side]!++;
      if (n % 10 === 9) p = Math.min(p, sampleRatioPValue(counts, WEIGHTS));
    }
    return p;
  };

  test('that is as declared is doubted in no more than alpha of the runs', () => {
    const doubted = Array.from({ length: RUNS }, (_, run) => lowest(`ratio ${run}`, 0)).filter((p) => p < ALPHA).length;
    expect(doubted / RUNS).toBeLessThanOrEqual(RATE_MAX);
  });

  test('that has lost a quarter of one side is found out', () => {
    const found = Array.from({ length: 50 }, (_, run) => lowest(`lost ${run}`, 0.25)).filter((p) => p < 0.001).length;
    expect(found / 50).toBeGreaterThan(0.9);
  });

  test('is 1 where nobody came, and follows the mixture in closed form', () => {
    expect(sampleRatioPValue([0, 0, 0], WEIGHTS)).toBe(1);
    // One visitor at the side of a half: the mixture expects it with probability one half as well.
    expect(sampleRatioPValue([1, 0], [1, 1])).toBeCloseTo(1, 12);
    // Ten of ten: the product of (50 + i) / (100 + i) against 2^-10.
    const mixture = Array.from({ length: 10 }, (_, i) => (50 + i) / (100 + i)).reduce((a, b) => a * b);
    expect(sampleRatioPValue([10, 0], [1, 1])).toBeCloseTo(2 ** -10 / mixture, 10);
  });
});
