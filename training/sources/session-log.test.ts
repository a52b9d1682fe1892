import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { TimedEvent } from '../../contracts/event.ts';
import type { Item } from '../../contracts/item.ts';
import { importFile } from './import.ts';
import { type Mapping, parseMapping } from './mapping.ts';

let dir: string;
let mapping: Mapping;
beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), 'gatehouse-session-log-'));
  const page = await readFile(new URL('../../docs/import.md', import.meta.url), 'utf8');
  const section = page.slice(page.indexOf('## A log of sessions'));
  mapping = parseMapping(JSON.parse(/```json\n([\s\S]*?)```/.exec(section)![1]!));
});
afterAll(() => rm(dir, { recursive: true, force: true }));

async function imported(csv: string, atMs?: string) {
  const path = join(dir, 'clicks.csv');
  await writeFile(path, csv);
  const events: TimedEvent[] = [];
  const items: Item[] = [];
  await importFile({
    mapping: atMs === undefined ? mapping : { ...mapping, source: { ...mapping.source, columns: { at_ms: atMs } } },
    path,
    table: { tempDir: dir },
    sink: async (some, others) => {
      events.push(...some);
      items.push(...others);
    },
  });
  return { clicks: events.map(({ session_id, timestamp_ms, items: of }) => [session_id, timestamp_ms, of![0]!.item_id]), items: items.length };
}

test('the mapping of the page reads sessions with times', async () => {
  const { clicks, items } = await imported(
    'session_id,item_id,clicked_at\nb,x,2026-03-02 09:15:30\na,x,2026-03-02 09:15:00\na,y,2026-03-02 09:16:00\n',
  );
  const startMs = Date.UTC(2026, 2, 2, 9, 15);
  expect(clicks).toEqual([
    ['a', startMs, 'x'],
    ['b', startMs + 30_000, 'x'],
    ['a', startMs + 60_000, 'y'],
  ]);
  expect(items).toBe(2);
});

test('a day with a time within the visit, and an order without any time, become times as the page says', async () => {
  const page = await readFile(new URL('../../docs/import.md', import.meta.url), 'utf8');
  const [, byDay] = /`(epoch_ms\(eventdate[^`]*)`/.exec(page)!;
  const [, byOrder] = /`(1451606400000 \+ [^`]*)`/.exec(page)!;
  const day = await imported('session_id,item_id,eventdate,timeframe\n7,y,2016-05-09,2500\n7,x,2016-05-09,500\n', byDay);
  expect(day.clicks).toEqual([
    ['7', Date.UTC(2016, 4, 9) + 500, 'x'],
    ['7', Date.UTC(2016, 4, 9) + 2500, 'y'],
  ]);
  const order = await imported('session_id,session_no,item_id,position\nq,2,x,0\np,1,y,1\np,1,x,0\n', byOrder);
  expect(order.clicks.map(([session, , item]) => [session, item])).toEqual([
    ['p', 'x'],
    ['p', 'y'],
    ['q', 'x'],
  ]);
});
