import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { GatehouseError } from '../../contracts/errors.ts';
import { expressionProblem, expressions, loadMapping, parseMapping } from './mapping.ts';

const SOUND = {
  format: 'gatehouse-mapping-1',
  name: 'orders',
  about: 'Orders.',
  streams: [{ event: 'purchase', fields: { event_id: 'id', timestamp_ms: 'at' }, item: { item_id: 'product' } }],
};
const stream = (change: object) => ({ ...SOUND, streams: [{ ...SOUND.streams[0], ...change }] });
const fields = (change: object) => stream({ fields: { ...SOUND.streams[0]!.fields, ...change } });

function refusalOf(work: () => unknown): GatehouseError {
  try {
    work();
  } catch (error) {
    if (error instanceof GatehouseError) return error;
    throw error;
  }
  throw new Error('nothing was refused');
}

describe('parseMapping', () => {
  test('takes a sound mapping as it is', () => {
    const full = {
      ...stream({ where: 'paid', group: true, fields: { event_id: 'id', timestamp_ms: 'at', value: { sum: 'price' } } }),
      source: { where: 'true', columns: { at: 'epoch_ms(t)' }, row_number: 'row_no', csv: { delimiter: ';', all_text: true } },
      items: { item_id: 'product', title: 'min(name)', attributes: { colour: 'mode(colour)' } },
    };
    expect(parseMapping(SOUND)).toEqual(SOUND);
    expect(parseMapping(full)).toEqual(full);
  });

  test.each<[string, unknown, string]>([
    ['no object', 5, '/'],
    ['another format', { ...SOUND, format: 'gatehouse-mapping-2' }, '/format'],
    ['a name with a slash', { ...SOUND, name: '../x' }, '/name'],
    ['an unknown key', { ...SOUND, extra: 1 }, '/'],
    ['no streams', { ...SOUND, streams: [] }, '/streams'],
    ['too many streams', { ...SOUND, streams: Array(33).fill(SOUND.streams[0]) }, '/streams'],
    ['an unknown event', stream({ event: 'teleport' }), '/streams/0/event'],
    ['no event_id', stream({ fields: { timestamp_ms: 'at' } }), '/streams/0/fields'],
    ['no timestamp_ms', stream({ fields: { event_id: 'id' } }), '/streams/0/fields'],
    ['an unknown field', fields({ colour: 'x' }), '/streams/0/fields'],
    ['an empty expression', fields({ user_id: '' }), '/streams/0/fields/user_id'],
    ['an endless expression', fields({ user_id: 'x'.repeat(4001) }), '/streams/0/fields/user_id'],
    ['a sum of an id', fields({ event_id: { sum: 'x' } }), '/streams/0/fields/event_id'],
    ['a sum without a group', fields({ value: { sum: 'x' } }), '/streams/0/fields/value'],
    ['an unknown key of an item', stream({ item: { item_id: 'x', colour: 'y' } }), '/streams/0/item'],
    ['an attribute with a strange name', { ...SOUND, items: { item_id: 'x', attributes: { 'a b': 'y' } } }, '/items/attributes'],
    ['a column with a strange name', { ...SOUND, source: { columns: { 'a; drop': 'y' } } }, '/source/columns'],
    ['a delimiter of two characters', { ...SOUND, source: { csv: { delimiter: '||' } } }, '/source/csv/delimiter'],
    ['an open quote', fields({ user_id: "'x" }), '/streams/0/fields/user_id'],
    ['a comment in a condition', stream({ where: 'true -- all' }), '/streams/0/where'],
    ['two statements in the catalogue', { ...SOUND, items: { item_id: 'x', title: 'min(y); DROP TABLE source' } }, '/items/title'],
    ['a bracket that ends the query', { ...SOUND, source: { where: 'true) OR (true' } }, '/source/where'],
  ])('%s is refused at its place', (_, value, path) => {
    const refusal = refusalOf(() => parseMapping(value));
    expect(refusal.code).toBe('mapping_invalid');
    expect(refusal.errors?.some((error) => error.path.startsWith(path))).toBe(true);
    expect(refusal.detail).toContain(refusal.errors![0]!.path);
  });

  test('names every bad expression, not the first alone', () => {
    const refusal = refusalOf(() => parseMapping(fields({ user_id: "'", session_id: '(', value: 'price;' })));
    expect(refusal.errors?.map(({ path }) => path)).toEqual(['/streams/0/fields/user_id', '/streams/0/fields/session_id', '/streams/0/fields/value']);
  });
});

describe('expressionProblem', () => {
  test.each([
    "'c' || customer_id",
    "CASE kind WHEN 'a;b' THEN 1 ELSE (2) END",
    `"a column; with -- a strange name" || 'it''s'`,
    'list_value(1, 2)[1]',
    "regexp_matches(code, '^[0-9]{5}$')",
    'a - -b',
    'a / b * c',
    "size || 'e'",
    "'e' || 'x'",
  ])('takes %s', (sql) => {
    expect(expressionProblem(sql)).toBeUndefined();
  });

  test.each([
    ['x; DROP TABLE source', 'semicolon'],
    ['x) FROM source; --', 'closed'],
    ['(x', 'not closed'],
    ['x]', 'closed'],
    ['x -- rest', 'comment'],
    ['x /* rest', 'comment'],
    ["'x", 'quote'],
    ['"x', 'quote'],
    ['$$x$$', 'dollar'],
    ["$tag$ ' $tag$", 'dollar'],
    [String.raw`E'\'' ) FROM source; DROP TABLE source --'`, 'escape string'],
    [String.raw`x || e'\'`, 'escape string'],
  ])('refuses %s', (sql, reason) => {
    expect(expressionProblem(sql)).toContain(reason);
  });
});

describe('loadMapping', () => {
  let dir: string;
  beforeAll(async () => {
    dir = await mkdtemp(join(tmpdir(), 'gatehouse-mapping-'));
  });
  afterAll(() => rm(dir, { recursive: true, force: true }));

  test('every shipped mapping parses, under the name of its file, and says what it makes of the data', async () => {
    const names = (await readdir(new URL('./mappings/', import.meta.url))).map((name) => name.replace(/\.json$/, ''));
    expect(names.length).toBeGreaterThanOrEqual(9);
    for (const name of names) {
      const mapping = loadMapping(name);
      expect(mapping.name).toBe(name);
      expect(mapping.about.length).toBeGreaterThan(40);
      expect([...expressions(mapping)].filter(({ sql }) => expressionProblem(sql) !== undefined)).toEqual([]);
    }
  });

  test('reads a file by its path', async () => {
    await writeFile(join(dir, 'mine.json'), JSON.stringify(SOUND));
    expect(loadMapping(join(dir, 'mine.json'))).toEqual(SOUND);
  });

  test.each<[string, string | undefined, string]>([
    ['no file', undefined, 'neither a shipped mapping nor a file'],
    ['no JSON', '{"format":', 'is not JSON'],
    ['too much of it', ' '.repeat((1 << 20) + 1), 'is larger than'],
  ])('refuses %s', async (name, text, reason) => {
    const path = join(dir, `${name.replaceAll(' ', '-')}.json`);
    if (text !== undefined) await writeFile(path, text);
    const refusal = refusalOf(() => loadMapping(path));
    expect([refusal.code, refusal.detail.includes(reason)]).toEqual(['mapping_invalid', true]);
  });
});
