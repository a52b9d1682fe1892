import { connect } from 'node:net';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { createServer, type Server } from './server.ts';

const BODY_BYTES_MAX = 1000;
let server: Server;
let port: number;
let ran: string[] = [];

beforeAll(async () => {
  server = await createServer({
    host: '127.0.0.1',
    port: 0,
    limits: { bodyBytesMax: BODY_BYTES_MAX, requestTimeoutMs: 300, headerCountMax: 50 },
    log: { warn: () => undefined, error: () => undefined },
    routes: [
      {
        method: 'POST',
        path: '/e',
        handler: (request) => {
          ran.push(`e ${Buffer.from(request.body).toString('latin1')}`);
          return { status: 200, body: `got ${request.body.length}` };
        },
      },
      {
        method: 'POST',
        path: '/slow',
        handler: async () => {
          ran.push('slow');
          await new Promise((resolve) => setTimeout(resolve, 50));
          return { status: 200, body: 'slow' };
        },
      },
      {
        method: 'GET',
        path: '/g',
        handler: (request) => {
          ran.push(`g ${request.query}`);
          return { status: 200, body: 'g' };
        },
      },
    ],
    ws: {
      path: '/ws',
      subprotocols: ['a'],
      messageBytesMax: 1000,
      admit: () => undefined,
      open: () => {
        ran.push('ws');
        return { message: () => undefined, pong: () => undefined, drain: () => undefined, close: () => undefined };
      },
    },
  });
  port = await server.listen();
});
afterAll(() => server.close({ graceMs: 100 }));
beforeEach(() => {
  ran = [];
});

interface Seen {
  /** Status codes of the answers, in order. */
  readonly statuses: number[];
  readonly text: string;
  readonly closed: boolean;
}

/** Send the parts as they are, each in a segment of its own, and read until the peer closes, or nothing came for `quietMs`. */
function raw(parts: string | readonly string[], { quietMs = 120, gapMs = 20 } = {}): Promise<Seen> {
  return new Promise((resolve) => {
    let text = '';
    let closed = false;
    let quiet: NodeJS.Timeout | undefined;
    const socket = connect(port, '127.0.0.1');
    socket.setNoDelay(true);
    const finish = () => {
      clearTimeout(quiet);
      socket.destroy();
      resolve({ statuses: [...text.matchAll(/HTTP\/1\.1 (\d{3})/g)].map((match) => Number(match[1])), text, closed });
    };
    const wait = () => {
      clearTimeout(quiet);
      quiet = setTimeout(finish, quietMs);
    };
    socket.on('data', (data) => {
      text += data.toString('latin1');
      wait();
    });
    socket.on('error', () => undefined);
    socket.on('close', () => {
      closed = true;
      finish();
    });
    const left = typeof parts === 'string' ? [parts] : [...parts];
    const send = () => {
      const part = left.shift();
      if (part === undefined || closed) return;
      socket.write(Buffer.from(part, 'latin1'));
      if (left.length > 0) setTimeout(send, gapMs);
      else wait();
    };
    socket.on('connect', send);
  });
}

const post = (headers: string, body = 'ab', path = '/e') => `POST ${path} HTTP/1.1\r\nHost: x\r\n${headers}\r\n\r\n${body}`;
const SMUGGLED = 'GET /g?smuggled HTTP/1.1\r\nHost: x\r\n\r\n';

