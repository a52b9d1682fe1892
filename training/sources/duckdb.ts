import { mkdtemp, rename, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type DuckDBAppender, type DuckDBConnection, DuckDBInstance, type DuckDBValue } from '@duckdb/node-api';
import { GatehouseError } from '../../contracts/errors.ts';

/** What a column may hold once it has left DuckDB: dates and decimals are cast in SQL, so that nothing else arrives. */
export type Cell = string | number | boolean | null | readonly Cell[];

export interface TableOptions {
  /** DuckDB spills to disk beyond this. 1 GiB sorts tens of millions of rows while leaving room for the trainer beside it. */
  readonly memoryMiB?: number;
  /** Where it spills; a folder of its own is made there and removed at the end. */
  readonly tempDir?: string;
}

const MEMORY_MIB_DEFAULT = 1024;
/** One thread: the order of equal rows and of float sums is then the same in every run, and with it the digest of every event. */
const THREADS = '1';
const FILES_MAX = 10_000;
/** DuckDB quotes whole lines of a broken CSV file; this is enough to find the place. */
const MESSAGE_CHARS_MAX = 500;

/** Turns a value into an SQL literal. */
export function quote(text: string): string {
  return `'${text.replaceAll("'", "''")}'`;
}

/**
 * An in-memory DuckDB that can read the files of one import and nothing else: after `openTables` every other path, extension and setting is
 * locked, so that an expression of a mapping file cannot read or write anything beside the data that it was given.
 */
export interface Tables {
  /** The files behind the path or glob, in name order. */
  readonly files: readonly string[];
  run(sql: string): Promise<void>;
  /** All rows of a small answer. */
  all(sql: string): Promise<Cell[][]>;
  /** Name and type of each column of a query, without running it. */
  describe(sql: string): Promise<{ readonly name: string; readonly type: string }[]>;
  /** Chunks of about 2,048 rows, column by column; only one chunk is in memory at a time. */
  stream(sql: string): AsyncGenerator<Cell[][]>;
  /** Makes the query that runs now fail. */
  interrupt(): void;
  close(): Promise<void>;
}

function cell(value: DuckDBValue): Cell {
  switch (typeof value) {
    case 'string':
    case 'number':
    case 'boolean':
      return value;
    case 'bigint':
      return Number(value);
    default:
      if (value === null) return null;
      if ('items' in value && Array.isArray(value.items)) return value.items.map(cell);
      return String(value);
  }
}

/** The message of DuckDB on one line, without the picture of the statement, which is ours and not the user's. */
export function duckdbMessage(error: unknown): string {
  const [message = ''] = (error instanceof Error ? error.message : String(error)).split('\n\nLINE');
  return message.replace(/\s+/g, ' ').trim().slice(0, MESSAGE_CHARS_MAX);
}

/** Opens the files behind `pattern` (a path or a glob). Throws `input_unreadable` when there is none. */
export async function openTables(pattern: string, options: TableOptions = {}): Promise<Tables> {
  const spill = await mkdtemp(join(options.tempDir ?? tmpdir(), 'gatehouse-import-'));
  const close = async (instance: DuckDBInstance | undefined, connection: DuckDBConnection | undefined) => {
    connection?.closeSync();
    instance?.closeSync();
    await rm(spill, { recursive: true, force: true });
  };
  let instance: DuckDBInstance | undefined;
  let connection: DuckDBConnection | undefined;
  try {
    instance = await DuckDBInstance.create(':memory:', {
      threads: THREADS,
      memory_limit: `${options.memoryMiB ?? MEMORY_MIB_DEFAULT}MiB`,
      temp_directory: spill,
      autoinstall_known_extensions: 'false',
      autoload_known_extensions: 'false',
    });
    connection = await instance.connect();
    const found = await connection.runAndReadAll(`SELECT file FROM glob(${quote(pattern)}) ORDER BY file LIMIT ${FILES_MAX + 1}`);
    const files = found.getRows().map((row) => String(row[0]));
    if (files.length === 0) throw new GatehouseError('input_unreadable', `no file matches ${pattern}`);
    if (files.length > FILES_MAX) throw new GatehouseError('input_unreadable', `${pattern} matches more than ${FILES_MAX} files`);
    await connection.run(`SET allowed_paths = [${files.map(quote).join(', ')}]`);
    await connection.run('SET enable_external_access = false');
    await connection.run('SET lock_configuration = true');
    return tables(files, connection, () => close(instance, connection));
  } catch (error) {
    await close(instance, connection);
    if (error instanceof GatehouseError) throw error;
    throw new GatehouseError('input_unreadable', `${pattern}: ${duckdbMessage(error)}`, { cause: error });
  }
}

