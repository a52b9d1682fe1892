import { Compile } from 'typebox/compile';
import { GatehouseError } from '../../contracts/errors.ts';
import { EVENTS_PER_BATCH_MAX, Event, eventProblem, type TimedEvent } from '../../contracts/event.ts';
import { Item } from '../../contracts/item.ts';
import type { ProgressReporter } from '../progress.ts';
import { type Cell, duckdbMessage, openTables, readFunction, type TableOptions, type Tables } from './duckdb.ts';
import { loadMapping, type MappedField, type Mapping } from './mapping.ts';
import { checkExpressions, eventColumns, eventsSql, itemsSql, sourceSql, usedFields } from './sql.ts';

/** Items an event may have (contracts/event.ts); a longer one becomes several. */
const ITEMS_PER_EVENT_MAX = 100;
/** Reasons to refuse are kept apart up to this many; the rest is counted together. */
const REASONS_MAX = 100;

/** Takes what an import makes, in time order: all items first, then batches of events. It may be called with one of the two empty. */
export type ImportSink = (events: TimedEvent[], items: Item[]) => Promise<void>;

export interface ImportOptions {
  /** A mapping, the name of a shipped one, or the path of a JSON file. */
  readonly mapping: Mapping | string;
  /** A file or a glob. */
  readonly path: string;
  readonly sink: ImportSink;
  /** Only events in [fromMs, untilMs). */
  readonly fromMs?: number;
  readonly untilMs?: number;
  readonly progress?: ProgressReporter;
  readonly table?: TableOptions;
  /** Stops the import; what the sink has taken by then stays taken. */
  readonly signal?: AbortSignal;
}

/** What an import did, and what the data look like. */
export interface ImportReport {
  readonly mapping: string;
  readonly files: number;
  /** Rows behind the source's own condition. */
  readonly rows: number;
  /** Events handed to the sink, by name. Parts of a split event count one each. */
  readonly events: Readonly<Record<string, number>>;
  readonly items: number;
  /** Events and items that broke the contract, by reason. */
  readonly refused: Readonly<Record<string, number>>;
  /** Events whose id had come before in the same data; the earliest was taken. */
  readonly duplicates: number;
  /** Events with more than 100 items, which became several. */
  readonly split: number;
  readonly fromMs: number | undefined;
  readonly toMs: number | undefined;
  /** Share of events without a value, for each mapped field that is missing anywhere: `purchase.user_id`. */
  readonly missing: Readonly<Record<string, number>>;
}

const eventShape = Compile(Event);
const itemShape = Compile(Item);

/** Counts reasons without letting hostile data grow the table. */
class Reasons {
  readonly counts: Record<string, number> = {};
  #kinds = 0;

  add(reason: string): void {
    const known = this.counts[reason] !== undefined || ++this.#kinds <= REASONS_MAX;
    const key = known ? reason : 'other';
    this.counts[key] = (this.counts[key] ?? 0) + 1;
  }
}

/** The first thing wrong with a value, as a short, countable sentence. */
function shapeProblem(shape: typeof eventShape | typeof itemShape, value: unknown): string {
  const [error] = shape.Errors(value);
  return error ? `${error.instancePath.replace(/\/\d+(?=\/|$)/g, '/*') || '/'} ${error.message}` : 'does not match the schema';
}

/**
 * Reads a table through a mapping and hands validated events to the sink, in time order across all streams of the mapping. Event ids come from
 * the data, so a second import of the same file gives the same events and an idempotent sink counts nothing twice.
 * Throws `mapping_invalid`, `input_unreadable` and, on abort, `cancelled`; rows that break the contract are counted and left out.
 */
