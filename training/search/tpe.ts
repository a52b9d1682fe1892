import type { Random } from '../learners/random.ts';
import { type Dimension, fromUnit, type Space, sampleUniform, toUnit, type Value, type Values } from './space.ts';

/** A finished trial; smaller values are better. */
export interface Scored {
  readonly values: Values;
  readonly value: number;
}

/** Before so many trials there is nothing to learn from: they are drawn by chance. */
export const STARTUP_TRIALS = 10;
/** Share of the trials that count as good (Bergstra et al. 2011 take 15 to 25 %). */
const GOOD_SHARE = 0.15;
/** Share of the later trials that are drawn by chance all the same, as in BOHB (Falkner et al. 2018): else the search never leaves its first valley. */
const CHANCE_SHARE = 0.2;
/** Candidates that are drawn from the good and judged by the ratio; Hyperopt and Optuna take 24. */
const CANDIDATES = 24;
/** Neighbours are never taken for nearer than this share of the range: a cluster would draw ever more of itself. */
const WIDTH_MIN = 0.05;

/**
 * The next values by a tree-structured Parzen estimator (Bergstra et al. 2011): each parameter on its own, candidates drawn near good trials, the one
 * taken that is most likely among the good and least among the others. A failed trial has value Infinity and is among the others.
 */
export function suggest(space: Space, trials: readonly Scored[], random: Random): Values {
  if (trials.length < STARTUP_TRIALS || random.next() < CHANCE_SHARE) return sampleUniform(space, random);
  const order = trials.map((trial, i) => ({ trial, i })).sort((a, b) => compare(a.trial.value, b.trial.value) || a.i - b.i);
  const goodCount = Math.ceil(GOOD_SHARE * order.length);
  const [good, others] = [order.slice(0, goodCount), order.slice(goodCount)].map((part) => part.map(({ trial }) => trial.values));
  return Object.fromEntries(
    Object.entries(space).map(([name, dimension]) => {
      const valuesOf = (part: readonly Values[]) => part.map((values) => values[name]!);
      return [name, suggestOne(dimension, valuesOf(good!), valuesOf(others!), random)];
    }),
  );
}

/** Infinity - Infinity would be NaN, which no sort understands. */
function compare(a: number, b: number): number {
  if (a === b) return 0;
  return a < b ? -1 : 1;
}

function suggestOne(dimension: Dimension, good: readonly Value[], others: readonly Value[], random: Random): Value {
  if (dimension.kind === 'choice') {
    // Drawn, not the likeliest taken: with few options that would always be the same one.
    return dimension.options[drawIndex(shares(dimension.options, good), random)]!;
  }
  const near = mixture(good.map((value) => toUnit(dimension, Number(value))));
  const far = mixture(others.map((value) => toUnit(dimension, Number(value))));
  let [chosen, most] = [0, Number.NEGATIVE_INFINITY];
  for (let i = 0; i < CANDIDATES; i++) {
    const unit = near.draw(random);
    const gain = near.logDensity(unit) - far.logDensity(unit);
    if (gain > most) [chosen, most] = [unit, gain];
  }
  return fromUnit(dimension, chosen);
}

/** How often each option was taken, with one more of each: none is ruled out. */
function shares(options: readonly Value[], taken: readonly Value[]): number[] {
  return options.map((option) => (1 + taken.filter((value) => value === option).length) / (options.length + taken.length));
}

function drawIndex(weights: readonly number[], random: Random): number {
  let rest = random.next();
  for (let i = 0; i + 1 < weights.length; i++) {
    rest -= weights[i]!;
    if (rest < 0) return i;
  }
  return weights.length - 1;
}

/** A normal around each point of [0, 1], cut off at the ends and as wide as the way to its further neighbour; a flat part counts as one more point. */
function mixture(points: readonly number[]) {
  const sorted = [...points].sort((a, b) => a - b);
  const widths = sorted.map((point, i) => Math.min(1, Math.max(WIDTH_MIN, point - (sorted[i - 1] ?? 0), (sorted[i + 1] ?? 1) - point)));
  const insides = sorted.map((point, i) => normalShare((1 - point) / widths[i]!) - normalShare(-point / widths[i]!));
  return {
    draw(random: Random): number {
      const i = random.int(sorted.length + 1);
      if (i === sorted.length) return random.next();
      for (let attempt = 0; attempt < DRAWS_MAX; attempt++) {
        const unit = sorted[i]! + widths[i]! * random.normal();
        if (unit >= 0 && unit <= 1) return unit;
      }
      return sorted[i]!;
    },
    logDensity(unit: number): number {
      let sum = 1;
      sorted.forEach((point, i) => {
        const z = (unit - point) / widths[i]!;
        sum += Math.exp(-0.5 * z * z) / (widths[i]! * Math.sqrt(2 * Math.PI) * insides[i]!);
      });
      return Math.log(sum / (sorted.length + 1));
    },
  };
}

/** At least a third of each normal lies inside, so that so many draws all miss once in 300,000 times. */
const DRAWS_MAX = 32;

/** Share of a standard normal below z, to 2e-4 at worst: a logistic curve with a cubic bend (Bowling et al. 2009). */
function normalShare(z: number): number {
  return 1 / (1 + Math.exp(-(1.5976 * z + 0.07056 * z * z * z)));
}