function tables(files: readonly string[], connection: DuckDBConnection, close: () => Promise<void>): Tables {
  return {
    files,
    close,
    interrupt: () => connection.interrupt(),
    async run(sql) {
      await connection.run(sql);
    },
    async all(sql) {
      const reader = await connection.runAndReadAll(sql);
      return reader.getRows().map((row) => row.map(cell));
    },
    async describe(sql) {
      const prepared = await connection.prepare(sql);
      try {
        return Array.from({ length: prepared.columnCount }, (_, i) => ({ name: prepared.columnName(i), type: String(prepared.columnType(i)) }));
      } finally {
        prepared.destroySync();
      }
    },
    async *stream(sql) {
      const result = await connection.stream(sql);
      for (;;) {
        const chunk = await result.fetchChunk();
        if (!chunk || chunk.rowCount === 0) return;
        yield chunk.getColumns().map((column) => column.map(cell));
      }
    },
  };
}

/** What a column of a written file holds; a missing value is null. */
export type ColumnType = 'VARCHAR' | 'BIGINT' | 'FLOAT';

/** How a file of this name is written. Throws `input_unreadable` for an extension other than .parquet and .csv. */
export function tableFormat(path: string): string {
  if (/\.parquet$/i.test(path)) return 'FORMAT parquet, COMPRESSION zstd';
  if (/\.csv$/i.test(path)) return 'FORMAT csv, HEADER';
  throw new GatehouseError('input_unreadable', `${path}: only .parquet and .csv files can be written`);
}

/** Rows to a Parquet or CSV file, by its extension, whole or not at all. Throws `input_unreadable` for another extension or where it can't be written. */
export async function writeTable(
  path: string,
  columns: readonly { readonly name: string; readonly type: ColumnType }[],
  rows: Iterable<readonly (string | number | null)[]>,
): Promise<void> {
  const format = tableFormat(path);
  const temporary = `${path}.tmp`;
  const instance = await DuckDBInstance.create(':memory:', { threads: THREADS, memory_limit: `${MEMORY_MIB_DEFAULT}MiB` });
  const connection = await instance.connect();
  try {
    await connection.run(`CREATE TABLE written (${columns.map(({ name, type }) => `"${name.replaceAll('"', '""')}" ${type}`).join(', ')})`);
    const appender = await connection.createAppender('written');
    const append = columns.map(({ type }) => APPEND[type]);
    for (const row of rows) {
      row.forEach((value, i) => {
        if (value === null) appender.appendNull();
        else append[i]!(appender, value);
      });
      appender.endRow();
    }
    appender.closeSync();
    await connection.run(`COPY written TO ${quote(temporary)} (${format})`);
    await rename(temporary, path);
  } catch (error) {
    await rm(temporary, { force: true });
    throw new GatehouseError('input_unreadable', `${path} cannot be written: ${duckdbMessage(error)}`, { cause: error });
  } finally {
    connection.closeSync();
    instance.closeSync();
  }
}

const APPEND: Readonly<Record<ColumnType, (appender: DuckDBAppender, value: string | number) => void>> = {
  VARCHAR: (appender, value) => appender.appendVarchar(String(value)),
  BIGINT: (appender, value) => appender.appendBigInt(BigInt(value)),
  FLOAT: (appender, value) => appender.appendFloat(Number(value)),
};

/** The table function that reads `files`, chosen by their extension. Throws `input_unreadable` for any other. */
export function readFunction(files: readonly string[], csv: { readonly delimiter?: string; readonly all_text?: boolean } = {}): string {
  const list = `[${files.map(quote).join(', ')}]`;
  const endsWith = (pattern: RegExp) => files.every((file) => pattern.test(file));
  if (endsWith(/\.parquet$/i)) return `read_parquet(${list})`;
  if (endsWith(/\.(csv|tsv|txt)(\.gz)?$/i)) {
    const settings = [csv.delimiter === undefined ? '' : `, delim = ${quote(csv.delimiter)}`, csv.all_text ? ', all_varchar = true' : ''];
    return `read_csv(${list}, header = true${settings.join('')})`;
  }
  throw new GatehouseError('input_unreadable', `${files[0]}: only .parquet, .csv, .tsv and .txt files (all of one kind) can be read`);
}
