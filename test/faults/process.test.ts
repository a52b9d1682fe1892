import { cp, mkdir, mkdtemp, readFile, rm, truncate, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { WebSocket } from 'ws';
import type { Problem } from '../../contracts/errors.ts';
import { CLOSE } from '../../contracts/errors.ts';
import type { RecommendResponse } from '../../contracts/recommend.ts';
import type { ScoreResponse } from '../../contracts/score.ts';
import { SECRET_KEY, writeTablesBundle } from '../../gateway/data/data.suite.ts';
import { type Ended, GatewayProcess, RawConnection, type Settings } from './gateway-process.suite.ts';

// The gateway as its operator meets it: a process that starts, says why it cannot, degrades, drains and comes back.
// Guarantees 1 (2xx means durable), 4 (never empty, never late) and 6 (a broken bundle never serves).

let folder: string;
const running: GatewayProcess[] = [];
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'gatehouse-process-'));
});
afterEach(async () => {
  await Promise.all(running.splice(0).map((gateway) => gateway.destroy()));
  await rm(folder, { recursive: true, force: true });
});

function start(dataDir = folder, settings: Settings = {}, limit = ''): GatewayProcess {
  const gateway = new GatewayProcess(dataDir, settings, limit);
  running.push(gateway);
  return gateway;
}
const ITEMS = { items: Array.from({ length: 5 }, (_, i) => ({ item_id: `i${i}` })) };
const PAYMENT = { transaction_id: 't1', user_id: 'u1', amount: 12 };

