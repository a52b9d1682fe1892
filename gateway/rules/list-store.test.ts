import { describe, expect, test } from 'vitest';
import type { Problem } from '../../contracts/errors.ts';
import type { ListChangeResponse, ListEntriesResponse, ListsResponse } from '../../contracts/lists.ts';
import { createAudit, type Log } from '../audit.ts';
import { DocsStore } from '../auth/docs.suite.ts';
import { controlFixture } from '../control/control.suite.ts';
import { Metrics } from '../metrics.ts';
import { ListStore } from './list-store.ts';

const silent: Log = { info: () => undefined, warn: () => undefined, error: () => undefined };
const DAY_MS = 86_400_000;

async function opened(shared?: Map<string, Map<string, unknown>>) {
  const store = new DocsStore(shared);
  const metrics = new Metrics();
  const clock = { nowMs: 1_000 * DAY_MS };
  const now = () => clock.nowMs;
  const lists = await ListStore.open({ store, audit: createAudit({ store, log: silent, metrics, now }), now });
  metrics.close();
  return { store, lists, clock };
}
const place = (i: number) => `/${i}`;
const nobody = () => [];

describe('entries', () => {
  test('are kept with reason and author, end, and are found again by another process', async () => {
    const shared = new Map<string, Map<string, unknown>>();
    const { lists, store, clock } = await opened(shared);
    const change = await lists.add('blocked_ips', [{ value: '192.0.2.9/24', reason: 'proxies', expires_ms: clock.nowMs + DAY_MS }], 'anna', place);
    expect(change).toEqual({ added: 1, replaced: 0, removed: 0, entries: 1 });
    const other = await opened(shared);
    for (const { lists: asked } of [{ lists }, other]) {
      expect(asked.entries('blocked_ips')).toEqual({
        total: 1,
        entries: [{ value: '192.0.2.0/24', reason: 'proxies', author: 'anna', created_ms: clock.nowMs, expires_ms: clock.nowMs + DAY_MS }],
      });
      expect([0, DAY_MS].map((more) => asked.lists.has('blocked_ips', '192.0.2.200', clock.nowMs + more))).toEqual([true, false]);
    }
    const audited = store.facts.filter((fact) => fact.kind === 'admin' && fact.action === 'list.add');
    expect(audited).toMatchObject([{ actor: 'anna', detail: { name: 'blocked_ips', entries: [{ value: '192.0.2.0/24', reason: 'proxies' }] } }]);
  });

  test('that are wrong are all named, and none is taken', async () => {
    const { lists, store, clock } = await opened();
    const before = store.facts.length;
    const wrong = lists.add(
      'blocked_ips',
      [
        { value: '192.0.2.1', reason: 'ok' },
        { value: 'nowhere', reason: 'r' },
        { value: '192.0.2.2', reason: 'r', expires_ms: clock.nowMs - 1 },
      ],
      'anna',
      place,
    );
    await expect(wrong).rejects.toMatchObject({
      code: 'invalid_request',
      errors: [
        { path: '/1', message: '"nowhere" is no ip' },
        { path: '/2', message: 'expires_ms has passed' },
      ],
    });
    expect([store.facts.length, lists.entries('blocked_ips').total]).toEqual([before, 0]);
  });

  test('that come again keep the time since which they are listed', async () => {
    const { lists, clock } = await opened();
    await lists.add('blocked_cards', [{ value: 'c', reason: 'first' }], 'anna', place);
    const since = clock.nowMs;
    clock.nowMs += DAY_MS;
    expect(await lists.add('blocked_cards', [{ value: 'c', reason: 'second' }], 'bert', place)).toMatchObject({ added: 0, replaced: 1 });
    expect(lists.entries('blocked_cards').entries).toEqual([{ value: 'c', reason: 'second', author: 'bert', created_ms: since }]);
    expect(await lists.remove('blocked_cards', ['c', 'never there'], 'done', 'bert')).toMatchObject({ removed: 1, entries: 0 });
    expect(lists.lists.has('blocked_cards', 'c', clock.nowMs)).toBe(false);
  });

  test('a write that fails changes nothing', async () => {
    const { lists, store, clock } = await opened();
    store.failure = new Error('disk');
    await expect(lists.add('blocked_cards', [{ value: 'c', reason: 'r' }], 'anna', place)).rejects.toThrow('disk');
    expect(lists.lists.has('blocked_cards', 'c', clock.nowMs)).toBe(false);
  });
});

describe('a list', () => {
  test('has a name of its own, and stays while a rule asks it', async () => {
    const { lists } = await opened();
    const list = { name: 'mules', kind: 'watch', of: 'user', description: 'Money mules' } as const;
    await lists.create(list, 'anna');
    await expect(lists.create(list, 'anna')).rejects.toMatchObject({ code: 'list_conflict' });
    await expect(lists.delete('mules', 'anna', () => ['r@1'])).rejects.toMatchObject({ code: 'list_conflict', detail: 'mules is asked by r@1' });
    await lists.add('mules', [{ value: 'u', reason: 'r' }], 'anna', place);
    await lists.delete('mules', 'anna', nobody);
    await expect(lists.add('mules', [{ value: 'u', reason: 'r' }], 'anna', place)).rejects.toMatchObject({ code: 'list_not_found' });
    // Made anew it does not find its old entries.
    await lists.create(list, 'anna');
    await lists.reload();
    expect(lists.entries('mules').total).toBe(0);
  });
});