describe('an ambiguous or broken request is refused with 400, its connection ends and no handler runs', () => {
  const cases: Record<string, string> = {
    'the same Content-Length twice': post('Content-Length: 2\r\nContent-Length: 2'),
    'two different Content-Lengths': post('Content-Length: 2\r\nContent-Length: 4', 'abcd'),
    'a list of lengths': post('Content-Length: 2, 2'),
    'Content-Length, then Transfer-Encoding': post('Content-Length: 2\r\nTransfer-Encoding: chunked', '2\r\nab\r\n0\r\n\r\n'),
    'Transfer-Encoding, then Content-Length': post('Transfer-Encoding: chunked\r\nContent-Length: 2', '2\r\nab\r\n0\r\n\r\n'),
    'Transfer-Encoding: gzip, chunked': post('Transfer-Encoding: gzip, chunked', '2\r\nab\r\n0\r\n\r\n'),
    'Transfer-Encoding: chunked, identity': post('Transfer-Encoding: chunked, identity', '2\r\nab\r\n0\r\n\r\n'),
    'Transfer-Encoding: identity': post('Transfer-Encoding: identity'),
    'Transfer-Encoding: xchunked': post('Transfer-Encoding: xchunked', '2\r\nab\r\n0\r\n\r\n'),
    'two Transfer-Encodings': post('Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked', '2\r\nab\r\n0\r\n\r\n'),
    'a chunk size that is no number': post('Transfer-Encoding: chunked', 'zz\r\nab\r\n0\r\n\r\n'),
    'a bad second chunk size': post('Transfer-Encoding: chunked', '2\r\nab\r\nzz\r\nab\r\n0\r\n\r\n'),
    'a negative chunk size': post('Transfer-Encoding: chunked', '-2\r\nab\r\n0\r\n\r\n'),
    'a huge chunk size': post('Transfer-Encoding: chunked', 'FFFFFFFFFFFFFFFFF\r\nab'),
    'a negative Content-Length': post('Content-Length: -2'),
    'a signed Content-Length': post('Content-Length: +2'),
    'a huge Content-Length': post('Content-Length: 99999999999999999999999'),
    'a hexadecimal Content-Length': post('Content-Length: 0x2'),
    'a Content-Length that is no number': post('Content-Length: 2a'),
    'an empty Content-Length': post('Content-Length: '),
    'a folded header': post('X-A: b\r\n c\r\nContent-Length: 2'),
    'NUL in a header value': post('X-A: b\0c\r\nContent-Length: 2'),
    'a space before the colon': post('Content-Length : 2'),
    'a missing Host': 'POST /e HTTP/1.1\r\nContent-Length: 2\r\n\r\nab',
    'two Hosts': post('Host: y\r\nContent-Length: 2'),
    'too many header lines': post(`${Array.from({ length: 60 }, (_, index) => `A${index}: b`).join('\r\n')}\r\nContent-Length: 2`),
  };
  test.each(Object.entries(cases))('%s', async (_name, bytes) => {
    const seen = await raw(bytes);
    expect(seen.statuses).toEqual([400]);
    expect(seen.closed).toBe(true);
    expect(ran).toEqual([]);
  });
});

