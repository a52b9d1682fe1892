import { createReadStream, createWriteStream } from 'node:fs';
import { createInterface } from 'node:readline';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { Compile } from 'typebox/compile';
import { GatehouseError } from '../contracts/errors.ts';
import { ITEMS_PER_BATCH_MAX, Item } from '../contracts/item.ts';
import { ITEMS_COLLECTION } from '../gateway/data/items.ts';
import type { Store } from '../store/contract.ts';
import { type OpenShop, takeIn } from './shared.ts';

const validator = Compile(Item);

/** Writes every item of the store as a line of JSON, by item id, so that the same catalogue is the same file. Returns how many. */
export async function writeItems(store: Pick<Store<never>, 'docs'>, path: string): Promise<number> {
  const items: Item[] = [];
  for await (const { value } of store.docs(ITEMS_COLLECTION)) items.push(value as Item);
  items.sort((a, b) => (a.item_id < b.item_id ? -1 : 1));
  const lines = function* (): Generator<string> {
    for (const item of items) yield `${JSON.stringify(item)}\n`;
  };
  await pipeline(Readable.from(lines()), createWriteStream(path));
  return items.length;
}

/** Puts the items of such a file; others stay. Each line is checked before the first is taken. Returns how many. Throws `input_unreadable`. */
export async function readItems(shop: OpenShop, path: string, atMs: number): Promise<number> {
  for await (const _ of itemsOf(path));
  let count = 0;
  let batch: Item[] = [];
  const take = async (): Promise<void> => {
    count += batch.length;
    await takeIn(shop, batch, [], atMs);
    batch = [];
  };
  for await (const item of itemsOf(path)) if (batch.push({ ...item, created_ms: item.created_ms ?? atMs }) === ITEMS_PER_BATCH_MAX) await take();
  await take();
  await shop.store.flush();
  return count;
}

async function* itemsOf(path: string): AsyncGenerator<Item> {
  let at = 0;
  try {
    for await (const line of createInterface({ input: createReadStream(path), crlfDelay: Number.POSITIVE_INFINITY })) {
      at++;
      if (line === '') continue;
      const value: unknown = JSON.parse(line);
      if (!validator.Check(value)) throw new Error(validator.Errors(value)[0]?.message ?? 'no item');
      yield value;
    }
  } catch (cause) {
    if (cause instanceof GatehouseError) throw cause;
    const why = cause instanceof Error ? cause.message : String(cause);
    throw new GatehouseError('input_unreadable', `${path}, line ${at}: ${why}`, { cause });
  }
}
