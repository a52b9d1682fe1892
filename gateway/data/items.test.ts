import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Item, ItemsResponse } from '../../contracts/item.ts';
import type { RecommendResponse } from '../../contracts/recommend.ts';
import type { Encoding } from '../../contracts/wire.ts';
import { problemOf, TestGateway } from './data.suite.ts';

// Guarantee 3 (fresh), for items: what is acknowledged shows in the very next answer.

let shop: TestGateway;
beforeAll(async () => {
  shop = await TestGateway.start();
});
afterAll(() => shop.stop());

const change = (method: string, items: readonly unknown[], encoding: Encoding = 'json') =>
  shop.ask<ItemsResponse>(method, '/v1/items', { items }, { encoding });
const remove = (ids: readonly string[], encoding: Encoding = 'json') =>
  shop.ask<ItemsResponse>('DELETE', '/v1/items', { item_ids: ids }, { encoding });
const shown = async (category: string): Promise<string[]> => {
  const { body } = await shop.ask<RecommendResponse>('POST', '/v1/recommend', { category, limit: 100 });
  return body.items.map(({ item_id }) => item_id).sort();
};
const stored = async (id: string) => (await shop.gateway.store.doc('items', id)) as Item | undefined;

describe.each<Encoding>(['json', 'msgpack'])('in %s', (encoding) => {
  const name = (id: string): string => `${encoding}-${id}`;

  test('an item is there at once, changed at once and gone at once', async () => {
    const category = name('life');
    expect(await shown(category)).toEqual([]);
    expect(await change('PUT', [{ item_id: name('a'), category }], encoding)).toMatchObject({ status: 200, body: { changed: 1 } });
    expect(await shown(category)).toEqual([name('a')]);
    await change('PATCH', [{ item_id: name('a'), category: name('moved') }], encoding);
    expect(await shown(category)).toEqual([]);
    expect(await shown(name('moved'))).toEqual([name('a')]);
    expect((await remove([name('a'), name('a'), name('never-was')], encoding)).body).toEqual({ changed: 1 });
    expect(await shown(name('moved'))).toEqual([]);
    expect(await stored(name('a'))).toBeUndefined();
  });

  test('nothing left to sell disappears at once, and comes back with stock', async () => {
    const category = name('stock');
    await change('PUT', [{ item_id: name('s'), category, stock: 1 }], encoding);
    await change('PATCH', [{ item_id: name('s'), stock: 0 }], encoding);
    expect(await shown(category)).toEqual([]);
    await change('PATCH', [{ item_id: name('s'), stock: 3 }], encoding);
    expect(await shown(category)).toEqual([name('s')]);
    await change('PATCH', [{ item_id: name('s'), active: false }], encoding);
    expect(await shown(category)).toEqual([]);
  });
});

test('PUT replaces, PATCH merges, attributes one by one', async () => {
  await change('PUT', [{ item_id: 'm', title: 'Teapot', price: 12, created_ms: 1_700_000_000_000, attributes: { colour: 'red', size: 2 } }]);
  await change('PATCH', [{ item_id: 'm', price: 10, attributes: { size: 3, organic: true } }]);
  const merged = { item_id: 'm', title: 'Teapot', price: 10, created_ms: 1_700_000_000_000, attributes: { colour: 'red', size: 3, organic: true } };
  expect(await stored('m')).toEqual(merged);
  await change('PUT', [{ item_id: 'm', title: 'Kettle' }]);
  expect(await stored('m')).toEqual({ item_id: 'm', title: 'Kettle', created_ms: 1_700_000_000_000 });
});

test('several changes of an item in one batch add up, in their order', async () => {
  await change('PUT', [
    { item_id: 'b', title: 'first' },
    { item_id: 'b', title: 'second', stock: 4 },
  ]);
  expect(await stored('b')).toMatchObject({ title: 'second', stock: 4 });
  await change('PATCH', [
    { item_id: 'b', price: 5 },
    { item_id: 'b', stock: 0 },
  ]);
  expect(await stored('b')).toMatchObject({ title: 'second', price: 5, stock: 0 });
});

test('changes of one item that arrive at the same instant all hold', async () => {
  await change('PUT', [{ item_id: 'race', category: 'race' }]);
  const fields = Array.from({ length: 12 }, (_, i) => ({ [`field_${i}`]: i }));
  await Promise.all(fields.map((attributes) => change('PATCH', [{ item_id: 'race', attributes }])));
  expect((await stored('race'))?.attributes).toEqual(Object.assign({}, ...fields));
  // Memory and disk agree, whichever of two opposite changes came last.
  for (let round = 0; round < 10; round++) {
    await Promise.all([
      change('PUT', [{ item_id: 'race', category: 'race', stock: round }]),
      remove(['race']),
      change('PATCH', [{ item_id: 'race', price: 1 }]),
    ]);
    expect(await shown('race')).toEqual((await stored('race'))?.stock ? ['race'] : []);
    await change('PUT', [{ item_id: 'race', category: 'race' }]);
  }
});

test('a PATCH of an unknown item changes nothing of its batch', async () => {
  await change('PUT', [{ item_id: 'known', title: 'as it was' }]);
  const end = await shop.journalEnd();
  const answer = await change('PATCH', [
    { item_id: 'known', title: 'changed' },
    { item_id: 'unknown', title: 'x' },
  ]);
  expect(problemOf(answer)).toEqual({ status: 404, code: 'item_not_found' });
  expect(answer.body).toMatchObject({ errors: [{ path: '/items/1/item_id' }] });
  expect(await stored('known')).toMatchObject({ title: 'as it was' });
  expect(await shop.journalEnd()).toBe(end);
});

test('a PATCH cannot pile up more attributes than a PUT may bring', async () => {
  const attributes = (from: number, count: number) => Object.fromEntries(Array.from({ length: count }, (_, i) => [`a${from + i}`, i]));
  await change('PUT', [{ item_id: 'full', attributes: attributes(0, 60) }]);
  expect((await change('PATCH', [{ item_id: 'full', attributes: attributes(56, 8) }])).status).toBe(200);
  expect(problemOf(await change('PATCH', [{ item_id: 'full', attributes: attributes(64, 1) }]))).toEqual({ status: 422, code: 'invalid_request' });
});

test('every change is a fact of the journal', async () => {
  await change('PUT', [{ item_id: 'fact', title: 'one' }]);
  await change('PATCH', [{ item_id: 'fact', title: 'two' }]);
  await remove(['fact']);
  const puts = (await shop.facts('item_put')).filter(({ item }) => item.item_id === 'fact');
  expect(puts.map(({ item }) => item.title)).toEqual(['one', 'two']);
  expect((await shop.facts('item_delete')).filter(({ item_id }) => item_id === 'fact')).toHaveLength(1);
});
