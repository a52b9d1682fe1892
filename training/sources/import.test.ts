import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { TimedEvent } from '../../contracts/event.ts';
import type { Item } from '../../contracts/item.ts';
import { rowsOf } from '../../test/e2e/real-data.ts';
import { type ImportReport, importFile } from './import.ts';
import type { Mapping, MappingStream } from './mapping.ts';

const DAY_MS = 86_400_000;
const START_MS = Date.UTC(2026, 0, 1);

let dir: string;
let spill: string;
beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), 'gatehouse-import-test-'));
  spill = join(dir, 'spill');
  await mkdir(spill);
});
afterAll(() => rm(dir, { recursive: true, force: true }));

async function file(name: string, lines: readonly string[] | Uint8Array): Promise<string> {
  const path = join(dir, name);
  await writeFile(path, lines instanceof Uint8Array ? lines : `${lines.join('\n')}\n`);
  return path;
}

const LINES: MappingStream = {
  event: 'purchase',
  group: true,
  fields: { event_id: '"order"', timestamp_ms: 'at_ms', user_id: 'customer', value: { sum: 'pieces * price' }, currency: "'EUR'" },
  item: { item_id: 'product', quantity: 'pieces', price: 'price' },
};

function mapping(streams: readonly MappingStream[], rest: Partial<Mapping> = {}): Mapping {
  return { format: 'gatehouse-mapping-1', name: 'test', about: 'A test.', streams, ...rest };
}

interface Taken {
  readonly report: ImportReport;
  readonly events: TimedEvent[];
  readonly items: Item[];
  /** Sizes of the batches of events, in order. */
  readonly batches: number[];
}

async function take(path: string, by: Mapping | string, options: { fromMs?: number; untilMs?: number } = {}): Promise<Taken> {
  const taken: Omit<Taken, 'report'> = { events: [], items: [], batches: [] };
  const report = await importFile({
    mapping: by,
    path,
    table: { tempDir: spill, memoryMiB: 256 },
    sink: async (events, items) => {
      if (items.length > 0 && taken.events.length > 0) throw new Error('items must come before events');
      taken.events.push(...events);
      taken.items.push(...items);
      if (events.length > 0) taken.batches.push(events.length);
    },
    ...options,
  });
  return { report, ...taken };
}

const ORDER_LINES = [
  'order,at_ms,customer,product,pieces,price',
  `o2,${START_MS + 2 * DAY_MS},bert,lamp,1,20.5`,
  `o1,${START_MS + DAY_MS},anna,lamp,2,20`,
  `o1,${START_MS + DAY_MS},anna,rug,1,99.99`,
  `o1,${START_MS + DAY_MS},anna,lamp,1,23`,
  `o3,${START_MS + 3 * DAY_MS},anna,rug,1,100`,
];
const ORDERS = [
  {
    event_id: 'o1',
    name: 'purchase',
    timestamp_ms: START_MS + DAY_MS,
    user_id: 'anna',
    value: 162.99,
    currency: 'EUR',
    // Two lines of one item are one line: three lamps at 21 on average.
    items: [
      { item_id: 'lamp', quantity: 3, price: 21 },
      { item_id: 'rug', quantity: 1, price: 99.99 },
    ],
  },
  {
    event_id: 'o2',
    name: 'purchase',
    timestamp_ms: START_MS + 2 * DAY_MS,
    user_id: 'bert',
    value: 20.5,
    currency: 'EUR',
    items: [{ item_id: 'lamp', quantity: 1, price: 20.5 }],
  },
  {
    event_id: 'o3',
    name: 'purchase',
    timestamp_ms: START_MS + 3 * DAY_MS,
    user_id: 'anna',
    value: 100,
    currency: 'EUR',
    items: [{ item_id: 'rug', quantity: 1, price: 100 }],
  },
];

