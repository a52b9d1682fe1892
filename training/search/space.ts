import { requireParam } from '../learners/contract.ts';
import type { Random } from '../learners/random.ts';

/** What one parameter may be. `log`: small and large values are told apart by their ratio, as strengths and rates are. */
export type Dimension =
  | { readonly kind: 'float'; readonly min: number; readonly max: number; readonly log?: boolean }
  | { readonly kind: 'int'; readonly min: number; readonly max: number; readonly log?: boolean }
  | { readonly kind: 'choice'; readonly options: readonly Value[] };

export type Value = number | string | boolean;
export type Space = Readonly<Record<string, Dimension>>;
export type Values = Readonly<Record<string, Value>>;

/** A search fills a table of candidates a dimension; more options are a list to sort, not a parameter. */
const OPTIONS_MAX = 1000;

/** Throws a RangeError for an empty space, ends that are no numbers or the wrong way round, or a logarithm of what is not positive. */
export function checkSpace(space: Space): void {
  requireParam(Object.keys(space).length > 0, 'the space has no parameter');
  for (const [name, dimension] of Object.entries(space)) {
    if (dimension.kind === 'choice') {
      const { options } = dimension;
      requireParam(options.length > 0 && options.length <= OPTIONS_MAX, `${name} must have 1 to ${OPTIONS_MAX} options`);
      requireParam(new Set(options).size === options.length, `${name} has an option twice`);
      continue;
    }
    const { kind, min, max, log } = dimension;
    requireParam(Number.isFinite(min) && Number.isFinite(max) && min <= max, `${name} must go from a number to a number, not ${min} to ${max}`);
    requireParam(!log || min > 0, `${name} has a logarithm and must be positive`);
    requireParam(kind === 'float' || (Number.isInteger(min) && Number.isInteger(max)), `${name} must go from a whole number to a whole number`);
  }
}

/** Length of a numeric dimension in its own measure: [0, 1] is [min, max], whole numbers and logarithms as they are declared. */
export function toUnit(dimension: Exclude<Dimension, { kind: 'choice' }>, value: number): number {
  const [low, high] = ends(dimension);
  if (high === low) return 0.5;
  return ((dimension.log ? Math.log(value) : value) - low) / (high - low);
}

/** The value at a place of [0, 1]; never out of bounds. */
export function fromUnit(dimension: Exclude<Dimension, { kind: 'choice' }>, unit: number): number {
  const [low, high] = ends(dimension);
  const scaled = low + Math.min(1, Math.max(0, unit)) * (high - low);
  const value = dimension.log ? Math.exp(scaled) : scaled;
  return Math.min(dimension.max, Math.max(dimension.min, dimension.kind === 'int' ? Math.round(value) : value));
}

/** Half a step is added on each side of whole numbers, so that the ends come as often as the others. */
function ends({ kind, min, max, log }: Exclude<Dimension, { kind: 'choice' }>): [number, number] {
  const half = kind === 'int' ? 0.5 : 0;
  return log ? [Math.log(min - half), Math.log(max + half)] : [min - half, max + half];
}

export function sampleUniform(space: Space, random: Random): Values {
  return Object.fromEntries(
    Object.entries(space).map(([name, dimension]) => [
      name,
      dimension.kind === 'choice' ? dimension.options[random.int(dimension.options.length)]! : fromUnit(dimension, random.next()),
    ]),
  );
}