export async function importFile(options: ImportOptions): Promise<ImportReport> {
  const mapping = typeof options.mapping === 'string' ? loadMapping(options.mapping) : options.mapping;
  const { signal } = options;
  const check = (): void => {
    if (signal?.aborted) throw new GatehouseError('cancelled', 'the import was stopped; starting it again counts nothing twice');
  };
  const tables = await openTables(options.path, options.table);
  const interrupt = (): void => tables.interrupt();
  signal?.addEventListener('abort', interrupt);
  try {
    check();
    // A file that cannot be read at all must not look like a mistake of the mapping.
    await tables.describe(`SELECT * FROM ${readFunction(tables.files, mapping.source?.csv)}`);
    await checkExpressions(tables, mapping);
    const sink: ImportSink = (events, items) => {
      check();
      return options.sink(events, items);
    };
    return await importTables(tables, mapping, { ...options, sink });
  } catch (error) {
    // A query that was interrupted fails with DuckDB's own words.
    check();
    if (error instanceof Error && error.constructor === Error && /^[A-Z][A-Za-z ]* Error: /.test(error.message)) {
      throw new GatehouseError('input_unreadable', `${options.path}: ${duckdbMessage(error)}`, { cause: error });
    }
    throw error;
  } finally {
    signal?.removeEventListener('abort', interrupt);
    await tables.close();
  }
}

async function importTables(tables: Tables, mapping: Mapping, options: ImportOptions): Promise<ImportReport> {
  const refused = new Reasons();
  const read = options.progress?.task('reading', 'rows');
  await tables.run(`CREATE TEMP TABLE source AS ${sourceSql(mapping, tables.files)}`);
  const rows = Number((await tables.all('SELECT count(*) FROM source'))[0]![0]);
  read?.update(rows, rows);
  await tables.run(`CREATE TEMP TABLE events AS ${eventsSql(mapping, options)}`);
  const quality = await eventQuality(tables, mapping);
  read?.end();
  const items = await importItems(tables, mapping, options, refused);
  const written = await importEvents(tables, mapping, options, quality, refused);
  return {
    mapping: mapping.name,
    files: tables.files.length,
    rows,
    events: written.events,
    items,
    refused: refused.counts,
    duplicates: quality.duplicates,
    split: written.split,
    fromMs: quality.fromMs,
    toMs: quality.toMs,
    missing: quality.missing,
  };
}

interface Quality {
  readonly total: number;
  readonly duplicates: number;
  readonly fromMs: number | undefined;
  readonly toMs: number | undefined;
  readonly missing: Record<string, number>;
}

async function eventQuality(tables: Tables, mapping: Mapping): Promise<Quality> {
  const used = usedFields(mapping);
  const counts = used.map((name) => `count(${name})`).join(', ');
  const byStream = await tables.all(`SELECT stream, count(*), ${counts} FROM events GROUP BY stream ORDER BY stream`);
  const [whole] = await tables.all('SELECT count(*), count(event_id) - count(DISTINCT event_id), min(timestamp_ms), max(timestamp_ms) FROM events');
  const missing: Record<string, number> = {};
  for (const [number, total, ...present] of byStream) {
    const stream = mapping.streams[Number(number)]!;
    for (const [i, name] of used.entries()) {
      const share = 1 - Number(present[i]) / Number(total);
      if (stream.fields[name] !== undefined && share > 0) missing[`${stream.event}.${name}`] = share;
    }
  }
  const [total, duplicates, fromMs, toMs] = whole!;
  return {
    total: Number(total),
    duplicates: Number(duplicates),
    fromMs: fromMs === null ? undefined : Number(fromMs),
    toMs: toMs === null ? undefined : Number(toMs),
    missing,
  };
}

async function importItems(tables: Tables, mapping: Mapping, options: ImportOptions, refused: Reasons): Promise<number> {
  if (!mapping.items) return 0;
  const { sql, names, attributes } = itemsSql(mapping.items, options);
  let batch: Item[] = [];
  let count = 0;
  for await (const columns of tables.stream(sql)) {
    for (let row = 0; row < columns[0]!.length; row++) {
      const item: Record<string, Cell | Record<string, Cell>> = { item_id: columns[0]![row]! };
      for (const [i, name] of names.entries()) {
        const value = columns[i + 1]![row]!;
        if (value !== null) item[name] = name === 'stock' || name === 'created_ms' ? Math.round(Number(value)) : value;
      }
      const extra: Record<string, Cell> = {};
      for (const [i, name] of attributes.entries()) {
        const value = columns[names.length + 1 + i]![row]!;
        if (value !== null) extra[name] = value;
      }
      if (Object.keys(extra).length > 0) item['attributes'] = extra;
      if (!itemShape.Check(item)) refused.add(`item: ${shapeProblem(itemShape, item)}`);
      else {
        batch.push(item);
        count++;
      }
      if (batch.length === EVENTS_PER_BATCH_MAX) {
        await options.sink([], batch);
        batch = [];
      }
    }
  }
  if (batch.length > 0) await options.sink([], batch);
  return count;
}

