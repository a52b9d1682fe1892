import { describe, expect, test } from 'vitest';
import { GatehouseError } from '../../contracts/errors.ts';
import { LIST_UPLOAD_ERRORS_MAX, LIST_UPLOAD_LINES_MAX } from '../../contracts/lists.ts';
import { parseUpload, type UploadFormat } from './list-upload.ts';

function problemsOf(text: string, format: UploadFormat = 'text/csv', reason?: string): string[] {
  try {
    parseUpload(text, format, reason);
  } catch (error) {
    if (error instanceof GatehouseError && error.code === 'invalid_request')
      return error.errors?.map(({ path, message }) => `${path} ${message}`) ?? [error.detail];
    throw error;
  }
  throw new Error('it was taken');
}

describe('CSV', () => {
  test('has a header, quoted cells and empty ones; line ends and a byte order mark do not matter', () => {
    const text = '\uFEFFreason,value,expires\r\n"stolen, ""again""",c1,2030-01-01T00:00:00Z\r\n\r\n,c2,\r\nseen,c3,1900000000000';
    expect(parseUpload(text, 'text/csv', 'a batch')).toEqual({
      entries: [
        { value: 'c1', reason: 'stolen, "again"', expires_ms: Date.UTC(2030, 0, 1) },
        { value: 'c2', reason: 'a batch' },
        { value: 'c3', reason: 'seen', expires_ms: 1_900_000_000_000 },
      ],
      lines: [2, 4, 5],
    });
  });

  test('names every wrong line, and takes none', () => {
    const problems = problemsOf('value,reason,expires\nc1,ok,\nc2,ok\nc3,,\nc4,ok,tomorrow\n"c5,ok,');
    expect(problems.map((text) => text.slice(0, 7))).toEqual(['/line/3', '/line/4', '/line/5', '/line/6']);
    expect(problems[0]).toContain('2 cells instead of 3');
    expect(problems[2]).toContain('neither a date nor milliseconds');
    expect(problemsOf('card\nc1')[0]).toContain('/line/1 the column value is missing');
    expect(problemsOf('value,colour\nc1,red')[0]).toContain('/line/1 colour is no column of an upload');
  });
});

describe('JSON lines', () => {
  test('are texts or objects', () => {
    expect(parseUpload('"c1"\n{"value":"c2","reason":"own","expires_ms":1900000000000}\n', 'application/x-ndjson', 'shared').entries).toEqual([
      { value: 'c1', reason: 'shared' },
      { value: 'c2', reason: 'own', expires_ms: 1_900_000_000_000 },
    ]);
  });

  test('name what is wrong', () => {
    const problems = problemsOf(
      '{"value":\n[]\n{"value":"c","reason":"r","note":1}\n{"reason":"r"}\n{"value":7,"reason":"r"}',
      'application/x-ndjson',
    );
    expect(problems.map((text) => text.slice(0, 7))).toEqual(['/line/1', '/line/2', '/line/3', '/line/4', '/line/5']);
    expect(problems[2]).toContain('there is no field note');
  });
});

test('an upload is bounded, and so is what is said of it', () => {
  expect(problemsOf(`value\n${'c\n'.repeat(LIST_UPLOAD_LINES_MAX)}`, 'text/csv', 'r')[0]).toContain(`at most ${LIST_UPLOAD_LINES_MAX} lines`);
  expect(problemsOf(`value,reason\n${'c\n'.repeat(500)}`)).toHaveLength(LIST_UPLOAD_ERRORS_MAX);
  expect(problemsOf('value\n', 'text/csv', 'r')).toEqual(['the upload has no entries']);
});