describe('two gateways that have not heard of each other', () => {
  const value = (entry: string) => [{ value: entry, reason: 'r' }];
  const listed = (lists: ListStore, name = 'blocked_cards') => lists.entries(name).entries.map((entry) => entry.value);

  test('open one store at once, and make its lists once', async () => {
    const shared = new Map<string, Map<string, unknown>>();
    const [one, two] = await Promise.all([opened(shared), opened(shared)]);
    const created = [one, two].flatMap(({ store }) => store.facts);
    expect(created).toHaveLength(one.lists.list(nobody).length);
    expect(two.lists.list(nobody)).toEqual(one.lists.list(nobody));
  });

  test('keep what either adds, and know it', async () => {
    const shared = new Map<string, Map<string, unknown>>();
    const [{ lists: one }, { lists: two }] = [await opened(shared), await opened(shared)];
    await one.add('blocked_cards', value('a'), 'anna', place);
    expect(await two.add('blocked_cards', [...value('a'), ...value('b')], 'bert', place)).toMatchObject({ added: 1, replaced: 1, entries: 2 });
    await Promise.all([one.add('blocked_cards', value('c'), 'anna', place), two.add('blocked_cards', value('d'), 'bert', place)]);
    await one.reload();
    expect(listed(one).sort()).toEqual(['a', 'b', 'c', 'd']);
    expect(await two.remove('blocked_cards', ['c'], 'done', 'bert')).toMatchObject({ removed: 1, entries: 3 });
    expect(listed(two).sort()).toEqual(['a', 'b', 'd']);
  });

  test('leave no entry of a list that one of them deletes', async () => {
    const shared = new Map<string, Map<string, unknown>>();
    const [{ lists: one }, { lists: two }] = [await opened(shared), await opened(shared)];
    const list = { name: 'mules', kind: 'watch', of: 'user', description: 'Money mules' } as const;
    await one.create(list, 'anna');
    await expect(two.create(list, 'bert')).rejects.toMatchObject({ code: 'list_conflict' });
    await two.add('mules', value('unheard-of'), 'bert', place);
    await one.delete('mules', 'anna', nobody);
    await expect(two.add('mules', value('late'), 'bert', place)).rejects.toMatchObject({ code: 'list_not_found' });
    await two.create(list, 'bert');
    await two.reload();
    expect(listed(two, 'mules')).toEqual([]);
  });
});

test('over HTTP: upload in both formats, wrong lines by number, search, and removal', async () => {
  const { app, metrics, adminToken } = await controlFixture();
  const ask = async <T>(method: string, path: string, body?: string, type = 'application/json') => {
    const headers = { authorization: `Bearer ${adminToken}`, ...(body === undefined ? {} : { 'content-type': type }) };
    const response = await app.request(path, { method, headers, ...(body === undefined ? {} : { body }) });
    return { status: response.status, body: (await response.json()) as T };
  };
  const upload = (body: string, type: string) =>
    ask<ListChangeResponse & Problem>('POST', '/v1/lists/blocked_cards/upload?reason=a%20dump', body, type);
  expect((await upload('value\n1001\n1002\n', 'text/csv')).body).toMatchObject({ added: 2, entries: 2 });
  expect((await upload('"1002"\n{"value":"2001","reason":"own"}\n', 'application/x-ndjson; charset=utf-8')).body).toMatchObject({
    added: 1,
    replaced: 1,
  });
  expect((await upload('value\n3001\ntwo words\n', 'text/csv')).body).toMatchObject({ code: 'invalid_request', errors: [{ path: '/line/3' }] });
  expect((await upload('value\n3001\n', 'text/plain')).status).toBe(415);
  const found = (await ask<ListEntriesResponse>('GET', '/v1/lists/blocked_cards/entries?prefix=100&limit=1')).body;
  expect(found).toMatchObject({ total: 2, entries: [{ value: '1002', reason: 'a dump' }] });
  const removal = JSON.stringify({ values: ['1001'], reason: 'a mistake' });
  expect((await ask<ListChangeResponse>('POST', '/v1/lists/blocked_cards/remove', removal)).body).toMatchObject({ removed: 1, entries: 2 });
  expect((await ask<Problem>('GET', '/v1/lists/no_such/entries')).body.code).toBe('list_not_found');
  expect((await ask<Problem>('DELETE', '/v1/lists/blocked_cards')).body.code).toBe('list_conflict');
  const { lists } = (await ask<ListsResponse>('GET', '/v1/lists')).body;
  expect(lists.find(({ name }) => name === 'blocked_cards')).toMatchObject({ entries: 2, used_by: ['block-lists@1'] });
  metrics.close();
});
