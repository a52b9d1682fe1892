import Type, { type Static } from 'typebox';

const strict = { additionalProperties: false };

/** Items that a policy may choose among: uniform draws over more than this are noise to the shopper, and each is written to the journal. */
export const EXPLORATION_POOL_MAX = 100;

/** What may be tried out, and where. The best ranked items stand wherever nothing is tried. */
const SCOPE = {
  /** `new`: the places that the placement keeps for new items are given by the policy, among new items alone. `all`: the last places, among all of the pool. */
  among: Type.Enum(['new', 'all']),
  /** Places that take part, counted from the end. */
  slots: Type.Integer({ minimum: 1, maximum: 100 }),
  /** The best ranked items that may be tried. */
  pool: Type.Integer({ minimum: 2, maximum: EXPLORATION_POOL_MAX }),
};

/**
 * How a placement tries out what it is not sure of.
 *
 * `epsilon_greedy` shows drawn items with probability `epsilon`: by `request` all places that take part are drawn, by `slot` each on its own.
 * `thompson` draws each item's click rate from what is known of it (a Beta distribution) and shows what would rank highest if that were true.
 */
export const Exploration = Type.Union([
  Type.Object({ policy: Type.Literal('none') }, strict),
  Type.Object(
    { policy: Type.Literal('epsilon_greedy'), epsilon: Type.Number({ minimum: 0, maximum: 1 }), by: Type.Enum(['request', 'slot']), ...SCOPE },
    strict,
  ),
  Type.Object({ policy: Type.Literal('thompson'), ...SCOPE }, strict),
]);
export type Exploration = Static<typeof Exploration>;
export type ExplorationPolicy = Exploration['policy'];
/** A policy that tries something out. */
export type ActiveExploration = Exclude<Exploration, { policy: 'none' }>;

/**
 * What a policy chose from, and with which probabilities, so that another policy can be judged by what was shown. It is drawn with the
 * recommendation's id as the seed: the same id over the same pool gives the same list.
 */
export interface ExplorationLog {
  readonly policy: ActiveExploration;
  /** Probability of each shown item at its place, by position; items behind the last were certain. */
  readonly propensities: readonly number[];
  /** The pool, the best ranked first. */
  readonly items: readonly string[];
  readonly scores: readonly number[];
  /** Score of the last candidate, in the pool or not: variety is weighed against scores from there. */
  readonly floor: number;
  /** Position in the pool of the item that stands at each place where nothing is tried. */
  readonly greedy: readonly number[];
  /** The places that took part, ascending. */
  readonly open: readonly number[];
  /** `thompson`: a and b of each pool item's Beta distribution, in turn. */
  readonly beliefs?: readonly number[];
  /** `thompson`: what the logarithm of a click rate weighs in `scores`. Absent: rates alone were drawn. */
  readonly appeal_weight?: number;
}