/** One sentence with its code, and nothing that only a developer could read. */
function expectOneLine({ code, signal, stderr }: Ended, error: string): void {
  expect({ code, signal }).toEqual({ code: 1, signal: null });
  expect(stderr.trimEnd().split('\n')).toHaveLength(1);
  expect(stderr).toMatch(new RegExp(`^gatehouse: .+ \\(${error}\\)\\. .+`));
  expect(stderr).not.toMatch(/\bat .+:\d+|node_modules|\[object/);
}

describe('does not start, and says why in one line', () => {
  test.each<[string, (port: string) => Settings]>([
    ['the data port is taken', (port) => ({ GATEHOUSE_PORT: port })],
    ['the control port is taken', (port) => ({ GATEHOUSE_CONTROL_PORT: port })],
  ])('%s', async (_, settings) => {
    const holder = createServer().listen(0, '127.0.0.1');
    await new Promise((resolve) => holder.once('listening', resolve));
    const address = holder.address();
    const port = String(typeof address === 'object' ? address?.port : '');
    try {
      const ended = await start(folder, settings(port)).ended;
      expectOneLine(ended, 'port_in_use');
      expect(ended.stderr).toContain(port);
    } finally {
      holder.close();
    }
    // Nothing of the first try is left in the way of the second.
    expect((await (await start().ready()).ask('GET', '/healthz')).status).toBe(200);
  });

  test('a file is where the data folder should be', async () => {
    await writeFile(join(folder, 'file'), 'not a folder');
    expectOneLine(await start(join(folder, 'file')).ended, 'data_dir_unwritable');
    expectOneLine(await start(join(folder, 'file', 'below')).ended, 'data_dir_unwritable');
  });

  test.skipIf(process.platform !== 'linux')(
    'the data folder cannot be made, with either store (needs /proc, where even root may not write)',
    async () => {
      expectOneLine(await start('/proc/gatehouse').ended, 'data_dir_unwritable');
      expectOneLine(await start('/proc/gatehouse', { GATEHOUSE_STORE: 'redis' }).ended, 'data_dir_unwritable');
    },
  );

  test('another process uses the embedded store, which goes on', async () => {
    const first = await start().ready();
    const ended = await start().ended;
    expectOneLine(ended, 'store_locked');
    expect((await first.ask('PUT', '/v1/items', ITEMS)).status).toBe(200);
  });

  test('Redis is not there', async () => {
    // A port that was free a moment ago and that nobody listens on now.
    const probe = createServer().listen(0, '127.0.0.1');
    await new Promise((resolve) => probe.once('listening', resolve));
    const address = probe.address();
    const port = typeof address === 'object' ? address?.port : 0;
    await new Promise((resolve) => probe.close(resolve));
    const ended = await start(folder, { GATEHOUSE_STORE: 'redis', GATEHOUSE_REDIS_URL: `redis://127.0.0.1:${port}` }).ended;
    expectOneLine(ended, 'store_unavailable');
    expect(ended.stderr).toContain(`ECONNREFUSED 127.0.0.1:${port}`);
  });

  test.each<[Settings, string, string]>([
    [{ GATEHOUSE_POTR: '8080' }, 'config_invalid', 'GATEHOUSE_POTR'],
    [{ GATEHOUSE_PORT: '70000' }, 'config_invalid', 'GATEHOUSE_PORT'],
    [{ GATEHOUSE_SECRET_KEYS: 'hunter2' }, 'config_invalid', 'GATEHOUSE_SECRET_KEYS'],
    [{ GATEHOUSE_REDIS_URL: 'http://:hunter2@redis', GATEHOUSE_STORE: 'redis' }, 'config_invalid', 'GATEHOUSE_REDIS_URL'],
    [{ GATEHOUSE_RULES_FILE: '/no/such/rules.json' }, 'input_unreadable', '/no/such/rules.json'],
  ])('%o', async (settings, code, named) => {
    const ended = await start(folder, settings).ended;
    expectOneLine(ended, code);
    expect(ended.stderr).toContain(named);
    expect(ended.stderr).not.toContain('hunter2');
  });
});

describe('serves without its bundle, says so, and takes a good one', () => {
  const TABLES = { version: 'good', neighbours: { i1: ['i2', 'i3'] }, popular: ['i3', 'i1'] };
  const pointer = (dataDir: string, text: string) => writeFile(join(dataDir, 'bundles', 'active.json'), text);
  const manifest = async (dir: string, change: (manifest: Record<string, unknown>) => unknown): Promise<void> => {
    const path = join(dir, 'manifest.json');
    await writeFile(path, JSON.stringify(change(JSON.parse(await readFile(path, 'utf8')) as Record<string, unknown>)));
  };
  const flip = async (path: string): Promise<void> => {
    const bytes = await readFile(path);
    bytes[bytes.length >> 1]! ^= 1;
    await writeFile(path, bytes);
  };

  test.each<[string, string, (dir: string) => Promise<unknown>]>([
    ['its folder is gone', 'bundle_not_found', (dir) => rm(dir, { recursive: true })],
    ['a bit flipped', 'bundle_corrupt', (dir) => flip(join(dir, 'neighbours.msgpack'))],
    ['a file is cut short', 'bundle_corrupt', (dir) => truncate(join(dir, 'popularity.msgpack'), 5)],
    ['a file is missing', 'bundle_corrupt', (dir) => rm(join(dir, 'popularity.msgpack'))],
    ['the manifest is no JSON', 'bundle_corrupt', (dir) => writeFile(join(dir, 'manifest.json'), '{"format":')],
    ['the manifest lacks a field', 'bundle_corrupt', (dir) => manifest(dir, ({ metrics: _, ...rest }) => rest)],
    ['the manifest is of another bundle', 'bundle_corrupt', (dir) => manifest(dir, (value) => ({ ...value, version: 'other' }))],
    ['the note of the active one is no JSON', 'bundle_corrupt', () => pointer(folder, '{"active": "bro')],
    ['the note is null', 'bundle_corrupt', () => pointer(folder, 'null')],
    ['the note names a number', 'bundle_corrupt', () => pointer(folder, '{"active": 42}')],
    ['the note climbs out of the folder', 'bundle_corrupt', () => pointer(folder, '{"active": "../../etc"}')],
    ['the note is a folder', 'bundle_corrupt', () => rm(join(folder, 'bundles/active.json')).then(() => mkdir(join(folder, 'bundles/active.json')))],
  ])('%s', async (_, code, damage) => {
    await damage(await writeTablesBundle(folder, { ...TABLES, version: 'broken' }));
    const gateway = await start().ready();
    expect((await gateway.ask('PUT', '/v1/items', ITEMS)).status).toBe(200);
    const { status, body } = await gateway.ask<RecommendResponse>('POST', '/v1/recommend', { limit: 3 });
    expect(status).toBe(200);
    expect(body).toMatchObject({ bundle: null, degraded: true, degraded_by: ['bundle_missing'] });
    expect(body.items).toHaveLength(3);
    expect((await gateway.ask<ScoreResponse>('POST', '/v1/score', PAYMENT)).body).toMatchObject({ degraded: true, degraded_by: ['model_missing'] });
    expect((await gateway.control('GET', '/readyz')).status).toBe(200);
    expect((await gateway.control('GET', '/v1/bundles')).status).toBe(200);
    expect(gateway.log.filter(({ level }) => level >= 50).map(({ err }) => err?.code)).toEqual([code]);
    gateway.kill('SIGTERM');
    expect(await gateway.ended).toEqual({ code: 0, signal: null, stderr: '' });
  });

  test('a good bundle is activated under way, a broken one beside it is refused, and the next start has the good one', async () => {
    const broken = await writeTablesBundle(folder, { ...TABLES, version: 'broken' });
    const good = await writeTablesBundle(folder, TABLES);
    await flip(join(broken, 'popularity.msgpack'));
    await pointer(folder, 'garbage');
    const gateway = await start().ready();
    await gateway.ask('PUT', '/v1/items', ITEMS);
    const bundleOf = async (of: GatewayProcess) => (await of.ask<RecommendResponse>('POST', '/v1/recommend', {})).body.bundle;
    expect(await gateway.control<Problem>('POST', '/v1/bundles/broken/activate')).toMatchObject({ status: 422, body: { code: 'bundle_corrupt' } });
    expect(await bundleOf(gateway)).toBeNull();
    expect(await gateway.control('POST', '/v1/bundles/good/activate')).toEqual({ status: 200, body: { current: 'good' } });
    expect(await bundleOf(gateway)).toBe('good');
    expect((await gateway.control('POST', '/v1/bundles/broken/activate')).status).toBe(422);
    expect((await gateway.control('POST', '/v1/bundles/nothing/activate')).status).toBe(404);
    expect(await bundleOf(gateway)).toBe('good');
    // Every file is sound, but the folder says it is another bundle.
    await cp(good, join(folder, 'bundles', 'next'), { recursive: true });
    expect((await gateway.control('POST', '/v1/bundles/next/activate')).status).toBe(422);
    gateway.kill('SIGTERM');
    await gateway.ended;
    expect(await bundleOf(await start().ready())).toBe('good');
  });
});

describe('SIGTERM', () => {
  test('finishes what is in work, refuses what is new, tells everyone, and ends with 0', async () => {
    const gateway = await start().ready();
    await gateway.ask('PUT', '/v1/items', ITEMS);
    const first = await gateway.ask<ScoreResponse>('POST', '/v1/score', PAYMENT);
    const stream = await openStream(gateway);
    const body = JSON.stringify({ items: [{ item_id: 'in-flight' }] });
    const slow = await RawConnection.open(gateway.dataPort);
    slow.write(`PUT /v1/items HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${SECRET_KEY}\r\nContent-Type: application/json\r\n`);
    slow.write(`Content-Length: ${body.length}\r\n\r\n${body.slice(0, 10)}`);
    const idle = await RawConnection.open(gateway.dataPort);
    idle.write('GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n');
    await idle.until(/200 OK[\s\S]*"ok"/);
    await inFlight(gateway, 1);

    gateway.kill('SIGTERM');
    expect(await stream.closed).toBe(CLOSE.going_away.code);
    expect(CLOSE.going_away.reconnect).toBe(true);
    expect(await gateway.control('GET', '/readyz')).toEqual({
      status: 503,
      body: { ready: false, reasons: ['the gateway is draining'], warnings: [] },
    });
    idle.write('GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n');
    await idle.until(/503 Service Unavailable[\s\S]*"draining"/);
    await refused(gateway.dataPort);
    slow.write(body.slice(10));
    await slow.until(/200 OK[\s\S]*"changed":1/);
    expect(await gateway.ended).toEqual({ code: 0, signal: null, stderr: '' });

    const again = await start().ready();
    expect((await again.ask<ScoreResponse>('POST', '/v1/score', PAYMENT)).body).toEqual(first.body);
    const { body: shown } = await again.ask<RecommendResponse>('POST', '/v1/recommend', { limit: 100 });
    expect(shown.items.map(({ item_id }) => item_id).sort()).toEqual(['i0', 'i1', 'i2', 'i3', 'i4', 'in-flight']);
  });

  test('a request that never ends does not hold it longer than the drain time', async () => {
    const gateway = await start(folder, { GATEHOUSE_DRAIN_MS: '200' }).ready();
    const slow = await RawConnection.open(gateway.dataPort);
    slow.write(`PUT /v1/items HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{`);
    await inFlight(gateway, 1);
    gateway.kill('SIGTERM');
    expect(await gateway.ended).toMatchObject({ code: 0, signal: null, stderr: '' });
    await slow.closed;
  });
});

test('SIGKILL loses nothing that was acknowledged, and the next start serves', async () => {
  const gateway = await start().ready();
  await gateway.ask('PUT', '/v1/items', ITEMS);
  const large = { transaction_id: 't2', user_id: 'u2', amount: 1, device_id: 'd' };
  const first = await gateway.ask<ScoreResponse>('POST', '/v1/score', large);
  const event = { events: [{ event_id: 'e1', name: 'view_item', session_id: 's', items: [{ item_id: 'i1' }] }] };
  expect((await gateway.ask('POST', '/v1/events', event)).body).toEqual({ accepted: 1, duplicates: 0 });
  gateway.kill('SIGKILL');
  expect((await gateway.ended).signal).toBe('SIGKILL');

  const again = await start().ready();
  expect((await again.ask('POST', '/v1/events', event)).body).toEqual({ accepted: 0, duplicates: 1 });
  expect((await again.ask<ScoreResponse>('POST', '/v1/score', large)).body).toEqual(first.body);
  expect((await again.ask<RecommendResponse>('POST', '/v1/recommend', { limit: 100 })).body.items).toHaveLength(5);
});

test.skipIf(process.platform === 'win32')(
  'a full disk refuses writes by name while answers go on, and nothing acknowledged is lost (needs ulimit)',
  async () => {
    // A limit on the size of files stands in for a full disk: unlike one, it needs no rights. 4096 blocks of 512 bytes.
    const gateway = await start(folder, {}, "trap '' XFSZ; ulimit -f 4096").ready();
    await gateway.ask('PUT', '/v1/items', ITEMS);
    const batch = (n: number) => ({
      events: Array.from({ length: 50 }, (_, i) => ({ event_id: `e${n}-${i}`, name: 'review', user_id: `u${n}`, rating: 5, text: 'x'.repeat(2000) })),
    });
    let acknowledged = 0;
    let refusal: { readonly status: number; readonly body: Problem } | undefined;
    while (refusal === undefined) {
      const answer = await gateway.ask<Problem>('POST', '/v1/events', batch(acknowledged));
      if (answer.status === 200) acknowledged++;
      else refusal = answer;
    }
    const full = [
      { status: 507, code: 'store_full' },
      { status: 503, code: 'store_unavailable' },
    ];
    expect(full).toContainEqual({ status: refusal.status, code: refusal.body.code });
    expect(acknowledged).toBeGreaterThan(1);
    const { status, body } = await gateway.ask<RecommendResponse>('POST', '/v1/recommend', { user_id: 'u0', limit: 5 });
    expect([status, body.items.length]).toEqual([200, 5]);
    const score = await gateway.ask<Problem>('POST', '/v1/score', { ...PAYMENT, transaction_id: 'x'.repeat(100) });
    if (score.status !== 200) expect(full).toContainEqual({ status: score.status, code: score.body.code });
    expect((await gateway.control('GET', '/healthz')).status).toBe(200);
    gateway.kill('SIGTERM');
    expect((await gateway.ended).code).toBe(0);

    const again = await start().ready();
    for (let n = 0; n < acknowledged; n++) expect((await again.ask('POST', '/v1/events', batch(n))).body).toEqual({ accepted: 0, duplicates: 50 });
    expect((await again.ask('POST', '/v1/events', batch(acknowledged))).status).toBe(200);
  },
);

/** A subscribed stream. */
async function openStream(gateway: GatewayProcess): Promise<{ readonly closed: Promise<number> }> {
  const { body } = await gateway.ask<{ token: string }>('POST', '/v1/stream/tokens', { channels: ['alerts'] });
  const socket = new WebSocket(`ws://127.0.0.1:${gateway.dataPort}/v1/stream?token=${body.token}`);
  const closed = new Promise<number>((resolve) => socket.once('close', resolve));
  await new Promise<void>((resolve, reject) => {
    socket.on('message', (data: Buffer) => {
      const { type } = JSON.parse(data.toString()) as { type: string };
      if (type === 'ready') socket.send(JSON.stringify({ type: 'subscribe', channel: 'alerts' }));
      if (type === 'subscribed') resolve();
    });
    socket.once('error', reject);
  });
  return { closed };
}

/** Waits until the gateway has taken the headers of `count` requests. */
async function inFlight(gateway: GatewayProcess, count: number): Promise<void> {
  const metric = /^gatehouse_requests_in_flight (\d+)/m;
  for (;;) {
    const text = await (await fetch(`http://127.0.0.1:${gateway.controlPort}/metrics`)).text();
    if (Number(metric.exec(text)?.[1]) >= count) return;
    await sleep(5);
  }
}

/** Waits until nobody listens on the port any more. */
async function refused(port: number): Promise<void> {
  for (;;) {
    try {
      (await RawConnection.open(port)).end();
    } catch {
      return;
    }
    await sleep(5);
  }
}