describe('reading', () => {
  test('order lines of a CSV file become orders in time order', async () => {
    const { report, events } = await take(await file('orders.csv', ORDER_LINES), mapping([LINES]));
    expect(events).toEqual(ORDERS);
    expect(report).toEqual({
      mapping: 'test',
      files: 1,
      rows: 5,
      events: { purchase: 3 },
      items: 0,
      refused: {},
      duplicates: 0,
      split: 0,
      fromMs: START_MS + DAY_MS,
      toMs: START_MS + 3 * DAY_MS,
      missing: {},
    });
  });

  test('Parquet, other delimiters and compressed files give the same', async () => {
    const csv = await file('plain.csv', ORDER_LINES);
    await rowsOf(`COPY (SELECT * FROM read_csv('${csv}')) TO '${join(dir, 'orders.parquet')}' (FORMAT parquet)`);
    await rowsOf(`COPY (SELECT * FROM read_csv('${csv}')) TO '${join(dir, 'orders.csv.gz')}' (FORMAT csv, COMPRESSION gzip)`);
    const semicolons = await file(
      'orders.txt',
      ORDER_LINES.map((line) => line.replaceAll(',', ';')),
    );
    expect((await take(join(dir, 'orders.parquet'), mapping([LINES]))).events).toEqual(ORDERS);
    expect((await take(join(dir, 'orders.csv.gz'), mapping([LINES]))).events).toEqual(ORDERS);
    expect((await take(semicolons, mapping([LINES], { source: { csv: { delimiter: ';' } } }))).events).toEqual(ORDERS);
  });

  test('a glob reads all its files as one table', async () => {
    await mkdir(join(dir, 'parts'));
    await file('parts/b.csv', [ORDER_LINES[0]!, ...ORDER_LINES.slice(1, 3)]);
    await file('parts/a.csv', [ORDER_LINES[0]!, ...ORDER_LINES.slice(3)]);
    const { report, events } = await take(join(dir, 'parts', '*.csv'), mapping([LINES]));
    expect(report.files).toBe(2);
    expect(events).toEqual(ORDERS);
  });

  test('several streams mix in time order, with named columns, conditions and row numbers', async () => {
    const path = await file('visits.csv', ['day,who,bought', '0,anna,true', '1,bert,false', '2,anna,true']);
    const visits: MappingStream = { event: 'page_view', fields: { event_id: "'v' || row_no", timestamp_ms: 'at_ms', user_id: 'who' } };
    const checkouts: MappingStream = {
      event: 'begin_checkout',
      where: 'bought',
      fields: { event_id: "'b' || row_no", timestamp_ms: `at_ms + 1.5 * ${DAY_MS}`, user_id: 'who' },
    };
    const source = {
      row_number: 'row_no',
      columns: { shifted: 'day + 1', at_ms: `${START_MS} + (shifted - 1) * ${DAY_MS}` },
      where: "who <> 'nobody'",
    };
    const { events, report } = await take(path, mapping([checkouts, visits], { source }));
    expect(events.map(({ event_id }) => event_id)).toEqual(['v0', 'v1', 'b0', 'v2', 'b2']);
    expect(report.events).toEqual({ page_view: 3, begin_checkout: 2 });
  });

  test('the catalogue comes first, one item for all rows of its id', async () => {
    const items = {
      item_id: 'product',
      title: "'The ' || min(product)",
      price: 'max(price)',
      created_ms: 'min(at_ms)',
      stock: '2.6',
      attributes: { orders: 'count(*)::double', nothing: 'NULL' },
    };
    const taken = await take(await file('items.csv', ORDER_LINES), mapping([LINES], { items }));
    expect(taken.items).toEqual([
      { item_id: 'lamp', title: 'The lamp', price: 23, created_ms: START_MS + DAY_MS, stock: 3, attributes: { orders: 3 } },
      { item_id: 'rug', title: 'The rug', price: 100, created_ms: START_MS + DAY_MS, stock: 3, attributes: { orders: 2 } },
    ]);
    expect(taken.report.items).toBe(2);
  });

  test('batches are full but for the last, and the same in every run', async () => {
    const rows = Array.from({ length: 2_500 }, (_, i) => `o${i},${START_MS + (i % 7) * 1000},u${i % 9},p${i % 5},1,2`);
    const path = await file('many.csv', [ORDER_LINES[0]!, ...rows]);
    const [one, two] = [await take(path, mapping([LINES])), await take(path, mapping([LINES]))];
    expect(one.batches).toEqual([1000, 1000, 500]);
    expect(two.events).toEqual(one.events);
    const times = one.events.map(({ timestamp_ms }) => timestamp_ms);
    expect(times).toEqual([...times].sort((a, b) => a - b));
  });
});

