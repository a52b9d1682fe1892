import { connect } from 'node:net';
import { encode } from '@msgpack/msgpack';
import fc from 'fast-check';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { errorsOf, ROUTES, type Route } from '../../contracts/routes.ts';
import { CONTENT_TYPES, type Encoding } from '../../contracts/wire.ts';
import { type Answer, problemOf, SECRET_KEY, TestGateway } from './data.suite.ts';

// Whatever the bytes: a coded 4xx of the route's own table, and no trace of the request behind it.

const BODY_BYTES_MAX = 64 * 1024;
const FUZZ_RUNS = 300;
let shop: TestGateway;
beforeAll(async () => {
  shop = await TestGateway.start({ bodyBytesMax: BODY_BYTES_MAX });
  await shop.ask('PUT', '/v1/items', { items: [{ item_id: 'i1' }] });
});
afterAll(() => shop.stop());

const LONG = 'x'.repeat(4000);

type Json = Record<string, unknown>;
/** A good request of every route with a body; each test damages a copy. */
const GOOD: Readonly<Record<string, () => Json>> = {
  events: () => ({ events: [{ event_id: 'e', name: 'view_item', user_id: 'u', value: 1, items: [{ item_id: 'i1', quantity: 1 }] }] }),
  score: () => ({ transaction_id: 't', user_id: 'u', amount: 5, items: [{ item_id: 'i1' }] }),
  recommend: () => ({ user_id: 'u', limit: 3, exclude: ['i9'] }),
  items_put: () => ({ items: [{ item_id: 'i1', price: 3, attributes: { colour: 'red' } }] }),
  items_patch: () => ({ items: [{ item_id: 'i1', price: 3, attributes: { colour: 'red' } }] }),
  items_delete: () => ({ item_ids: ['i1'] }),
  stream_token: () => ({ channels: ['alerts'], ttl_s: 60 }),
};
const NAMES = Object.keys(GOOD);
const routeOf = (name: string): Route => ROUTES[name as keyof typeof ROUTES];

function send(name: string, bytes: Uint8Array | string, type: string): Promise<Answer<unknown>> {
  const { method, path } = routeOf(name);
  return shop.raw(method, path, bytes, { authorization: `Bearer ${SECRET_KEY}`, 'content-type': type });
}
const sendAs = (name: string, value: unknown, encoding: Encoding): Promise<Answer<unknown>> =>
  send(name, encoding === 'json' ? JSON.stringify(value) : encode(value, { useBigInt64: true }), CONTENT_TYPES[encoding]);

/** The refusal's code, checked to be a 4xx that the route's description lists. */
function refusal(name: string, answer: Answer<unknown>): string {
  const { status, code } = problemOf(answer);
  expect(status).toBeGreaterThanOrEqual(400);
  expect(status).toBeLessThan(500);
  expect(errorsOf(routeOf(name))).toContain(code);
  expect(JSON.stringify(answer.body)).not.toMatch(/node_modules|\.ts:|\.js:/);
  return code;
}

const before: { end: number; item: unknown } = { end: 0, item: undefined };
beforeEach(async () => {
  // What was shown to the test before is journalled behind its answer.
  await shop.gateway.store.flush();
  before.end = await shop.journalEnd();
  before.item = await shop.gateway.store.doc('items', 'i1');
});
const expectUnchanged = async (): Promise<void> => {
  expect(await shop.journalEnd()).toBe(before.end);
  expect(await shop.gateway.store.doc('items', 'i1')).toEqual(before.item);
  expect(({} as Json)['polluted']).toBeUndefined();
};

const text = (value: string): Uint8Array => new TextEncoder().encode(value);
const nested = (depth: number): unknown => (depth === 0 ? 1 : [nested(depth - 1)]);

