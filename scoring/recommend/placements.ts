import Type, { type Static } from 'typebox';
import { Compile } from 'typebox/compile';
import { GatehouseError } from '../../contracts/errors.ts';
import { Id } from '../../contracts/event.ts';
import { Exploration } from '../../contracts/exploration.ts';
import { Filter } from '../../contracts/filter.ts';
import { Boosts, Caps, Objectives, Pins, Slots } from '../../contracts/merchandising.ts';
import { CANDIDATE_SOURCES, type CandidateSource, RECOMMEND_LIMIT_MAX } from '../../contracts/recommend.ts';
import { compileItemRule } from './item-rule.ts';

const Cap = Type.Integer({ minimum: 0, maximum: 500 });
/** Half a year: somebody who did not want an item then may be asked again. */
export const HIDE_DAYS = 180;
const isSource = (source: CandidateSource): source is Exclude<CandidateSource, 'fallback' | 'pinned'> => source !== 'fallback' && source !== 'pinned';

/** A named slot of a page: which sources may fill it and what is kept out. */
export const Placement = Type.Object(
  {
    id: Id,
    limit: Type.Integer({ minimum: 1, maximum: RECOMMEND_LIMIT_MAX }),
    sources: Type.Object(
      {
        user_vector: Cap,
        item_to_item: Cap,
        buy_again: Cap,
        popular: Cap,
        new: Cap,
        look_alike: Type.Optional(Cap),
        linear: Type.Optional(Cap),
        session_neighbours: Type.Optional(Cap),
        next_item: Type.Optional(Cap),
        content: Type.Optional(Cap),
        editorial: Type.Optional(Cap),
      },
      { additionalProperties: false },
    ),
    /** Milliseconds that a source may take to prepare its answer, at most what is left of the answer's own time. One that is late is left out, and the answer says so. */
    source_deadlines_ms: Type.Optional(
      Type.Partial(Type.Record(Type.Enum(CANDIDATE_SOURCES.filter(isSource)), Type.Number({ minimum: 1, maximum: 1000 }))),
    ),
    /** What every item of this slot must fulfil. */
    filter: Type.Optional(Filter),
    /** What the conditions of a filter cannot say: CEL over `item`. Asked when an item changes. */
    when: Type.Optional(Type.String({ minLength: 1, maxLength: 4000 })),
    /** Items bought within this many days are left out; 0 lets them in (a wholesaler's customers buy again). */
    suppress_purchased_days: Type.Integer({ minimum: 0, maximum: 3650 }),
    /** Items looked at within this many hours, by the user or in this visit, are left out. Not where nothing is said. */
    suppress_viewed_hours: Type.Optional(Type.Number({ minimum: 0, maximum: 24 * 365 })),
    /** For how long `hide_item` keeps an item away from who hid it; HIDE_DAYS where nothing is said. */
    hide_days: Type.Optional(Type.Integer({ minimum: 1, maximum: 3650 })),
    /** Share of the answer kept for items that are newer than `new_days`, so that a new item is seen at all. */
    new_share: Type.Number({ minimum: 0, maximum: 0.5 }),
    new_days: Type.Integer({ minimum: 0, maximum: 365 }),
    /** The lambda of maximal marginal relevance: 0 ranks by score alone; 1 puts variety above everything. */
    diversity: Type.Number({ minimum: 0, maximum: 1 }),
    /** Variety of categories, unless said otherwise, or of the bundle's item vectors. An item without a vector is compared by its category. */
    diversity_by: Type.Optional(Type.Enum(['category', 'vector'])),
    pins: Type.Optional(Pins),
    boosts: Type.Optional(Boosts),
    slots: Type.Optional(Slots),
    caps: Type.Optional(Caps),
    objectives: Type.Optional(Objectives),
    /** What is tried out, and how. Nothing unless said. */
    exploration: Type.Optional(Exploration),
  },
  { additionalProperties: false },
);
export type Placement = Static<typeof Placement>;

const OnePlacement = Compile(Placement);
const PlacementsFile = Compile(Type.Array(Placement, { minItems: 1, maxItems: 100 }));

export const DEFAULT_PLACEMENT = 'home';

/** Sources that a bundle has where the shop's data are enough. They name much the same items, so that together they add about half of this. */
const LEARNED = { look_alike: 60, linear: 50, session_neighbours: 50, next_item: 40 };
/** Few: what is like an item is mostly found by what people do, and these are there for items that nobody met yet. */
const CONTENT = 10;

