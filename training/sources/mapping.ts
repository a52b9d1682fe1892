import { existsSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import Type, { type Static } from 'typebox';
import { Compile } from 'typebox/compile';
import { type FieldError, GatehouseError } from '../../contracts/errors.ts';
import { EVENT_NAMES, type Event } from '../../contracts/event.ts';

/** Long enough for any CASE over a dozen codes, short enough to read in an error message. */
const EXPRESSION_CHARS_MAX = 4000;
const STREAMS_MAX = 32;
const MAPPING_BYTES_MAX = 1 << 20;

/** An SQL expression over the columns of the source, evaluated by DuckDB. */
const Expression = Type.String({ minLength: 1, maxLength: EXPRESSION_CHARS_MAX });

/** SQL type of each field of an event that a mapping may fill. */
export const FIELD_TYPES = {
  event_id: 'VARCHAR',
  timestamp_ms: 'DOUBLE',
  user_id: 'VARCHAR',
  session_id: 'VARCHAR',
  value: 'DOUBLE',
  currency: 'VARCHAR',
  country: 'VARCHAR',
  search_term: 'VARCHAR',
  campaign: 'VARCHAR',
  recommendation_id: 'VARCHAR',
  placement: 'VARCHAR',
  transaction_id: 'VARCHAR',
  card_id: 'VARCHAR',
  device_id: 'VARCHAR',
  ip: 'VARCHAR',
  email_domain: 'VARCHAR',
  address_id: 'VARCHAR',
  merchant_id: 'VARCHAR',
  payment_method: 'VARCHAR',
  rating: 'DOUBLE',
  title: 'VARCHAR',
  text: 'VARCHAR',
  is_fraud: 'BOOLEAN',
} as const satisfies Partial<Record<keyof Event, 'VARCHAR' | 'DOUBLE' | 'BOOLEAN'>>;
export type MappedField = keyof typeof FIELD_TYPES;
export const MAPPED_FIELDS = Object.keys(FIELD_TYPES) as MappedField[];

/** A field is an expression; where lines are grouped it is the smallest value of the group, or the sum with `{ "sum": … }`. */
const Field = Type.Union([Expression, Type.Object({ sum: Expression }, { additionalProperties: false })]);
const optional = Object.fromEntries(
  MAPPED_FIELDS.filter((name) => name !== 'event_id' && name !== 'timestamp_ms').map((name) => [name, Type.Optional(Field)]),
);

const Stream = Type.Object(
  {
    event: Type.Enum([...EVENT_NAMES]),
    /** Rows that this stream reads; all when absent. */
    where: Type.Optional(Expression),
    /** One event for all rows with the same `event_id`, with their items; otherwise one event a row. */
    group: Type.Optional(Type.Boolean()),
    fields: Type.Object({ event_id: Expression, timestamp_ms: Expression, ...optional }, { additionalProperties: false }),
    item: Type.Optional(
      Type.Object({ item_id: Expression, quantity: Type.Optional(Expression), price: Type.Optional(Expression) }, { additionalProperties: false }),
    ),
  },
  { additionalProperties: false },
);

/** The catalogue: rows are grouped by `item_id`; every other expression is an aggregate over the rows of one item. */
const Catalogue = Type.Object(
  {
    where: Type.Optional(Expression),
    item_id: Expression,
    /** When the row happened, so that `from` and `until` hold for the catalogue too. */
    timestamp_ms: Type.Optional(Expression),
    title: Type.Optional(Expression),
    category: Type.Optional(Expression),
    brand: Type.Optional(Expression),
    price: Type.Optional(Expression),
    currency: Type.Optional(Expression),
    stock: Type.Optional(Expression),
    created_ms: Type.Optional(Expression),
    attributes: Type.Optional(
      Type.Record(Type.String({ pattern: '^[a-z][a-z0-9_]{0,63}$' }), Expression, { maxProperties: 64, additionalProperties: false }),
    ),
  },
  { additionalProperties: false },
);

/** A mapping file: how the rows of a table become events. */
export const Mapping = Type.Object(
  {
    format: Type.Literal('gatehouse-mapping-1'),
    name: Type.String({ pattern: '^[a-z0-9][a-z0-9-]{0,63}$' }),
    /** For a person: what the set is and what the mapping makes of it. */
    about: Type.String({ maxLength: 2000 }),
    source: Type.Optional(
      Type.Object(
        {
          where: Type.Optional(Expression),
          /** Named expressions over the file's columns, for use in all others. */
          columns: Type.Optional(
            Type.Record(Type.String({ pattern: '^[a-z][a-z0-9_]{0,63}$' }), Expression, { maxProperties: 64, additionalProperties: false }),
          ),
          /** A column with this name that numbers the rows in file order from 0, for sets without an id. */
          row_number: Type.Optional(Type.String({ pattern: '^[a-z][a-z0-9_]{0,63}$' })),
          csv: Type.Optional(
            Type.Object(
              { delimiter: Type.Optional(Type.String({ minLength: 1, maxLength: 1 })), all_text: Type.Optional(Type.Boolean()) },
              { additionalProperties: false },
            ),
          ),
        },
        { additionalProperties: false },
      ),
    ),
    streams: Type.Array(Stream, { minItems: 1, maxItems: STREAMS_MAX }),
    items: Type.Optional(Catalogue),
  },
  { additionalProperties: false },
);
export type MappingStream = Omit<Static<typeof Stream>, 'fields'> & {
  readonly fields: { readonly event_id: string; readonly timestamp_ms: string } & Partial<Record<MappedField, string | { readonly sum: string }>>;
};
export type Mapping = Omit<Static<typeof Mapping>, 'streams'> & { readonly streams: readonly MappingStream[] };

const compiled = Compile(Mapping);

function invalid(detail: string, errors: readonly FieldError[]): GatehouseError {
  return new GatehouseError('mapping_invalid', detail, { errors });
}

/**
 * Why an expression could not stand between parentheses in a query: it would end the statement, open a comment or leave a bracket open.
 * Undefined when it can. The database is locked as well (`openTables`); this makes the message point at the place.
 */
export function expressionProblem(sql: string): string | undefined {
  let depth = 0;
  for (let i = 0; i < sql.length; i++) {
    const c = sql[i];
    if (c === "'" || c === '"') {
      // In E'\'' the backslash hides a quote: where DuckDB ends such a string is not where this scan does.
      if (/(?<!\w)[eE]$/.test(sql.slice(Math.max(0, i - 2), i))) return 'an escape string is not allowed';
      const end = sql.indexOf(c, i + 1);
      if (end < 0) return 'a quote is not closed';
      i = end;
    } else if (c === '(' || c === '[' || c === '{') depth++;
    else if (c === ')' || c === ']' || c === '}') {
      if (--depth < 0) return 'a bracket is closed that was not opened';
    } else if (c === ';') return 'a semicolon is not allowed';
    else if (c === '$') return 'a dollar sign is not allowed outside quotes';
    else if ((c === '-' && sql[i + 1] === '-') || (c === '/' && sql[i + 1] === '*')) return 'a comment is not allowed';
  }
  return depth > 0 ? 'a bracket is not closed' : undefined;
}

/** Every expression of a mapping with its JSON pointer. */
export function* expressions(
  mapping: Mapping,
): Generator<{ readonly path: string; readonly sql: string; readonly scope: 'source' | 'row' | 'item' }> {
  if (mapping.source?.where !== undefined) yield { path: '/source/where', sql: mapping.source.where, scope: 'source' };
  for (const [name, sql] of Object.entries(mapping.source?.columns ?? {})) yield { path: `/source/columns/${name}`, sql, scope: 'source' };
  for (const [i, stream] of mapping.streams.entries()) {
    if (stream.where !== undefined) yield { path: `/streams/${i}/where`, sql: stream.where, scope: 'row' };
    for (const [name, field] of Object.entries(stream.fields)) {
      if (typeof field === 'string') yield { path: `/streams/${i}/fields/${name}`, sql: field, scope: 'row' };
      else if (field) yield { path: `/streams/${i}/fields/${name}/sum`, sql: field.sum, scope: 'row' };
    }
    for (const [name, sql] of Object.entries(stream.item ?? {})) yield { path: `/streams/${i}/item/${name}`, sql, scope: 'row' };
  }
  const { attributes, where, item_id, timestamp_ms, ...aggregates } = mapping.items ?? {};
  if (where !== undefined) yield { path: '/items/where', sql: where, scope: 'row' };
  if (item_id !== undefined) yield { path: '/items/item_id', sql: item_id, scope: 'row' };
  if (timestamp_ms !== undefined) yield { path: '/items/timestamp_ms', sql: timestamp_ms, scope: 'row' };
  for (const [name, sql] of Object.entries(aggregates)) yield { path: `/items/${name}`, sql, scope: 'item' };
  for (const [name, sql] of Object.entries(attributes ?? {})) yield { path: `/items/attributes/${name}`, sql, scope: 'item' };
}

/** Checks a parsed mapping file. Throws `mapping_invalid`; `errors` name each place. */
export function parseMapping(value: unknown): Mapping {
  if (!compiled.Check(value)) {
    const errors = compiled.Errors(value).map((error) => ({ path: error.instancePath || '/', message: error.message }));
    throw invalid(`${errors[0]?.path ?? '/'} ${errors[0]?.message ?? 'does not match the schema'}`, errors);
  }
  const mapping = value as Mapping;
  const errors: FieldError[] = [];
  for (const { path, sql } of expressions(mapping)) {
    const problem = expressionProblem(sql);
    if (problem) errors.push({ path, message: problem });
  }
  for (const [i, stream] of mapping.streams.entries()) {
    for (const [name, field] of Object.entries(stream.fields)) {
      if (typeof field !== 'string' && !stream.group) errors.push({ path: `/streams/${i}/fields/${name}`, message: 'a sum needs "group": true' });
    }
  }
  if (errors.length > 0) throw invalid(`${errors[0]!.path} ${errors[0]!.message}`, errors);
  return mapping;
}

const SHIPPED = new URL('./mappings/', import.meta.url);

/** Reads a mapping: a path of a JSON file, or the name of a shipped one (such as `online-retail`). */
export function loadMapping(nameOrPath: string): Mapping {
  const shipped = fileURLToPath(new URL(`${nameOrPath}.json`, SHIPPED));
  const path = /^[a-z0-9-]+$/.test(nameOrPath) && existsSync(shipped) ? shipped : nameOrPath;
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (cause) {
    throw new GatehouseError('mapping_invalid', `${nameOrPath} is neither a shipped mapping nor a file that can be read`, { cause });
  }
  if (text.length > MAPPING_BYTES_MAX) throw new GatehouseError('mapping_invalid', `${nameOrPath} is larger than ${MAPPING_BYTES_MAX} bytes`);
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    throw new GatehouseError('mapping_invalid', `${nameOrPath} is not JSON: ${(cause as Error).message}`, { cause });
  }
  return parseMapping(value);
}
