import { requireParam } from '../contract.ts';
import type { Random } from '../random.ts';

export interface WeightSpec {
  readonly name: string;
  readonly shape: readonly number[];
  /** First values; zeros when absent. */
  readonly start?: (random: Random) => number;
}

export interface Weight {
  readonly name: string;
  readonly shape: readonly number[];
  /** Views of the flat arrays: what the optimiser moves, the next training step reads. */
  readonly value: Float32Array;
  readonly gradient: Float32Array;
}

/** The dense weights of a network: one flat array of values and one of gradients, with a named view for each weight. */
export interface Weights {
  readonly values: Float32Array;
  readonly gradients: Float32Array;
  readonly byName: ReadonlyMap<string, Weight>;
}

/** Weights of a finished model: plain data. */
export type StoredWeights = Readonly<Record<string, { readonly shape: readonly number[]; readonly value: Float32Array }>>;

export function storeWeights(weights: Weights): StoredWeights {
  return Object.fromEntries([...weights.byName].map(([name, { shape, value }]) => [name, { shape, value: value.slice() }]));
}

/** Keeps the best weights seen: `keep` copies them aside, `restore` brings them back. */
export function weightsKeeper(...arrays: readonly Float32Array[]): { keep(): void; restore(): void } {
  let kept: Float32Array[] | undefined;
  return {
    keep() {
      if (!kept) kept = arrays.map((array) => array.slice());
      else for (const [i, array] of arrays.entries()) kept[i]!.set(array);
    },
    restore() {
      kept?.forEach((array, i) => {
        arrays[i]!.set(array);
      });
    },
  };
}

export function createWeights(specs: readonly WeightSpec[], random: Random): Weights {
  const sizes = specs.map(({ shape }) => shape.reduce((product, dim) => product * dim, 1));
  const total = sizes.reduce((sum, size) => sum + size, 0);
  const values = new Float32Array(total);
  const gradients = new Float32Array(total);
  const byName = new Map<string, Weight>();
  let at = 0;
  specs.forEach(({ name, shape, start }, i) => {
    requireParam(!byName.has(name), `two weights are named ${name}`);
    const value = values.subarray(at, at + sizes[i]!);
    if (start) for (let j = 0; j < value.length; j++) value[j] = start(random);
    byName.set(name, { name, shape, value, gradient: gradients.subarray(at, at + sizes[i]!) });
    at += sizes[i]!;
  });
  return { values, gradients, byName };
}

/** Glorot and Bengio's uniform range: variance is kept on the way forward and back through tanh, sigmoid and linear layers. */
export function glorot(inputs: number, outputs: number): (random: Random) => number {
  const range = Math.sqrt(6 / (inputs + outputs));
  return (random) => range * (2 * random.next() - 1);
}

/** He's normal: twice the variance, as ReLU drops half of it. */
export function he(inputs: number): (random: Random) => number {
  const deviation = Math.sqrt(2 / inputs);
  return (random) => deviation * random.normal();
}

export const ones = (): number => 1;

/** A weight matrix [inputs, outputs] and its bias, as `linear` takes them: `<name>.weight` and `<name>.bias`. */
export function denseSpecs(name: string, inputs: number, outputs: number, start = glorot(inputs, outputs)): WeightSpec[] {
  return [
    { name: `${name}.weight`, shape: [inputs, outputs], start },
    { name: `${name}.bias`, shape: [outputs] },
  ];
}
