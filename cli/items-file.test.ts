import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Item } from '../contracts/item.ts';
import { ITEMS_COLLECTION } from '../gateway/data/items.ts';
import { readItems, writeItems } from './items-file.ts';
import { configOf, type OpenShop, openShop, takeIn } from './shared.ts';

const NOW_MS = 1_700_000_000_000;
/** More than one batch. */
const ITEMS = 1_203;
let dir: string;
let folders = 0;
beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), 'gatehouse-items-'));
});
afterAll(() => rm(dir, { recursive: true, force: true }));

async function withShop<T>(work: (shop: OpenShop) => Promise<T>): Promise<T> {
  const shop = await openShop(configOf(join(dir, `data-${++folders}`)));
  try {
    return await work(shop);
  } finally {
    await shop.close();
  }
}

async function catalogueOf(shop: OpenShop): Promise<Map<string, unknown>> {
  const items = new Map<string, unknown>();
  for await (const { id, value } of shop.store.docs(ITEMS_COLLECTION)) items.set(id, value);
  return items;
}

const items = Array.from(
  { length: ITEMS },
  (_, i): Item => ({
    item_id: `i${i}`,
    title: `Lamp “${i}”\n€`,
    created_ms: NOW_MS - i,
    price: i / 7,
    stock: i % 3,
    ...(i % 2 === 0 ? { active: false, attributes: { warm: true, watts: 0.1 * i, colour: 'grün' } } : {}),
  }),
);

test('an exported catalogue that is imported elsewhere is the same catalogue, and the same file', async () => {
  const [one, two] = [join(dir, 'one.ndjson'), join(dir, 'two.ndjson')];
  const before = await withShop(async (shop) => {
    await takeIn(shop, items, [], NOW_MS);
    await shop.store.flush();
    expect(await writeItems(shop.store, one)).toBe(ITEMS);
    return catalogueOf(shop);
  });
  await withShop(async (shop) => {
    expect(await readItems(shop, one, NOW_MS + 1)).toBe(ITEMS);
    expect(await catalogueOf(shop)).toEqual(before);
    expect(shop.catalogue.get('i4')).toEqual(items[4]);
    await writeItems(shop.store, two);
  });
  expect(await readFile(two, 'utf8')).toBe(await readFile(one, 'utf8'));
  expect(before.get('i4')).toEqual(items[4]);
});

test.each([
  ['{"item_id":"a"}\n{"item_id":"with space"}\n', 'line 2'],
  ['{"item_id":"a"}\n\n{"item_id":\n', 'line 3'],
])('one wrong line and nothing is taken: %j', async (text, place) => {
  const path = join(dir, 'wrong.ndjson');
  await writeFile(path, text);
  await withShop(async (shop) => {
    await expect(readItems(shop, path, NOW_MS)).rejects.toMatchObject({ code: 'input_unreadable', detail: expect.stringContaining(place) });
    expect(await catalogueOf(shop)).toEqual(new Map());
  });
});

test('a file that is not there is refused', async () => {
  await withShop((shop) => expect(readItems(shop, join(dir, 'nothing'), NOW_MS)).rejects.toMatchObject({ code: 'input_unreadable' }));
});
