import Type from 'typebox';
import { Compile } from 'typebox/compile';
import { GatehouseError } from '../../contracts/errors.ts';
import { PLACEMENTS_MAX, Placement } from '../../contracts/placement.ts';
import { compileItemRule } from './item-rule.ts';

export type { Placement };

/** Half a year: somebody who did not want an item then may be asked again. */
export const HIDE_DAYS = 180;

const OnePlacement = Compile(Placement);
const PlacementsFile = Compile(Type.Array(Placement, { minItems: 1, maxItems: PLACEMENTS_MAX }));

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
    // Behind the best two: what is tried is learned from as often as it is looked at, and a twelfth place hardly ever is.
    new_place: 3,
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
  value.forEach(requireSound);
  return value;
}

function requireSound(placement: Placement): void {
  if (placement.when !== undefined) compileItemRule(placement.when);
  const problem = placementProblem(placement);
  if (problem !== undefined) throw new GatehouseError('config_invalid', `the placement ${placement.id}: ${problem}`);
}