describe('what the addon itself refuses: an error status or nothing, and no handler runs', () => {
  const cases: Record<string, { readonly bytes: string; readonly statuses: number[] }> = {
    'absolute-form': { bytes: 'POST http://x/e HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\nab', statuses: [505] },
    'asterisk-form': { bytes: 'OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n', statuses: [505] },
    'HTTP/1.0': { bytes: 'POST /e HTTP/1.0\r\nHost: x\r\nContent-Length: 2\r\n\r\nab', statuses: [505] },
    'an HTTP/2 preface': { bytes: 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', statuses: [505] },
    'line feeds alone': { bytes: 'POST /e HTTP/1.1\nHost: x\nContent-Length: 2\n\nab', statuses: [505] },
    'a TLS hello': { bytes: '\x16\x03\x01\x00\xa5\x01\x00\x00', statuses: [505] },
    'an overlong URL': { bytes: `GET /${'a'.repeat(20_000)} HTTP/1.1\r\nHost: x\r\n\r\n`, statuses: [431] },
    'more header lines than the addon holds': {
      bytes: post(`${Array.from({ length: 150 }, (_, index) => `A${index}: b`).join('\r\n')}\r\nContent-Length: 2`),
      statuses: [431],
    },
    'a bare CR in a header value': { bytes: post('X-A: b\rc\r\nContent-Length: 2'), statuses: [] },
  };
  test.each(Object.entries(cases))('%s', async (_name, { bytes, statuses }) => {
    const seen = await raw(bytes);
    expect(seen.statuses).toEqual(statuses);
    expect(ran).toEqual([]);
  });
});

describe('nothing is smuggled', () => {
  test('a request behind two lengths', async () => {
    const seen = await raw(post('Content-Length: 2\r\nContent-Length: 50', `ab${SMUGGLED}`));
    expect(ran).toEqual([]);
    expect(seen.closed).toBe(true);
  });

  test('a request behind two lengths, in a segment of its own', async () => {
    const seen = await raw([post('Content-Length: 2\r\nContent-Length: 50', 'ab'), SMUGGLED]);
    expect(ran).toEqual([]);
    expect(seen.statuses).toEqual([400]);
    expect(seen.closed).toBe(true);
  });

  test('a request behind a coding that is refused', async () => {
    const seen = await raw(post('Transfer-Encoding: gzip, chunked', `0\r\n\r\n${SMUGGLED}`));
    expect(ran).toEqual([]);
    expect(seen.closed).toBe(true);
  });

  test('a request inside a body is body', async () => {
    const seen = await raw(post(`Content-Length: ${SMUGGLED.length}`, SMUGGLED));
    expect(ran).toEqual([`e ${SMUGGLED}`]);
    expect(seen.statuses).toEqual([200]);
    expect(seen.closed).toBe(false);
  });

  test('a request inside a chunk is body', async () => {
    const seen = await raw(post('Transfer-Encoding: chunked', `${SMUGGLED.length.toString(16)}\r\n${SMUGGLED}\r\n0\r\n\r\n`));
    expect(ran).toEqual([`e ${SMUGGLED}`]);
    expect(seen.statuses).toEqual([200]);
  });

  test.each([
    ['in the same segment', [post('Transfer-Encoding: chunked', `2\r\nab\r\n0\r\n\r\n${SMUGGLED}`)]],
    ['in the next segment', [post('Transfer-Encoding: chunked', '2\r\nab\r\n0\r\n\r\n'), SMUGGLED]],
  ])('a request behind the last chunk, %s: a chunked request ends its connection', async (_name, parts) => {
    const seen = await raw(parts);
    expect(ran).not.toContain('g smuggled');
    expect(seen.closed).toBe(true);
  });

  test('trailer lines: the addon would take them for a request', async () => {
    const seen = await raw(post('Transfer-Encoding: chunked', '2\r\nab\r\n0\r\nX-T: y\r\n\r\n'));
    expect(ran).toEqual([]);
    expect(seen.statuses[0]).toBeGreaterThanOrEqual(400);
    expect(seen.closed).toBe(true);
  });

  test('a second request while the first is being answered ends the connection', async () => {
    const seen = await raw(post('Content-Length: 2', `ab${SMUGGLED}`, '/slow'));
    expect(ran).toEqual(['slow']);
    expect(seen.closed).toBe(true);
  });
});

describe('what is right passes', () => {
  test('a body in many segments', async () => {
    const seen = await raw([post('Content-Length: 5', 'a'), 'b', 'c', 'd', 'e'], { gapMs: 5 });
    expect(seen.statuses).toEqual([200]);
    expect(ran).toEqual(['e abcde']);
  });

  test('chunks in many segments', async () => {
    const seen = await raw([post('Transfer-Encoding: Chunked', '2\r\n'), 'ab\r\n', '3\r\ncde', '\r\n0\r\n', '\r\n'], { gapMs: 5 });
    expect(seen.statuses).toEqual([200]);
    expect(ran).toEqual(['e abcde']);
  });

  test('requests one after the other on one connection', async () => {
    const one = post('Content-Length: 2');
    const seen = await raw([one, one, one]);
    expect(seen.statuses).toEqual([200, 200, 200]);
    expect(ran).toEqual(['e ab', 'e ab', 'e ab']);
  });

  test('an empty body', async () => {
    const seen = await raw(post('Content-Length: 0', ''));
    expect(seen.statuses).toEqual([200]);
    expect(ran).toEqual(['e ']);
  });
});

describe('sizes and times', () => {
  test('a POST without a length is 411', async () => {
    expect((await raw('POST /e HTTP/1.1\r\nHost: x\r\n\r\n')).statuses).toEqual([411]);
    expect(ran).toEqual([]);
  });

  test('an announced length over the limit is 413 before the body comes', async () => {
    const seen = await raw(`POST /e HTTP/1.1\r\nHost: x\r\nContent-Length: ${BODY_BYTES_MAX + 1}\r\n\r\n`);
    expect(seen.statuses).toEqual([413]);
    expect(ran).toEqual([]);
  });

  test('a sender of a body over the limit reads its 413 and goes on with the connection', async () => {
    const seen = await raw([
      post(`Content-Length: ${BODY_BYTES_MAX + 1}`, 'a'.repeat(500)),
      'a'.repeat(BODY_BYTES_MAX - 499),
      post('Content-Length: 2'),
    ]);
    expect(seen.statuses).toEqual([413, 200]);
    expect(ran).toEqual(['e ab']);
  });

  test('a far larger announced length ends the connection', async () => {
    const seen = await raw(`POST /e HTTP/1.1\r\nHost: x\r\nContent-Length: ${BODY_BYTES_MAX * 100}\r\n\r\n`);
    expect(seen.statuses).toEqual([413]);
    expect(seen.closed).toBe(true);
  });

  test('chunks that pass the limit are 413', async () => {
    const chunk = `1f4\r\n${'a'.repeat(500)}\r\n`;
    const seen = await raw([post('Transfer-Encoding: chunked', chunk), chunk, chunk]);
    expect(seen.statuses).toEqual([413]);
    expect(seen.closed).toBe(true);
    expect(ran).toEqual([]);
  });

  test('a body that does not come is 408', async () => {
    const seen = await raw(post('Content-Length: 5', 'ab'), { quietMs: 2000 });
    expect(seen.statuses).toEqual([408]);
    expect(seen.closed).toBe(true);
    expect(ran).toEqual([]);
  });

  test('a body that trickles is 408', async () => {
    const seen = await raw([post('Content-Length: 100', 'a'), ...Array.from({ length: 40 }, () => 'a')], { gapMs: 30, quietMs: 500 });
    expect(seen.statuses).toEqual([408]);
    expect(seen.closed).toBe(true);
    expect(ran).toEqual([]);
  });

  test('headers that do not come are closed', async () => {
    const seen = await raw('POST /e HTTP/1.1\r\nHost:', { quietMs: 20_000 });
    expect(seen.statuses).toEqual([]);
    expect(seen.closed).toBe(true);
    expect(ran).toEqual([]);
  }, 25_000);
});

describe('upgrades', () => {
  const upgrade = (version: string, more = '') =>
    `GET /ws HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: ${version}\r\n${more}\r\n`;

  test('version 8 is 426 and names 13', async () => {
    const seen = await raw(upgrade('8'));
    expect(seen.statuses).toEqual([426]);
    expect(seen.text.toLowerCase()).toContain('sec-websocket-version: 13');
    expect(ran).toEqual([]);
  });

  test('a plain GET is 426', async () => {
    expect((await raw('GET /ws HTTP/1.1\r\nHost: x\r\n\r\n')).statuses).toEqual([426]);
  });

  test('an upgrade with two lengths is refused', async () => {
    expect((await raw(upgrade('13', 'Content-Length: 0\r\nContent-Length: 1\r\n'))).statuses).toEqual([400]);
    expect(ran).toEqual([]);
  });

  test('version 13 is upgraded, with the subprotocol that is known', async () => {
    const seen = await raw(upgrade('13', 'Sec-WebSocket-Protocol: b, a\r\n'));
    expect(seen.statuses).toEqual([101]);
    expect(seen.text.toLowerCase()).toContain('sec-websocket-protocol: a\r\n');
    expect(ran).toEqual(['ws']);
  });
});
