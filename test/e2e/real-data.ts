import { DuckDBInstance } from '@duckdb/node-api';

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
