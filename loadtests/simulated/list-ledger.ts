/** A list that somebody was shown, and how much they would truly want each of its items, 0 to 1. */
export interface ListShown {
  /** From the first judged week, 0. */
  readonly week: number;
  /** Visits of the visitor before this one. */
  readonly earlierVisits: number;
  readonly shown: readonly ItemWant[];
  /** The best that could have been shown, as many. */
  readonly oracle: readonly ItemWant[];
  /** Means over a list of what is popular, and over one that is drawn. */
  readonly popularWant: number;
  readonly randomWant: number;
}

export interface ItemWant {
  readonly id: string;
  readonly want: number;
  /** Since it was first offered; undefined for what was offered before the shop's history. */
  readonly ageDays: number | undefined;
}

/** Places at the top of a list in which no arm but `epsilon` tries anything: what they are worth is what was learned, without what trying costs. */
export const HEAD_PLACES = 6;

/** Sums over lists: what was wanted of them, of the best, and of the two that take no thought. */
export class Sums {
  lists = 0;
  shown = 0;
  oracle = 0;
  popular = 0;
  random = 0;
  head = 0;
  headOracle = 0;

  /** Share of the best possible reward. */
  share(of: 'shown' | 'popular' | 'random'): number {
    return this.oracle > 0 ? this[of] / this.oracle : Number.NaN;
  }

  /** Share of the best possible reward of the first places. */
  headShare(): number {
    return this.headOracle > 0 ? this.head / this.headOracle : Number.NaN;
  }

  add({ shown, oracle, popularWant, randomWant }: ListShown): void {
    this.lists++;
    this.shown += meanWant(shown);
    this.oracle += meanWant(oracle);
    this.head += meanWant(shown.slice(0, HEAD_PLACES));
    this.headOracle += meanWant(oracle.slice(0, HEAD_PLACES));
    this.popular += popularWant;
    this.random += randomWant;
  }
}

/** Places of the best lists that items of an age should have had, and those that they got. */
export interface AgeSums {
  wanted: number;
  filled: number;
  /** Times that such items were shown at all, and what was wanted of them. */
  shown: number;
  want: number;
}

const VISIT_STEPS = [0, 1, 2, 3, 6, 11, 21] as const;
const AGE_STEPS_DAYS = [0, 2, 4, 7, 14, 28] as const;
export const OLD = 'before the history';

/** The figures of one run. */
export class ListLedger {
  readonly all = new Sums();
  readonly weeks: Sums[] = [];
  /** By earlier visits of the visitor, the fewest first. */
  readonly byVisits = new Map<string, Sums>(VISIT_STEPS.map((_, n) => [stepName(VISIT_STEPS, n), new Sums()]));
  /** By age of the item, the youngest first. */
  readonly byAge = new Map<string, AgeSums>(
    [...AGE_STEPS_DAYS.map((_, n) => stepName(AGE_STEPS_DAYS, n)), OLD].map((name) => [name, { wanted: 0, filled: 0, shown: 0, want: 0 }]),
  );

  add(list: ListShown): void {
    this.all.add(list);
    this.weeks[list.week] ??= new Sums();
    this.weeks[list.week]!.add(list);
    this.byVisits.get(stepOf(VISIT_STEPS, list.earlierVisits))!.add(list);
    const shownIds = new Set(list.shown.map(({ id }) => id));
    for (const { id, ageDays } of list.oracle) {
      const sums = this.#age(ageDays);
      sums.wanted++;
      if (shownIds.has(id)) sums.filled++;
    }
    for (const { want, ageDays } of list.shown) {
      const sums = this.#age(ageDays);
      sums.shown++;
      sums.want += want;
    }
  }

  #age(ageDays: number | undefined): AgeSums {
    return this.byAge.get(ageDays === undefined ? OLD : stepOf(AGE_STEPS_DAYS, ageDays))!;
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