describe('what does not fit', () => {
  test('an order of more than 100 items becomes several that add up to it', async () => {
    const rows = Array.from({ length: 250 }, (_, i) => `big,${START_MS},anna,p${String(i).padStart(3, '0')},1,${i + 1}`);
    const { events, report } = await take(await file('big.csv', [ORDER_LINES[0]!, ...rows]), mapping([LINES]));
    expect(events.map(({ event_id, items }) => [event_id, items!.length])).toEqual([
      ['big', 100],
      ['big~2', 100],
      ['big~3', 50],
    ]);
    expect(report).toMatchObject({ split: 1, events: { purchase: 3 }, refused: {} });
    expect(events.reduce((sum, { value }) => sum + value!, 0)).toBeCloseTo((250 * 251) / 2, 6);
    expect(new Set(events.flatMap(({ items }) => items!.map(({ item_id }) => item_id))).size).toBe(250);
  });

  test('rows that break the contract are left out and counted by reason', async () => {
    const path = await file('bad.csv', [
      'order,at_ms,customer,product,pieces,price',
      `ok,${START_MS},anna,lamp,1,5`,
      `has space,${START_MS},anna,lamp,1,5`,
      `nobody,${START_MS},,lamp,1,5`,
      'no-time,,anna,lamp,1,5',
      'not-a-time,tomorrow,anna,lamp,1,5',
      `dear,${START_MS},anna,lamp,1,5e12`,
      `dear2,${START_MS},anna,lamp,1,6e12`,
      `infinite,${START_MS},anna,lamp,1,inf`,
      `bare,${START_MS},anna,,1,5`,
      'early,-5,anna,lamp,1,5',
      `,${START_MS},anna,lamp,1,5`,
    ]);
    // Columns of text: what a column holds is then up to the mapping, and what can't be read is missing.
    const single: MappingStream = {
      event: 'purchase',
      fields: { event_id: '"order"', timestamp_ms: 'at_ms', user_id: 'customer', value: 'price' },
      item: { item_id: 'product', quantity: 'pieces' },
    };
    const items = { item_id: 'product', price: 'min(TRY_CAST(price AS DOUBLE))', currency: "'euro'" };
    const { events, report } = await take(path, mapping([single], { source: { csv: { all_text: true } }, items }));
    expect(events.map(({ event_id }) => event_id)).toEqual(['ok']);
    expect(report.rows).toBe(11);
    const byPlace: Record<string, number> = {};
    for (const [reason, count] of Object.entries(report.refused)) {
      const place = reason.split(' ', 2).join(' ');
      byPlace[place] = (byPlace[place] ?? 0) + count;
    }
    expect(byPlace).toEqual({
      'item: /currency': 1,
      'purchase: /event_id': 1,
      'purchase: purchase': 2,
      'purchase: /timestamp_ms': 3,
      'purchase: /value': 3,
      'purchase: /': 1,
    });
    expect(report.refused['purchase: purchase needs user_id or session_id']).toBe(1);
    expect(report.refused['purchase: purchase needs items']).toBe(1);
  });

  test('of events with one id the earliest is taken', async () => {
    const single: MappingStream = { event: 'page_view', fields: { event_id: '"order"', timestamp_ms: 'at_ms', user_id: 'customer' } };
    const { events, report } = await take(await file('twice.csv', ORDER_LINES), mapping([single]));
    expect(events.map(({ event_id, timestamp_ms }) => [event_id, timestamp_ms - START_MS])).toEqual([
      ['o1', DAY_MS],
      ['o2', 2 * DAY_MS],
      ['o3', 3 * DAY_MS],
    ]);
    expect(report.duplicates).toBe(2);
  });

  test('what is missing is a share of the events of its stream', async () => {
    const path = await file('gaps.csv', [
      'id,at_ms,who,term',
      `1,${START_MS},anna,lamp`,
      `2,${START_MS},bert,`,
      `3,${START_MS},bert,`,
      `4,${START_MS},,rug`,
    ]);
    const search: MappingStream = {
      event: 'search',
      fields: { event_id: "'s' || id", timestamp_ms: 'at_ms', user_id: 'who', session_id: "'v' || id", search_term: 'term' },
    };
    const { report, events } = await take(path, mapping([search]));
    expect(report.missing).toEqual({ 'search.search_term': 0.5, 'search.user_id': 0.25 });
    expect(events).toHaveLength(4);
    expect(events[1]).not.toHaveProperty('search_term');
  });

  test('a time window takes [from, until), of events and of the catalogue', async () => {
    const path = await file('window.csv', ORDER_LINES);
    const items = { item_id: 'product', timestamp_ms: 'at_ms', price: 'max(price)' };
    const window = { fromMs: START_MS + DAY_MS + 1, untilMs: START_MS + 3 * DAY_MS };
    const taken = await take(path, mapping([LINES], { items }), window);
    expect(taken.events.map(({ event_id }) => event_id)).toEqual(['o2']);
    expect(taken.items).toEqual([{ item_id: 'lamp', price: 20.5 }]);
    expect((await take(path, mapping([LINES]), { fromMs: START_MS + DAY_MS })).events).toHaveLength(3);
    expect((await take(path, mapping([LINES]), { untilMs: START_MS + 3 * DAY_MS })).events).toHaveLength(2);
  });

  test('one reason is one line of the report, whatever the ids are', async () => {
    const rows = Array.from({ length: 30 }, (_, i) => `o${i} x,${START_MS},u,p,1,1`);
    const { report } = await take(await file('spaces.csv', [ORDER_LINES[0]!, ...rows]), mapping([LINES]));
    expect(Object.values(report.refused)).toEqual([30]);
    expect(Object.keys(report.refused)[0]).toMatch(/^purchase: \/event_id /);
  });
});

