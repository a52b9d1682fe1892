import Type, { type TObject } from 'typebox';
import { Compile } from 'typebox/compile';
import { GatehouseError } from '../../contracts/errors.ts';
import { EVENT_NAMES } from '../../contracts/event.ts';
import type { Carried, Feature, FeatureDeclarations, History } from './contract.ts';
import { DEFAULT_DECLARATIONS } from './defaults.ts';
import { validateDeclarations } from './validate.ts';

/**
 * A features file: JSON with the sets of the declarations. With `"extends": "default"` its features and histories come behind those that ship with the
 * gateway, without it they stand alone. What a field may be (windows, entities, names before use) is `validateDeclarations`'s to say; here is which
 * fields there are.
 */
const strict = { additionalProperties: false } as const;
const Filter = {
  events: Type.Array(Type.String(), { minItems: 1, maxItems: EVENT_NAMES.length }),
  where: Type.Optional(Type.Object({ field: Type.String(), equals: Type.Boolean() }, strict)),
};
const Named = { name: Type.String(), text: Type.String({ maxLength: 300 }), aggregate: Type.String() };
const OfEntity = { ...Named, entity: Type.String(), ...Filter };
const Windowed = { ...OfEntity, window: Type.String() };
const Total = Type.Object({ ...Windowed, of: Type.String() }, strict);
const Of = Type.Object({ ...OfEntity, of: Type.String() }, strict);
const Threshold = Type.Union([Type.Number(), Type.Object({ times: Type.Number(), feature: Type.String(), plus: Type.Number() }, strict)]);

/** The fields of each aggregate. */
const SHAPES: Readonly<Record<Feature['aggregate'], TObject>> = {
  count: Type.Object(Windowed, strict),
  sum: Total,
  mean: Total,
  min: Total,
  max: Total,
  distinct: Total,
  last: Of,
  share: Of,
  time_since: Type.Object({ ...OfEntity, edge: Type.Enum(['first', 'last']) }, strict),
  recent: Type.Object(
    {
      ...OfEntity,
      of: Type.String(),
      statistic: Type.String(),
      last: Type.Integer(),
      window: Type.Optional(Type.String()),
      above: Type.Optional(Threshold),
    },
    strict,
  ),
  ratio: Type.Object({ ...Named, numerator: Type.String(), denominator: Type.String(), plus: Type.Optional(Type.Number()) }, strict),
  zscore: Type.Object({ ...Named, value: Type.String(), center: Type.String(), scale: Type.String(), plus: Type.Number() }, strict),
  differs: Type.Object({ ...Named, left: Type.String(), right: Type.String() }, strict),
  subject: Type.Object({ ...Named, field: Type.String() }, strict),
  context: Type.Object({ ...Named, key: Type.String() }, strict),
};
const checks = new Map(Object.entries(SHAPES).map(([aggregate, shape]) => [aggregate, Compile(shape)]));

const HistoryShape = Type.Object({ name: Type.String(), entity: Type.String(), itemsMax: Type.Integer(), ...Filter }, strict);
/** A few sets are enough for every model; the bound keeps a wrong file from being read for minutes. */
const SETS_MAX = 50;
const FileShape = Compile(
  Type.Object(
    {
      version: Type.Integer({ minimum: 1 }),
      extends: Type.Optional(Type.Literal('default')),
      carried: Type.Optional(Type.Object({ set: Type.String(), feature: Type.String(), ...Filter }, strict)),
      histories: Type.Optional(Type.Array(HistoryShape, { maxItems: SETS_MAX })),
      sets: Type.Record(Type.String(), Type.Array(Type.Object({ aggregate: Type.String() }), { maxItems: 1000 }), { maxProperties: SETS_MAX }),
    },
    strict,
  ),
);

/** The sets that the gateway itself asks for. */
const SETS_NEEDED = Object.keys(DEFAULT_DECLARATIONS.sets);

/** Reads a features file. Throws `config_invalid` with the place of the first mistake. */
export function parseFeatureFile(text: string): FeatureDeclarations {
  let file: unknown;
  try {
    file = JSON.parse(text);
  } catch (cause) {
    throw new GatehouseError('config_invalid', 'the features file is not JSON', { cause });
  }
  if (!FileShape.Check(file)) throw wrongShape('', FileShape.Errors(file)[0]);
  for (const [set, features] of Object.entries(file.sets)) {
    for (const [i, feature] of features.entries()) {
      const check = checks.get(feature.aggregate);
      if (!check) throw new GatehouseError('config_invalid', `the features file at /sets/${set}/${i}: unknown aggregate ${feature.aggregate}`);
      if (!check.Check(feature)) throw wrongShape(`/sets/${set}/${i}`, check.Errors(feature)[0]);
    }
  }
  const own = {
    version: file.version,
    histories: (file.histories ?? []) as History[],
    ...(file.carried && { carried: file.carried as Carried }),
    sets: file.sets as unknown as FeatureDeclarations['sets'],
  };
  const declarations = file.extends === 'default' ? extended(DEFAULT_DECLARATIONS, own) : own;
  validateDeclarations(declarations);
  for (const set of SETS_NEEDED) {
    if (!declarations.sets[set]) throw new GatehouseError('config_invalid', `the features file has no set ${set}; extend the default, or declare it`);
  }
  return declarations;
}

function extended(base: FeatureDeclarations, more: FeatureDeclarations): FeatureDeclarations {
  const sets: Record<string, readonly Feature[]> = { ...base.sets };
  for (const [set, features] of Object.entries(more.sets)) sets[set] = [...(sets[set] ?? []), ...features];
  return { ...base, ...more, histories: [...base.histories, ...more.histories], sets };
}

function wrongShape(place: string, error: { instancePath: string; message: string } | undefined): GatehouseError {
  // The schema's own words for a field too many.
  const message = error?.message === 'schema is false' ? 'there is no such field' : (error?.message ?? 'wrong shape');
  return new GatehouseError('config_invalid', `the features file at ${place}${error?.instancePath ?? '/'}: ${message}`);
}