describe.each(NAMES)('%s', (name) => {
  const good = GOOD[name]!;
  const json = (): string => JSON.stringify(good());
  /** The body with one more member in front, as text, so that it may be anything. */
  const withMember = (member: string): string => `{${member},${json().slice(1)}`;

  test.each<[string, () => string | Uint8Array, string]>([
    ['nothing', () => new Uint8Array(0), 'malformed_body'],
    ['half of it', () => json().slice(0, -2), 'malformed_body'],
    ['two of it', () => json() + json(), 'malformed_body'],
    ['invalid UTF-8', () => Buffer.concat([Buffer.from('{"a":"'), Buffer.from([0xc3, 0x28, 0xff]), Buffer.from('"}')]), 'malformed_body'],
    ['UTF-16', () => Buffer.from(json(), 'utf16le'), 'malformed_body'],
    ['NaN', () => withMember('"x":NaN'), 'malformed_body'],
    ['1e400', () => withMember('"x":1e400'), 'malformed_body'],
    ['a whole number beyond 2^53', () => withMember('"x":123456789012345678901234567890'), 'malformed_body'],
    ['deep nesting', () => withMember(`"x":${'['.repeat(20)}${']'.repeat(20)}`), 'nesting_too_deep'],
    ['deep nesting without an end', () => '['.repeat(50_000), 'nesting_too_deep'],
    ['__proto__', () => withMember('"__proto__":{"polluted":1}'), 'forbidden_key'],
    ['an escaped __proto__', () => withMember('"__pro\\u0074o__":{"polluted":1}'), 'forbidden_key'],
    ['constructor', () => withMember('"constructor":{"prototype":{"polluted":1}}'), 'forbidden_key'],
    ['an unknown field', () => withMember('"polluted":1'), 'invalid_request'],
    ['null', () => 'null', 'invalid_request'],
    ['a list', () => `[${json()}]`, 'invalid_request'],
    ['a text', () => JSON.stringify(json()), 'invalid_request'],
    ['a number', () => '-0', 'invalid_request'],
  ])('%s in JSON', async (_, bytes, code) => {
    expect(refusal(name, await send(name, bytes(), CONTENT_TYPES.json))).toBe(code);
    await expectUnchanged();
  });

  test.each<[string, () => Uint8Array, string]>([
    ['half of it', () => encode(good()).subarray(0, -1), 'malformed_body'],
    ['two of it', () => Buffer.concat([encode(good()), encode(good())]), 'malformed_body'],
    ['NaN', () => encode({ ...good(), x: Number.NaN }), 'malformed_body'],
    ['infinity', () => encode({ ...good(), x: Number.NEGATIVE_INFINITY }), 'malformed_body'],
    ['a bigint', () => encode({ ...good(), x: 1n << 62n }, { useBigInt64: true }), 'malformed_body'],
    ['bytes', () => encode({ ...good(), x: Uint8Array.of(1, 2) }), 'malformed_body'],
    ['a date', () => encode({ ...good(), x: new Date(0) }), 'malformed_body'],
    ['an unknown extension', () => Uint8Array.of(0x81, 0xa1, 0x78, 0xd4, 0x05, 0x00), 'malformed_body'],
    ['an array of 2^32 - 1', () => Uint8Array.of(0xdd, 0xff, 0xff, 0xff, 0xff), 'malformed_body'],
    ['a map of 2^32 - 1', () => Uint8Array.of(0xdf, 0xff, 0xff, 0xff, 0xff), 'malformed_body'],
    ['a text of 2^32 - 1', () => Uint8Array.of(0xdb, 0xff, 0xff, 0xff, 0xff, 0x61), 'malformed_body'],
    ['bytes of 2^32 - 1', () => Uint8Array.of(0xc6, 0xff, 0xff, 0xff, 0xff, 0x61), 'malformed_body'],
    ['the byte that means nothing', () => Uint8Array.of(0xc1), 'malformed_body'],
    ['a number as a key', () => Uint8Array.of(0x81, 0x01, 0x01), 'invalid_request'],
    ['__proto__', () => Uint8Array.of(0x81, 0xa9, ...text('__proto__'), 0x80), 'forbidden_key'],
    ['constructor', () => encode({ ...good(), ['constructor']: { polluted: 1 } }), 'forbidden_key'],
    ['deep nesting', () => encode({ ...good(), x: nested(20) }), 'nesting_too_deep'],
    ['an unknown field', () => encode({ ...good(), polluted: 1 }), 'invalid_request'],
    ['nil', () => encode(null), 'invalid_request'],
  ])('%s in MessagePack', async (_, bytes, code) => {
    expect(refusal(name, await send(name, bytes(), CONTENT_TYPES.msgpack))).toBe(code);
    await expectUnchanged();
  });

  test.each(['text/plain', 'application/jsonx', 'multipart/form-data; boundary=x', 'application/x-www-form-urlencoded'])('as %s', async (type) => {
    expect(refusal(name, await send(name, json(), type))).toBe('unsupported_media_type');
    await expectUnchanged();
  });

  test('a body over the limit, announced or not', async () => {
    const large = withMember(`"x":"${'x'.repeat(BODY_BYTES_MAX)}"`);
    expect(refusal(name, await send(name, large, CONTENT_TYPES.json))).toBe('body_too_large');
    expect(await chunked(name, large)).toContain('413');
    await expectUnchanged();
  });

  test.each<Encoding>(['json', 'msgpack'])('every field with every wrong value, in %s', async (encoding) => {
    const wrong = ['', ' ', 'a b', 'ä', '\u0000', LONG, -1.5, 1e15, true, null, [], {}, [[]], [null], { a: 1 }];
    const taken = new Set<string>();
    let sent = 0;
    for (const path of pathsOf(good())) {
      for (const value of wrong) {
        const body = structuredClone(good());
        put(body, path, value);
        const answer = await sendAs(name, body, encoding);
        if (answer.status !== 200) refusal(name, answer);
        else taken.add(`${path.join('/')} = ${JSON.stringify(value)}`);
        sent++;
      }
    }
    expect(sent).toBeGreaterThan(wrong.length);
    expect([...taken].sort()).toEqual([...(RIGHT[name] ?? [])].sort());
  });
});

