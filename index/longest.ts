import { SPREAD_MAX, type Sphere, sampleNorms } from './graph-row.ts';
import type { VectorSlab } from './slab.ts';

/** Vectors that are gone through: as many as cost what they save, since the search then need not be widened. 43,000 factors of ALS, top 100: .985 instead of .948. */
export const LONGEST_MAX = 3_000;
/** And never more of the vectors than this share: a small graph would be gone through whole. */
const LONGEST_SHARE = 0.08;

/**
 * The longest vectors of a graph over inner products. Where norms spread very far they are most of the answers, and lie off the graph's sphere, where
 * few links lead to them: a search looks at all of them besides. Most of an item's norm is how often it was met.
 */
export class Longest {
  readonly #labels = new Set<number>();
  #list: number[] = [];
  #floor = 0;
  /** Vectors at which the floor is next chosen anew. */
  #renewAt = 1;

  /** Undefined where the search finds enough without. */
  static of({ spread }: Sphere): Longest | undefined {
    return spread >= SPREAD_MAX ? new Longest() : undefined;
  }

  /** Takes the next slot of the graph that begins at slot `first`. */
  add(slab: VectorSlab, slot: number, first: number): void {
    const count = slot - first + 1;
    if (count < this.#renewAt) this.#take(slab.normAt(slot), count - 1);
    else this.renew(slab, count, first);
  }

  /** Chooses among the first `count` slots of the graph. The floor is that of a sample, so some more or fewer than `LONGEST_MAX` may be over it. */
  renew(slab: VectorSlab, count: number, first: number): void {
    const norms = sampleNorms(slab);
    const share = Math.min(LONGEST_SHARE, LONGEST_MAX / count);
    this.#floor = norms[Math.floor((1 - share) * norms.length)] ?? 0;
    this.#renewAt = 2 * count;
    this.#labels.clear();
    this.#list = [];
    for (let label = 0; label < count; label++) this.#take(slab.normAt(first + label), label);
  }

  /** The labels that a search found, with those of the longest vectors, each once. */
  with(found: readonly number[]): number[] {
    const all = this.#list.slice();
    for (const label of found) if (!this.#labels.has(label)) all.push(label);
    return all;
  }

  #take(norm: number, label: number): void {
    if (norm < this.#floor || this.#list.length >= 2 * LONGEST_MAX) return;
    this.#labels.add(label);
    this.#list.push(label);
  }
}