async function importEvents(
  tables: Tables,
  mapping: Mapping,
  options: ImportOptions,
  quality: Quality,
  refused: Reasons,
): Promise<{ readonly events: Record<string, number>; readonly split: number }> {
  // Of events with one id the earliest is kept; the window is only paid for when there are any.
  const unique =
    quality.duplicates === 0
      ? 'events'
      : '(SELECT * FROM events QUALIFY event_id IS NULL OR row_number() OVER (PARTITION BY event_id ORDER BY timestamp_ms, stream) = 1)';
  const task = options.progress?.task('importing', 'events');
  const events: Record<string, number> = {};
  let batch: TimedEvent[] = [];
  let seen = 0;
  let split = 0;
  const used = usedFields(mapping);
  const sql = `SELECT ${eventColumns(mapping).join(', ')} FROM ${unique} ORDER BY timestamp_ms NULLS LAST, stream, event_id`;
  for await (const columns of tables.stream(sql)) {
    const length = columns[0]!.length;
    for (let row = 0; row < length; row++) {
      const parts = rowEvents(mapping, used, columns, row);
      if (parts.length > 1) split++;
      for (const event of parts) {
        const problem = eventShape.Check(event) ? eventProblem(event) : shapeProblem(eventShape, event);
        if (problem !== undefined || event.timestamp_ms === undefined) {
          refused.add(`${event.name}: ${problem ?? '/timestamp_ms is missing'}`);
          continue;
        }
        events[event.name] = (events[event.name] ?? 0) + 1;
        batch.push(event as TimedEvent);
        if (batch.length === EVENTS_PER_BATCH_MAX) {
          await options.sink(batch, []);
          batch = [];
        }
      }
    }
    seen += length;
    task?.update(seen, quality.total - quality.duplicates);
  }
  if (batch.length > 0) await options.sink(batch, []);
  task?.end();
  return { events, split };
}

/** The event of a row, or its parts: the first keeps the id, the others are `<id>~2`, `<id>~3` and so on. */
function rowEvents(mapping: Mapping, used: readonly MappedField[], columns: readonly (readonly Cell[])[], row: number): Event[] {
  const stream = mapping.streams[Number(columns[0]![row])]!;
  const fields: Record<string, Cell> = { name: stream.event };
  for (let i = 0; i < used.length; i++) {
    const value = columns[1 + i]![row]!;
    if (value === null) continue;
    const name = used[i]!;
    fields[name] = name === 'timestamp_ms' || name === 'rating' ? Math.round(Number(value)) : value;
  }
  const lists = 1 + used.length;
  const ids = stream.item ? (columns[lists]![row] as readonly Cell[] | null) : null;
  if (!ids) return [fields as unknown as Event];
  const quantities = columns[lists + 1]![row] as readonly (number | null)[];
  const prices = columns[lists + 2]![row] as readonly (number | null)[];
  const items = ids
    .map((id, i) => {
      const quantity = quantities[i] ?? null;
      const price = prices[i] ?? null;
      return { item_id: String(id ?? ''), ...(quantity === null ? {} : { quantity: Math.round(quantity) }), ...(price === null ? {} : { price }) };
    })
    .filter((item) => item.item_id !== '');
  const event = { ...fields, items } as unknown as Event;
  if (items.length <= ITEMS_PER_EVENT_MAX) return [event];
  const parts: Event[] = [];
  for (let start = 0; start < items.length; start += ITEMS_PER_EVENT_MAX) {
    const part = items.slice(start, start + ITEMS_PER_EVENT_MAX);
    const number = parts.length + 1;
    // The value is divided over the parts by their lines, so that their sum is still the event's.
    const value = event.value === undefined ? {} : { value: (event.value * lineTotal(part)) / (lineTotal(items) || 1) };
    parts.push({ ...event, ...value, items: part, event_id: number === 1 ? event.event_id : `${event.event_id}~${number}` });
  }
  return parts;
}

function lineTotal(items: readonly { readonly quantity?: number; readonly price?: number }[]): number {
  return items.reduce((sum, item) => sum + (item.price ?? 0) * (item.quantity ?? 1), 0);
}
