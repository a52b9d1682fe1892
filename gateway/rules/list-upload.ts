import { Compile } from 'typebox/compile';
import { GatehouseError } from '../../contracts/errors.ts';
import { LIST_UPLOAD_ERRORS_MAX, LIST_UPLOAD_LINES_MAX, ListEntryRequest } from '../../contracts/lists.ts';

const Entry = Compile(ListEntryRequest);

export interface UploadedEntries {
  readonly entries: readonly ListEntryRequest[];
  /** The line of each entry, from 1. */
  readonly lines: readonly number[];
}

/** What an upload may be. CSV has a header `value,reason,expires` (`reason` and `expires` may be missing); `expires` is a date or milliseconds. */
export const UPLOAD_FORMATS = { 'text/csv': csvLine, 'application/x-ndjson': jsonLine } as const;
export type UploadFormat = keyof typeof UPLOAD_FORMATS;

type Row = { readonly value?: unknown; readonly reason?: unknown; readonly expires?: unknown };

/** Reads an upload. `reason` stands for lines without one. Throws `invalid_request` with each wrong line (the first hundred), or for too many lines. */
export function parseUpload(text: string, format: UploadFormat, reason: string | undefined): UploadedEntries {
  const lines = text.replace(/^\uFEFF/, '').split(/\r?\n/);
  if (lines.filter((line) => line.trim() !== '').length > LIST_UPLOAD_LINES_MAX)
    throw new GatehouseError('invalid_request', `an upload has at most ${LIST_UPLOAD_LINES_MAX} lines: send several`);
  const header = format === 'text/csv' ? headerOf(lines[0] ?? '') : [];
  const entries: ListEntryRequest[] = [];
  const numbers: number[] = [];
  const errors: { path: string; message: string }[] = [];
  for (let i = format === 'text/csv' ? 1 : 0; i < lines.length; i++) {
    const line = lines[i]!;
    if (line.trim() === '') continue;
    try {
      entries.push(entryOf(UPLOAD_FORMATS[format](line, header), reason));
      numbers.push(i + 1);
    } catch (cause) {
      errors.push({ path: `/line/${i + 1}`, message: cause instanceof Error ? cause.message : String(cause) });
    }
  }
  if (errors.length > 0) {
    throw new GatehouseError('invalid_request', `nothing was taken: ${errors.length} lines are wrong, the first is ${errors[0]!.path.slice(6)}`, {
      errors: errors.slice(0, LIST_UPLOAD_ERRORS_MAX),
    });
  }
  if (entries.length === 0) throw new GatehouseError('invalid_request', 'the upload has no entries');
  return { entries, lines: numbers };
}

function headerOf(line: string): string[] {
  const header = cells(line).map((name) => name.trim().toLowerCase());
  const unknown = header.find((name) => !['value', 'reason', 'expires'].includes(name));
  if (!header.includes('value') || unknown !== undefined)
    throw new GatehouseError('invalid_request', 'the first line must name the columns: value, and if need be reason and expires', {
      errors: [{ path: '/line/1', message: header.includes('value') ? `${unknown} is no column of an upload` : 'the column value is missing' }],
    });
  return header;
}

function csvLine(line: string, header: readonly string[]): Row {
  const row = cells(line);
  if (row.length !== header.length) throw new Error(`${row.length} cells instead of ${header.length}`);
  return Object.fromEntries(header.map((name, i) => [name, row[i]!.trim() === '' ? undefined : row[i]!.trim()]));
}

function jsonLine(line: string): Row {
  let row: unknown;
  try {
    row = JSON.parse(line);
  } catch {
    throw new Error('it is not JSON');
  }
  if (typeof row === 'string') return { value: row };
  if (typeof row !== 'object' || row === null || Array.isArray(row)) throw new Error('it is neither a text nor an object');
  const unknown = Object.keys(row).find((name) => !['value', 'reason', 'expires', 'expires_ms'].includes(name));
  if (unknown !== undefined) throw new Error(`there is no field ${unknown}`);
  const { expires_ms, ...rest } = row as Row & { expires_ms?: unknown };
  return expires_ms === undefined ? rest : { ...rest, expires: expires_ms };
}

/** Cells of one line, RFC 4180; a quoted cell may hold commas and doubled quotes, not line ends: no value has any. */
function cells(line: string): string[] {
  const out: string[] = [];
  let rest = line;
  for (;;) {
    const quoted = /^\s*"((?:[^"]|"")*)"\s*(?=,|$)/.exec(rest);
    const cell = quoted ?? /^([^,"]*)(?=,|$)/.exec(rest);
    if (!cell) throw new Error('a quote is not closed, or stands inside a cell');
    out.push(quoted ? cell[1]!.replaceAll('""', '"') : cell[1]!);
    rest = rest.slice(cell[0].length);
    if (rest === '') return out;
    rest = rest.slice(1);
  }
}

function entryOf({ value, reason, expires }: Row, shared: string | undefined): ListEntryRequest {
  const entry = { value, reason: reason ?? shared, ...(expires === undefined ? {} : { expires_ms: timeOf(expires) }) };
  if (Entry.Check(entry)) return entry;
  const [error] = Entry.Errors(entry);
  throw new Error(`${error?.instancePath.slice(1) || 'the entry'} ${error?.message ?? 'is wrong'}`);
}

function timeOf(expires: unknown): number {
  const ms = typeof expires === 'number' ? expires : /^\d{10,16}$/.test(String(expires)) ? Number(expires) : Date.parse(String(expires));
  if (!Number.isFinite(ms)) throw new Error(`expires is neither a date nor milliseconds: ${JSON.stringify(expires)}`);
  return ms;
}
