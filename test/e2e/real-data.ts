import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { DuckDBInstance } from '@duckdb/node-api';

/** The folder of real data sets that development machines have beside the project; nothing of it is part of the project. */
const FOLDER = fileURLToPath(new URL('../../../shared/data/', import.meta.url));

/** Path of a data set, or undefined where it is absent. */
export function realData(file: string): string | undefined {
  const path = `${FOLDER}${file}`;
  return existsSync(path) ? path : undefined;
}

export type Cell = string | number | boolean | null;

/** The rows of a query, with whole numbers as numbers. */
export async function rowsOf(sql: string): Promise<Cell[][]> {
  const instance = await DuckDBInstance.create(':memory:');
  const connection = await instance.connect();
  try {
    const reader = await connection.runAndReadAll(sql);
    return reader.getRows().map((row) => row.map((cell) => (typeof cell === 'bigint' ? Number(cell) : (cell as Cell))));
  } finally {
    connection.closeSync();
    instance.closeSync();
  }
}
