import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { openTables, type Tables } from '../../sources/duckdb.ts';

/** Where the public data sets lie, beside the project: they are no part of it. Another folder may be the first argument of a script. */
const DATA_DIR = process.argv[2] ?? '../shared/data';

export const say = (text: string): void => {
  process.stdout.write(`${text}\n`);
};

/** Runs `work` over one file of the data sets; says so where it is absent. */
export async function withData(file: string, work: (tables: Tables) => Promise<void>): Promise<void> {
  const path = join(DATA_DIR, file);
  if (!existsSync(path)) {
    say(`${path} is absent: this protocol is left out`);
    return;
  }
  const tables = await openTables(path);
  try {
    await work(tables);
  } finally {
    await tables.close();
  }
}

/** A row of a plain table: what it is, the value, and the reference beside it. */
export function row(label: string, cells: readonly (string | number)[]): string {
  return `${label.padEnd(44)}${cells.map((cell) => String(cell).padStart(12)).join('')}`;
}