/** Wrong values that are right where they stand. */
const ITEM = [
  ...['{"a":1}', '{}'].map((value) => `items/0/attributes = ${value}`),
  ...['" "', '""', '"\\u0000"', '"a b"', '"ä"', '-1.5', '1000000000000000', 'true'].map((value) => `items/0/attributes/colour = ${value}`),
  'items/0/price = -1.5',
];
const RIGHT: Readonly<Record<string, readonly string[]>> = {
  events: ['events/0/value = -1.5'],
  score: ['amount = -1.5'],
  recommend: ['exclude = []'],
  items_put: ITEM,
  items_patch: ITEM,
};

/** Every place in a value, as its path. */
function pathsOf(value: unknown, path: readonly (string | number)[] = []): (string | number)[][] {
  if (typeof value !== 'object' || value === null) return [];
  return Object.entries(value).flatMap(([key, inner]) => {
    const here = [...path, Array.isArray(value) ? Number(key) : key];
    return [here, ...pathsOf(inner, here)];
  });
}

function put(body: unknown, path: readonly (string | number)[], value: unknown): void {
  let at = body as Record<string | number, unknown>;
  for (const part of path.slice(0, -1)) at = at[part] as Record<string | number, unknown>;
  at[path[path.length - 1]!] = value;
}

/** Sends the body in chunks, so that no length is announced, and returns the answer's status line. */
function chunked(name: string, body: string): Promise<string> {
  const { method, path } = routeOf(name);
  const head = `${method} ${path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${SECRET_KEY}\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n`;
  return new Promise((resolve, reject) => {
    const socket = connect(shop.gateway.dataPort, '127.0.0.1', () => {
      socket.write(head);
      for (let at = 0; at < body.length; at += 8000) {
        const chunk = body.slice(at, at + 8000);
        socket.write(`${chunk.length.toString(16)}\r\n${chunk}\r\n`);
      }
      socket.write('0\r\n\r\n');
    });
    socket.once('data', (data: Buffer) => {
      resolve(data.toString('latin1').split('\r\n')[0]!);
      socket.destroy();
    });
    socket.once('error', reject);
  });
}

describe('fuzz', () => {
  const routes = fc.constantFrom(...NAMES);
  // An empty object is a good request for a recommendation.
  const wrong = fc.jsonValue({ maxDepth: 5 }).filter((value) => JSON.stringify(value) !== '{}');

  test('random bytes are refused, and leave nothing behind', async () => {
    await fc.assert(
      fc.asyncProperty(routes, fc.uint8Array({ maxLength: 300 }), fc.constantFrom<Encoding>('json', 'msgpack'), async (name, bytes, encoding) => {
        refusal(name, await send(name, bytes, CONTENT_TYPES[encoding]));
      }),
      { seed: 11, numRuns: FUZZ_RUNS },
    );
    await expectUnchanged();
  });

  test('random values are refused in both encodings for the same reason', async () => {
    await fc.assert(
      fc.asyncProperty(routes, wrong, async (name, value) => {
        expect(refusal(name, await sendAs(name, value, 'msgpack'))).toBe(refusal(name, await sendAs(name, value, 'json')));
      }),
      { seed: 12, numRuns: FUZZ_RUNS },
    );
    await expectUnchanged();
  });

  test('a good request with one byte changed is answered or refused, never failed', async () => {
    await fc.assert(
      fc.asyncProperty(routes, fc.nat(), fc.nat(255), fc.constantFrom<Encoding>('json', 'msgpack'), async (name, at, byte, encoding) => {
        const value = GOOD[name]!();
        const bytes = Uint8Array.from(encoding === 'json' ? text(JSON.stringify(value)) : encode(value));
        bytes[at % bytes.length] = byte;
        const answer = await send(name, bytes, CONTENT_TYPES[encoding]);
        if (answer.status !== 200) refusal(name, answer);
      }),
      { seed: 13, numRuns: FUZZ_RUNS },
    );
    expect((await shop.ask('POST', '/v1/recommend', {})).status).toBe(200);
  });
});
