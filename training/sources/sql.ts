import { GatehouseError } from '../../contracts/errors.ts';
import { duckdbMessage, readFunction, type Tables } from './duckdb.ts';
import { expressions, FIELD_TYPES, MAPPED_FIELDS, type MappedField, type Mapping, type MappingStream } from './mapping.ts';

const ITEM_LISTS = ['item_ids', 'quantities', 'prices'] as const;

/** The fields that any stream fills, in a fixed order: a column that nobody fills is not made, sorted or read. */
export function usedFields(mapping: Mapping): MappedField[] {
  return MAPPED_FIELDS.filter((name) => mapping.streams.some((stream) => stream.fields[name] !== undefined));
}

/** Column order of the event table: the stream's number, the used fields, then the items as three parallel lists where any stream has items. */
export function eventColumns(mapping: Mapping): string[] {
  return ['stream', ...usedFields(mapping), ...(mapping.streams.some((stream) => stream.item) ? ITEM_LISTS : [])];
}

/** Sums of cents are rounded to this many decimals, so that no float residue reaches an event. */
const MONEY_DECIMALS = 6;

/** The rows that every expression sees. */
export function sourceSql(mapping: Mapping, files: readonly string[]): string {
  const { source } = mapping;
  const from = readFunction(files, source?.csv);
  const numbered =
    source?.row_number === undefined ? `SELECT * FROM ${from}` : `SELECT *, row_number() OVER () - 1 AS ${source.row_number} FROM ${from}`;
  const columns = Object.entries(source?.columns ?? {}).map(([name, sql]) => `, (${sql}) AS ${name}`);
  const where = source?.where === undefined ? '' : ` WHERE (${source.where})`;
  return `SELECT *${columns.join('')} FROM (${numbered})${where}`;
}

/** TRY_CAST: a row that cannot be read becomes a missing value that is counted, not the end of the import. */
const cast = (sql: string, type: string) => `TRY_CAST((${sql}) AS ${type})`;

function rowSql(stream: MappingStream, used: readonly MappedField[]): string {
  const columns = used.map((name) => {
    const field = stream.fields[name];
    const sql = typeof field === 'string' ? field : field?.sum;
    return sql === undefined ? `NULL::${FIELD_TYPES[name]} AS ${name}` : `${cast(sql, FIELD_TYPES[name])} AS ${name}`;
  });
  const item = stream.item;
  columns.push(`${item ? cast(item.item_id, 'VARCHAR') : 'NULL::VARCHAR'} AS item_id`);
  columns.push(`${item?.quantity === undefined ? 'NULL::DOUBLE' : cast(item.quantity, 'DOUBLE')} AS quantity`);
  columns.push(`${item?.price === undefined ? 'NULL::DOUBLE' : cast(item.price, 'DOUBLE')} AS price`);
  return `SELECT ${columns.join(', ')} FROM source${stream.where === undefined ? '' : ` WHERE (${stream.where})`}`;
}

function streamSql(stream: MappingStream, number: number, used: readonly MappedField[]): string {
  if (!stream.group) {
    const list = (column: string) => (stream.item ? `[${column}]` : `NULL::${column === 'item_id' ? 'VARCHAR' : 'DOUBLE'}[]`);
    return `SELECT ${number} AS stream, ${used.join(', ')}, ${list('item_id')} AS item_ids, ${list('quantity')} AS quantities, ${list('price')} AS prices FROM (${rowSql(stream, used)})`;
  }
  // First one line for each item of an event (its price is the mean over the units), then one event with its lines.
  const fold = (name: string, field: unknown) => `${typeof field === 'object' ? 'sum' : 'min'}(${name}) AS ${name}`;
  const fields = used.filter((name) => name !== 'event_id');
  const folded = fields.map((name) => fold(name, stream.fields[name]));
  const price = `coalesce(round(sum(quantity * price) / nullif(sum(quantity) FILTER (price IS NOT NULL), 0), ${MONEY_DECIMALS}), min(price)) AS price`;
  const lines = `SELECT event_id, item_id, ${folded.join(', ')}, sum(quantity) AS quantity, ${price} FROM (${rowSql(stream, used)}) GROUP BY event_id, item_id`;
  const outer = fields.map((name) =>
    typeof stream.fields[name] === 'object' ? `round(sum(${name}), ${MONEY_DECIMALS}) AS ${name}` : fold(name, undefined),
  );
  const lists = stream.item
    ? ['item_id', 'quantity', 'price'].map((column) => `list(${column} ORDER BY item_id)`)
    : ['NULL::VARCHAR[]', 'NULL::DOUBLE[]', 'NULL::DOUBLE[]'];
  return `SELECT ${number} AS stream, event_id, ${outer.join(', ')}, ${lists[0]} AS item_ids, ${lists[1]} AS quantities, ${lists[2]} AS prices FROM (${lines}) GROUP BY event_id`;
}

