import Type, { type Static } from 'typebox';

/** More than any page of a shop offers; each costs microseconds. */
export const FILTER_CONDITIONS_MAX = 16;
export const FILTER_VALUES_MAX = 100;

const FilterValues = Type.Array(Type.Union([Type.String({ maxLength: 500 }), Type.Number(), Type.Boolean()]), {
  minItems: 1,
  maxItems: FILTER_VALUES_MAX,
});

/**
 * One condition on items. All that it names must hold: the value is one of `in`, none of `not_in`, at least `min` and at most `max`. An item without
 * the value fulfils `not_in` alone; an item without `stock` is always in stock and fulfils any `min` of it.
 */
export const FilterCondition = Type.Object(
  {
    field: Type.String({ pattern: '^(category|brand|currency|price|stock|created_ms|attributes\\.[a-z][a-z0-9_]{0,63})$' }),
    in: Type.Optional(FilterValues),
    not_in: Type.Optional(FilterValues),
    min: Type.Optional(Type.Number()),
    max: Type.Optional(Type.Number()),
  },
  { additionalProperties: false },
);
export type FilterCondition = Static<typeof FilterCondition>;

/** All conditions must hold. */
export const Filter = Type.Array(FilterCondition, { maxItems: FILTER_CONDITIONS_MAX });
export type Filter = Static<typeof Filter>;
