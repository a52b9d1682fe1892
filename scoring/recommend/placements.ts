import Type, { type Static } from 'typebox';
import { Compile } from 'typebox/compile';
import { GatehouseError } from '../../contracts/errors.ts';
import { Id } from '../../contracts/event.ts';
import { Exploration } from '../../contracts/exploration.ts';
import { Filter } from '../../contracts/filter.ts';
import { RECOMMEND_LIMIT_MAX } from '../../contracts/recommend.ts';
import { compileItemRule } from './item-rule.ts';

const Cap = Type.Integer({ minimum: 0, maximum: 500 });

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
      },
      { additionalProperties: false },
    ),
    /** Items bought within this many days are left out; 0 lets them in (a wholesaler's customers buy again). */
    /** What every item of this slot must fulfil. */
    filter: Type.Optional(Filter),
    /** What the conditions of a filter cannot say: CEL over `item`. Asked when an item changes. */
    when: Type.Optional(Type.String({ minLength: 1, maxLength: 4000 })),
    suppress_purchased_days: Type.Integer({ minimum: 0, maximum: 3650 }),
    /** Share of the answer kept for items that are newer than `new_days`, so that a new item is seen at all. */
    new_share: Type.Number({ minimum: 0, maximum: 0.5 }),
    new_days: Type.Integer({ minimum: 0, maximum: 365 }),
    /** 0 ranks by score alone; 1 puts variety of categories above everything. */
    diversity: Type.Number({ minimum: 0, maximum: 1 }),
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

/** What a shop starts with. `again` is for consumables and wholesale: it lets own purchases in. */
export const DEFAULT_PLACEMENTS: readonly Placement[] = [
  {
    id: 'home',
    limit: 12,
    sources: { user_vector: 60, item_to_item: 40, buy_again: 0, popular: 40, new: 10, ...LEARNED },
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
    sources: { user_vector: 40, item_to_item: 100, buy_again: 0, popular: 20, new: 5, session_neighbours: 60, next_item: 40 },
    suppress_purchased_days: 30,
    new_share: 0,
    new_days: 7,
    diversity: 0.1,
  },
  {
    id: 'cart',
    limit: 6,
    sources: { user_vector: 40, item_to_item: 100, buy_again: 20, popular: 20, new: 0, linear: 40, session_neighbours: 60, next_item: 40 },
    suppress_purchased_days: 0,
    new_share: 0,
    new_days: 7,
    diversity: 0.2,
  },
  {
    id: 'search',
    limit: 24,
    sources: { user_vector: 60, item_to_item: 40, buy_again: 20, popular: 60, new: 10, ...LEARNED },
    suppress_purchased_days: 0,
    new_share: 0,
    new_days: 7,
    diversity: 0,
  },
  {
    id: 'again',
    limit: 20,
    sources: { user_vector: 50, item_to_item: 40, buy_again: 80, popular: 40, new: 0, ...LEARNED },
    suppress_purchased_days: 0,
    new_share: 0,
    new_days: 7,
    diversity: 0,
  },
];

/** A placement with some of its fields replaced. Throws `config_invalid` where that is none. */
export function placementWith(placement: Placement, overrides: Readonly<Record<string, unknown>>): Placement {
  const changed: unknown = { ...placement, ...overrides, id: placement.id };
  if (OnePlacement.Check(changed)) return changed;
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
  for (const { when } of value) if (when !== undefined) compileItemRule(when);
  return value;
}