/** Events of all streams, unsorted. `fromMs` is inclusive, `untilMs` exclusive; events without a time stay, to be counted as refused. */
export function eventsSql(mapping: Mapping, range: { readonly fromMs?: number | undefined; readonly untilMs?: number | undefined }): string {
  const [columns, used] = [eventColumns(mapping).join(', '), usedFields(mapping)];
  const union = mapping.streams.map((stream, i) => `SELECT ${columns} FROM (${streamSql(stream, i, used)})`).join(' UNION ALL ');
  const bounds = [
    ...(range.fromMs === undefined ? [] : [`timestamp_ms >= ${range.fromMs}`]),
    ...(range.untilMs === undefined ? [] : [`timestamp_ms < ${range.untilMs}`]),
  ];
  return `SELECT * FROM (${union})${bounds.length === 0 ? '' : ` WHERE timestamp_ms IS NULL OR (${bounds.join(' AND ')})`}`;
}

/** One row an item: item_id, the named fields of `names`, then the attributes of `attributes`, in item_id order. */
export function itemsSql(
  catalogue: NonNullable<Mapping['items']>,
  range: { readonly fromMs?: number | undefined; readonly untilMs?: number | undefined },
): { readonly sql: string; readonly names: readonly string[]; readonly attributes: readonly string[] } {
  const { where, item_id, timestamp_ms, attributes = {}, ...named } = catalogue;
  const numeric = new Set(['price', 'stock', 'created_ms']);
  const columns = Object.entries(named).map(([name, sql]) => `${cast(sql, numeric.has(name) ? 'DOUBLE' : 'VARCHAR')} AS ${name}`);
  const extra = Object.entries(attributes).map(([name, sql]) => `(${sql}) AS attribute_${name}`);
  const conditions = [
    `${cast(item_id, 'VARCHAR')} IS NOT NULL`,
    ...(where === undefined ? [] : [`(${where})`]),
    ...(timestamp_ms === undefined || range.fromMs === undefined ? [] : [`(${timestamp_ms}) >= ${range.fromMs}`]),
    ...(timestamp_ms === undefined || range.untilMs === undefined ? [] : [`(${timestamp_ms}) < ${range.untilMs}`]),
  ];
  const sql = `SELECT ${cast(item_id, 'VARCHAR')} AS mapped_item_id, ${[...columns, ...extra].join(', ') || 'NULL'} FROM source WHERE ${conditions.join(' AND ')} GROUP BY mapped_item_id ORDER BY mapped_item_id`;
  return { sql, names: Object.keys(named), attributes: Object.keys(attributes) };
}

/** Prepares every expression against the file's columns. Throws `mapping_invalid` that names each place and DuckDB's reason. */
export async function checkExpressions(tables: Tables, mapping: Mapping): Promise<void> {
  const errors: { path: string; message: string }[] = [];
  const { where: _where, columns: _columns, ...plain } = mapping.source ?? {};
  const named: Record<string, string> = {};
  for (const { path, sql, scope } of expressions(mapping)) {
    if (scope !== 'source' && errors.some((error) => error.path.startsWith('/source/'))) break;
    // A named column may use the ones before it, and the source's own condition may use them all.
    const seen =
      scope !== 'source'
        ? mapping
        : { ...mapping, source: { ...plain, columns: path === '/source/where' ? (mapping.source?.columns ?? {}) : named } };
    const group = scope === 'item' ? ` GROUP BY ${cast(mapping.items!.item_id, 'VARCHAR')}` : '';
    try {
      await tables.describe(`WITH source AS (${sourceSql(seen, tables.files)}) SELECT (${sql}) AS value FROM source${group}`);
      if (path.startsWith('/source/columns/')) named[path.slice('/source/columns/'.length)] = sql;
    } catch (error) {
      errors.push({ path, message: duckdbMessage(error) });
    }
  }
  if (errors.length > 0) throw new GatehouseError('mapping_invalid', `${errors[0]!.path} ${errors[0]!.message}`, { errors });
}
