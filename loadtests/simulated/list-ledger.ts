/** A list that somebody was shown, and how much they would truly want each of its items, 0 to 1. */
export interface ListShown {
  /** From the first judged week, 0. */
  readonly week: number;
  /** Visits of the visitor before this one. */
  readonly earlierVisits: number;
  readonly shown: readonly ItemWant[];
  /** The best that could have been shown, as many. */
  readonly oracle: readonly ItemWant[];
  /** What is found by looking down the list, and down the best one: wants, each as likely as its place is looked at. */
  readonly found: number;
  readonly foundBest: number;
  /** The same of what is popular, as far as the placement may show it. */
  readonly foundPopular: number;
  /** Means over a list of what is popular, and over one that is drawn. */
  readonly popularWant: number;
  readonly randomWant: number;
}

export interface ItemWant {
  readonly id: string;
  readonly want: number;
  /** Since it was put; undefined for what was offered before the shop's history. */
  readonly ageHours: number | undefined;
}

/** Sums over lists: what was wanted of them, of the best, and of the two that take no thought. */
export class Sums {
  lists = 0;
  shown = 0;
  oracle = 0;
  popular = 0;
  random = 0;
  found = 0;
  foundBest = 0;
  foundPopular = 0;

  /** Share of the best possible reward. */
  share(of: 'shown' | 'popular' | 'random'): number {
    return this.oracle > 0 ? this[of] / this.oracle : Number.NaN;
  }

  /** The same of what is found by looking. */
  foundShare(of: 'found' | 'foundPopular' = 'found'): number {
    return this.foundBest > 0 ? this[of] / this.foundBest : Number.NaN;
  }

  add({ shown, oracle, found, foundBest, foundPopular, popularWant, randomWant }: ListShown): void {
    this.lists++;
    this.shown += meanWant(shown);
    this.oracle += meanWant(oracle);
    this.found += found;
    this.foundBest += foundBest;
    this.foundPopular += foundPopular;
    this.popular += popularWant;
    this.random += randomWant;
  }

  addAll(other: Sums): void {
    for (const key of SUMS) this[key] += other[key];
  }
}

const SUMS = ['lists', 'shown', 'oracle', 'popular', 'random', 'found', 'foundBest', 'foundPopular'] as const;

/** Places of the best lists that items of an age should have had, and those that they got. */
export interface AgeSums {
  wanted: number;
  filled: number;
  /** Times that such items were shown at all, and what was wanted of them. */
  shown: number;
  want: number;
}

const AGE_SUMS = ['wanted', 'filled', 'shown', 'want'] as const;
const VISIT_STEPS = [0, 1, 2, 3, 6, 11, 21] as const;
const AGE_STEPS_HOURS = [0, 6, 24, 48, 96, 168, 336, 672] as const;
export const OLD = 'before the history';

/** The figures of one run. */
export class ListLedger {
  readonly all = new Sums();
  readonly weeks: Sums[] = [];
  /** By earlier visits of the visitor, the fewest first. */
  readonly byVisits = new Map<string, Sums>(VISIT_STEPS.map((_, n) => [stepName(VISIT_STEPS, n), new Sums()]));
  /** By age of the item, the youngest first. */
  readonly byAge = new Map<string, AgeSums>(
    [...AGE_STEPS_HOURS.map((_, n) => stepName(AGE_STEPS_HOURS, n)), OLD].map((name) => [name, { wanted: 0, filled: 0, shown: 0, want: 0 }]),
  );

  add(list: ListShown): void {
    this.all.add(list);
    this.weeks[list.week] ??= new Sums();
    this.weeks[list.week]!.add(list);
    this.byVisits.get(stepOf(VISIT_STEPS, list.earlierVisits))!.add(list);
    const shownIds = new Set(list.shown.map(({ id }) => id));
    for (const { id, ageHours } of list.oracle) {
      const sums = this.#age(ageHours);
      sums.wanted++;
      if (shownIds.has(id)) sums.filled++;
    }
    for (const { want, ageHours } of list.shown) {
      const sums = this.#age(ageHours);
      sums.shown++;
      sums.want += want;
    }
  }

  /** Adds what another seed gave. */
  addAll(other: ListLedger): void {
    this.all.addAll(other.all);
    other.weeks.forEach((sums, week) => {
      this.weeks[week] ??= new Sums();
      this.weeks[week].addAll(sums);
    });
    for (const [name, sums] of other.byVisits) this.byVisits.get(name)!.addAll(sums);
    for (const [name, sums] of other.byAge) {
      const mine = this.byAge.get(name)!;
      for (const key of AGE_SUMS) mine[key] += sums[key];
    }
  }

  #age(ageHours: number | undefined): AgeSums {
    return this.byAge.get(ageHours === undefined ? OLD : stepOf(AGE_STEPS_HOURS, ageHours))!;
  }
}

export function meanWant(items: readonly ItemWant[]): number {
  return items.length === 0 ? 0 : items.reduce((sum, { want }) => sum + want, 0) / items.length;
}

function stepOf(steps: readonly number[], value: number): string {
  let n = steps.length - 1;
  while (n > 0 && value < steps[n]!) n--;
  return stepName(steps, n);
}

/** `3 to 5`, and `21 and more` for the last. */
function stepName(steps: readonly number[], n: number): string {
  const next = steps[n + 1];
  if (next === undefined) return `${steps[n]} and more`;
  return next - steps[n]! === 1 ? `${steps[n]}` : `${steps[n]} to ${next - 1}`;
}