describe('files and expressions that cannot be read', () => {
  async function refused(path: string, by: Mapping, code: string, reason: string): Promise<void> {
    await expect(take(path, by)).rejects.toMatchObject({ code, detail: expect.stringContaining(reason) });
    // Whatever happened, nothing is left in the folder that DuckDB spills to.
    expect(await readdir(spill)).toEqual([]);
  }

  test('missing, of an unknown kind, mixed, empty or corrupt: input_unreadable', async () => {
    await refused(join(dir, 'nothing.csv'), mapping([LINES]), 'input_unreadable', 'no file matches');
    await refused(dir, mapping([LINES]), 'input_unreadable', '');
    await refused(await file('sheet.xlsx', ['x']), mapping([LINES]), 'input_unreadable', 'only .parquet');
    await mkdir(join(dir, 'mixed'));
    await file('mixed/a.csv', ORDER_LINES);
    await file('mixed/b.parquet', ['x']);
    await refused(join(dir, 'mixed', '*'), mapping([LINES]), 'input_unreadable', 'all of one kind');
    await refused(await file('text.parquet', ['this is no Parquet file']), mapping([LINES]), 'input_unreadable', 'text.parquet');
    await refused(await file('binary.csv.gz', Uint8Array.of(1, 2, 3)), mapping([LINES]), 'input_unreadable', 'binary.csv.gz');
    await refused(await file('void.parquet', Uint8Array.of()), mapping([LINES]), 'input_unreadable', 'void.parquet');
  });

  test('a Parquet file with damaged pages: input_unreadable', async () => {
    const path = join(dir, 'whole.parquet');
    await rowsOf(
      `COPY (SELECT i AS "order", i AS at_ms, 'u' AS customer, 'p' AS product, 1 AS pieces, 2.5 AS price FROM range(50000) t(i)) TO '${path}'`,
    );
    const bytes = await readFile(path);
    // The footer stands, the pages are gone: the damage shows only when the rows are read.
    bytes.fill(0, 100, bytes.length - 2_000);
    await refused(await file('holed.parquet', bytes), mapping([LINES]), 'input_unreadable', 'holed.parquet');
  });

  test('an expression that does not fit the columns is named by its place', async () => {
    const path = await file('fit.csv', ORDER_LINES);
    await refused(path, mapping([{ ...LINES, where: 'colour = 1' }]), 'mapping_invalid', '/streams/0/where');
    await refused(path, mapping([LINES], { source: { where: 'nothing' } }), 'mapping_invalid', '/source/where');
    await refused(path, mapping([LINES], { source: { columns: { a: 'b', b: '1' } } }), 'mapping_invalid', '/source/columns/a');
    await refused(path, mapping([LINES], { items: { item_id: 'product', title: 'price ||' } }), 'mapping_invalid', '/items/title');
    await refused(path, mapping([LINES], { items: { item_id: 'product', title: 'unknown_function(1)' } }), 'mapping_invalid', '/items/title');
    const both = mapping([{ ...LINES, item: { item_id: 'nope', quantity: 'never' } }]);
    await expect(take(path, both)).rejects.toMatchObject({
      errors: [expect.objectContaining({ path: '/streams/0/item/item_id' }), expect.objectContaining({ path: '/streams/0/item/quantity' })],
    });
  });

  test('an expression reaches no other file and changes nothing', async () => {
    const path = await file('own.csv', ORDER_LINES);
    const secret = await file('secret.csv', ['password', 'hunter2']);
    const hostile = [
      `(SELECT min(password) FROM read_csv('${secret}'))`,
      `(SELECT min(content) FROM read_text('${secret}'))`,
      `(SELECT count(*)::text FROM glob('${dir}/*'))`,
      `(SELECT min(column0) FROM '${secret}')`,
      "getenv('HOME')",
      "(SELECT 'x' FROM query('INSTALL httpfs'))",
    ];
    for (const user_id of hostile) {
      const by = mapping([{ ...LINES, fields: { ...LINES.fields, user_id } }]);
      const outcome = await take(path, by).then(
        ({ events }) => JSON.stringify(events),
        (error: { code?: string }) => String(error.code),
      );
      // Refused, or an answer that holds nothing of the other file.
      expect([user_id, outcome.includes('hunter2')]).toEqual([user_id, false]);
      if (outcome.startsWith('[')) expect([user_id, /"user_id":"(0|x)?"/.test(outcome) || !outcome.includes('user_id')]).toEqual([user_id, true]);
    }
    // A mapping that was built past the check of its expressions cannot smuggle in a second statement either.
    const smuggled = String.raw`E'\'' FROM source); COPY (SELECT 1) TO '${path}'; --'`;
    await refused(path, mapping([{ ...LINES, where: smuggled }]), 'mapping_invalid', '/streams/0/where');
    expect((await take(path, mapping([LINES]))).events).toEqual(ORDERS);
  });

  test('an abort stops the import between batches and cleans up', async () => {
    const rows = Array.from({ length: 3_000 }, (_, i) => `o${i},${START_MS + i},u,p,1,2`);
    const path = await file('long.csv', [ORDER_LINES[0]!, ...rows]);
    const abort = new AbortController();
    let taken = 0;
    const run = importFile({
      mapping: mapping([LINES]),
      path,
      signal: abort.signal,
      table: { tempDir: spill },
      sink: async (events) => {
        taken += events.length;
        abort.abort();
      },
    });
    await expect(run).rejects.toMatchObject({ code: 'cancelled' });
    expect(taken).toBe(1_000);
    expect(await readdir(spill)).toEqual([]);
  });

  test('a sink that fails ends the import with its own error', async () => {
    const path = await file('sink.csv', ORDER_LINES);
    const broken = importFile({
      mapping: mapping([LINES]),
      path,
      table: { tempDir: spill },
      sink: async () => {
        throw new Error('the store is full');
      },
    });
    await expect(broken).rejects.toThrow('the store is full');
    expect(await readdir(spill)).toEqual([]);
  });
});
