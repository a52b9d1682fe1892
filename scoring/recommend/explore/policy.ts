import type { ActiveExploration } from '../../../contracts/exploration.ts';
import type { Draw } from './draw.ts';

/**
 * Lists that are drawn beside the shown one to tell how probable it was under `thompson`. With the shown one among them an item of probability p
 * gets the weight (1 - (1 - p)^(n + 1)) / p on average in place of 1 / p: what is off is only what is shown less often than once in this many lists.
 */
export const THOMPSON_LISTS = 50;

/** The places that take part, and what may stand there. Everything is a position in the pool. */
export interface Game {
  readonly policy: ActiveExploration;
  /** What stands at the open places where nothing is tried. */
  readonly greedy: readonly number[];
  /** What may stand there: the greedy ones among them. */
  readonly eligible: readonly number[];
  /** a and b of the Beta distribution of each position of the pool in turn; read by `thompson` alone. */
  readonly beliefs: readonly number[];
  /** By position of the pool: what is added to the logarithm of its drawn rate, as what the ranking knows of this visitor. Absent: rates alone decide. */
  readonly merits?: readonly number[] | undefined;
}

/** Fills the open places. */
export function play(game: Game, draw: Draw): number[] {
  const { policy, greedy, eligible } = game;
  if (policy.policy === 'thompson') return byDrawnRate(game, draw);
  if (policy.by === 'request') return draw.next() < policy.epsilon ? sample(eligible, greedy.length, draw) : [...greedy];
  const explored = greedy.map(() => draw.next() < policy.epsilon);
  const kept = new Set(greedy.filter((_, place) => !explored[place]));
  const drawn = sample(
    eligible.filter((position) => !kept.has(position)),
    greedy.length - kept.size,
    draw,
  );
  return greedy.map((position, place) => (explored[place] ? drawn.pop()! : position));
}

/**
 * Probability that each position of the pool stands at each open place: one row of `poolSize` numbers a place. Exact for `epsilon_greedy`; for
 * `thompson` the share among THOMPSON_LISTS drawn lists, together with `shown` where that is given.
 */
export function propensities(game: Game, poolSize: number, draw: Draw, shown?: readonly number[]): Float64Array[] {
  const { policy, greedy, eligible } = game;
  const rows = greedy.map(() => new Float64Array(poolSize));
  if (policy.policy === 'thompson') {
    const count = THOMPSON_LISTS + (shown ? 1 : 0);
    const add = (list: readonly number[]): void => {
      for (const [place, position] of list.entries()) rows[place]![position]! += 1 / count;
    };
    if (shown) add(shown);
    for (let n = 0; n < THOMPSON_LISTS; n++) add(byDrawnRate(game, draw));
    return rows;
  }
  const chances = policy.by === 'request' ? byRequest(policy.epsilon, eligible.length) : bySlot(policy.epsilon, greedy.length, eligible.length);
  const elsewhere = new Set(greedy);
  for (const [place, row] of rows.entries()) {
    for (const position of eligible) {
      row[position] = position === greedy[place] ? chances.own : elsewhere.has(position) ? chances.moved : chances.drawn;
    }
  }
  return rows;
}

interface Chances {
  /** Of the greedy item at its own place, of one at another's, and of an item that is no greedy one. */
  readonly own: number;
  readonly moved: number;
  readonly drawn: number;
}

/** All of the list is drawn without replacement, or nothing: every item is as likely at every place. */
function byRequest(epsilon: number, n: number): Chances {
  return { own: 1 - epsilon + epsilon / n, moved: epsilon / n, drawn: epsilon / n };
}

/**
 * Each of k places is drawn with probability epsilon, from the items that stand at no place that is kept. With s places drawn there are n - k + s of
 * them, each as likely; s is binomial. An item that has a place of its own may come to another's only when both are drawn.
 */
function bySlot(epsilon: number, k: number, n: number): Chances {
  // Averages of 1 / (n - k + s) over the number s of drawn places, given that one, or two, are.
  let one = 0;
  let two = 0;
  for (let more = 0; more < k; more++) {
    one += binomial(k - 1, more, epsilon) / (n - k + 1 + more);
    if (more < k - 1) two += binomial(k - 2, more, epsilon) / (n - k + 2 + more);
  }
  return { own: 1 - epsilon + epsilon * one, moved: epsilon * epsilon * two, drawn: epsilon * one };
}

function binomial(n: number, k: number, p: number): number {
  let ways = 1;
  for (let i = 0; i < k; i++) ways *= (n - i) / (i + 1);
  return ways * p ** k * (1 - p) ** (n - k);
}

/** `count` of the positions, each ordered choice as likely (the first steps of Fisher and Yates). */
function sample(positions: readonly number[], count: number, draw: Draw): number[] {
  const left = [...positions];
  for (let i = 0; i < count; i++) {
    const other = i + draw.int(left.length - i);
    [left[i], left[other]] = [left[other]!, left[i]!];
  }
  return left.slice(0, count);
}

/** The highest drawn rates, each with its merit, in their order, by insertion: the places are few. */
function byDrawnRate({ greedy, eligible, beliefs, merits }: Game, draw: Draw): number[] {
  const places = greedy.length;
  const positions: number[] = [];
  const worths: number[] = [];
  for (const position of eligible) {
    const rate = draw.beta(beliefs[2 * position]!, beliefs[2 * position + 1]!);
    const worth = merits ? Math.log(rate) + merits[position]! : rate;
    if (worths.length === places && worth <= worths[places - 1]!) continue;
    let place = Math.min(worths.length, places - 1);
    for (; place > 0 && worths[place - 1]! < worth; place--) {
      worths[place] = worths[place - 1]!;
      positions[place] = positions[place - 1]!;
    }
    worths[place] = worth;
    positions[place] = position;
  }
  return positions;
}