/** What a shop starts with. `again` is for consumables and wholesale: it lets own purchases in. */
export const DEFAULT_PLACEMENTS: readonly Placement[] = [
  {
    id: 'home',
    limit: 12,
    sources: { user_vector: 60, item_to_item: 40, buy_again: 0, popular: 40, new: 10, ...LEARNED, content: CONTENT, editorial: 20 },
    suppress_purchased_days: 30,
    new_share: 0.08,
    new_days: 7,
    diversity: 0.15,
    // The place that is kept for a new item goes round among the new ones, by what their clicks say so far.
    exploration: { policy: 'thompson', among: 'new', slots: 1, pool: 20 },
  },
  {
    id: 'product',
    limit: 8,
    sources: {
      user_vector: 40,
      item_to_item: 100,
      buy_again: 0,
      popular: 20,
      new: 5,
      session_neighbours: 60,
      next_item: 40,
      content: 2 * CONTENT,
      editorial: 20,
    },
    suppress_purchased_days: 30,
    new_share: 0,
    new_days: 7,
    diversity: 0.1,
  },
  {
    id: 'cart',
    limit: 6,
    sources: {
      user_vector: 40,
      item_to_item: 100,
      buy_again: 20,
      popular: 20,
      new: 0,
      linear: 40,
      session_neighbours: 60,
      next_item: 40,
      content: CONTENT,
      editorial: 20,
    },
    suppress_purchased_days: 0,
    new_share: 0,
    new_days: 7,
    diversity: 0.2,
  },
  {
    id: 'search',
    limit: 24,
    sources: { user_vector: 60, item_to_item: 40, buy_again: 20, popular: 60, new: 10, ...LEARNED, content: CONTENT, editorial: 20 },
    suppress_purchased_days: 0,
    new_share: 0,
    new_days: 7,
    diversity: 0,
  },
  {
    id: 'again',
    limit: 20,
    sources: { user_vector: 50, item_to_item: 40, buy_again: 80, popular: 40, new: 0, ...LEARNED, content: CONTENT, editorial: 20 },
    suppress_purchased_days: 0,
    new_share: 0,
    new_days: 7,
    diversity: 0,
  },
];

/** What the schema alone cannot say of a placement: the sentence that is wrong with it, or undefined. */
function placementProblem({ slots = [], pins = [], boosts = [] }: Placement): string | undefined {
  if (slots.some(({ source, filter }) => (source === undefined) === (filter === undefined))) return 'a slot has a source or a filter';
  if (slots.reduce((sum, { share }) => sum + share, 0) > 1 + 1e-9) return 'the shares of the slots add up to more than 1';
  const endless = [...pins, ...boosts].find(({ from_ms, until_ms }) => from_ms !== undefined && until_ms !== undefined && until_ms <= from_ms);
  return endless && 'a pin or a boost ends before it begins';
}

/** A placement with some of its fields replaced. Throws `config_invalid` where that is none. */
export function placementWith(placement: Placement, overrides: Readonly<Record<string, unknown>>): Placement {
  const changed: unknown = { ...placement, ...overrides, id: placement.id };
  if (OnePlacement.Check(changed)) {
    requireSound(changed);
    return changed;
  }
  const errors = OnePlacement.Errors(changed).map((error) => ({ path: error.instancePath, message: error.message }));
  throw new GatehouseError('config_invalid', `the placement does not match its schema at ${errors[0]?.path || '/'}: ${errors[0]?.message ?? ''}`, {
    errors,
  });
}

/** Parses a placements file (JSON). Throws `config_invalid` with the place. */
export function parsePlacements(text: string): readonly Placement[] {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    throw new GatehouseError('config_invalid', 'the placements file is not JSON', { cause });
  }
  if (!PlacementsFile.Check(value)) {
    const errors = PlacementsFile.Errors(value).map((error) => ({ path: error.instancePath, message: error.message }));
    throw new GatehouseError(
      'config_invalid',
      `the placements file does not match its schema at ${errors[0]?.path ?? '/'}: ${errors[0]?.message ?? ''}`,
      { errors },
    );
  }
  for (const placement of value) {
    if (placement.when !== undefined) compileItemRule(placement.when);
    requireSound(placement);
  }
  return value;
}

function requireSound(placement: Placement): void {
  const problem = placementProblem(placement);
  if (problem !== undefined) throw new GatehouseError('config_invalid', `the placement ${placement.id}: ${problem}`);
}
