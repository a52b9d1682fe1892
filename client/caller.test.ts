import { getEventListeners } from 'node:events';
import { createServer, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, describe, expect, test } from 'vitest';
import { GatehouseError } from '../contracts/errors.ts';
import { sleep } from './backoff.ts';
import { type CallerOptions, createCaller, type Fetch } from './caller.ts';
import { GatehouseClientError } from './errors.ts';

const problem = (status: number, code: 'overloaded' | 'draining' | 'internal' | 'store_full', headers: Record<string, string> = {}): Response =>
  new Response(JSON.stringify(new GatehouseError(code, 'as the test says').toProblem('req-7')), {
    status,
    headers: { 'content-type': 'application/problem+json', ...headers },
  });
const ok = (): Response => new Response('{"done":true}', { headers: { 'content-type': 'application/json' } });

/** Answers one after the other (the last one for ever), and what was waited between them on a clock that the waiting moves. */
function scripted(answers: readonly (() => Response | Promise<Response>)[], options: Partial<CallerOptions> = {}) {
  const waits: number[] = [];
  let calls = 0;
  let clockMs = 0;
  const fetch: Fetch = async (_url, init) => {
    init.signal?.throwIfAborted();
    return (answers[calls++] ?? answers.at(-1)!)();
  };
  const call = createCaller({
    baseUrl: 'http://gatehouse.test',
    key: 'k',
    fetch,
    random: () => 0.5,
    now: () => clockMs,
    sleep: async (ms) => {
      waits.push(ms);
      clockMs += ms;
    },
    ...options,
  });
  return { call: () => call<{ done: boolean }>('POST', '/v1/score', {}), waits, calls: () => calls };
}

const refuse = (): never => {
  throw new TypeError('fetch failed');
};

describe('retries', () => {
  test('what passes is tried again, after growing waits with jitter', async () => {
    const { call, waits } = scripted([refuse, () => problem(503, 'draining'), refuse, ok]);
    expect(await call()).toEqual({ done: true });
    expect(waits).toEqual([100, 150, 250]);
  });

  test("Retry-After comes before the backoff, in seconds or as a date by the sender's clock", async () => {
    const date = { date: 'Tue, 25 Nov 2025 12:00:00 GMT', 'retry-after': 'Tue, 25 Nov 2025 12:00:02 GMT' };
    const { call, waits } = scripted([() => problem(503, 'overloaded', { 'retry-after': '1' }), () => problem(503, 'overloaded', date), ok]);
    await call();
    expect(waits).toEqual([1100, 2150]);
  });

  test('they end: the last error is told with the request id', async () => {
    const { call, calls } = scripted([() => problem(503, 'overloaded')], { retriesMax: 2 });
    await expect(call()).rejects.toMatchObject({ code: 'overloaded', status: 503, requestId: 'req-7', isTransient: true });
    expect(calls()).toBe(3);
  });

  test.each(['internal', 'store_full'] as const)('%s does not pass by itself: one try', async (code) => {
    const { call, calls } = scripted([() => problem(code === 'internal' ? 500 : 507, code)]);
    await expect(call()).rejects.toMatchObject({ code });
    expect(calls()).toBe(1);
  });

  test('a wait beyond the deadline is not begun', async () => {
    const { call, waits } = scripted([() => problem(503, 'overloaded', { 'retry-after': '60' })], { timeoutMs: 5_000 });
    await expect(call()).rejects.toMatchObject({ code: 'overloaded', retryAfterMs: 60_000 });
    expect(waits).toEqual([]);
  });
});

describe('answers that are none of a gateway', () => {
  test.each([
    ['a page of a proxy', () => new Response('<h1>Bad gateway</h1>', { status: 502, headers: { 'content-type': 'text/html' } }), 502, true],
    ['a code that this client does not know', () => new Response('{"code":"made_up","detail":"x"}', { status: 418 }), 418, false],
    ['half an answer', () => new Response('{"done":', { headers: { 'content-type': 'application/json' } }), 200, false],
    ['a page with status 200', () => new Response('<h1>Sign in</h1>', { headers: { 'content-type': 'text/html' } }), 200, false],
  ])('%s', async (_name, answer, status, isTransient) => {
    const { call } = scripted([answer], { retriesMax: 0 });
    await expect(call()).rejects.toMatchObject({ code: 'unexpected_answer', status, isTransient });
  });
});

describe('over a real socket', () => {
  let server: Server | undefined;
  afterEach(async () => {
    server?.closeAllConnections();
    await new Promise((resolve) => (server === undefined ? resolve(undefined) : server.close(resolve)));
    server = undefined;
  });

  async function serve(answer: (response: ServerResponse) => void): Promise<string> {
    server = createServer((request, response) => {
      request.resume();
      answer(response);
    });
    await new Promise<void>((resolve) => server!.listen(0, '127.0.0.1', resolve));
    return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  }

  test('no answer: the deadline ends the call', async () => {
    const call = createCaller({ baseUrl: await serve(() => {}), key: 'k', timeoutMs: 50 });
    await expect(call('GET', '/healthz', undefined)).rejects.toMatchObject({ code: 'timeout', status: 0, isTransient: true });
  });

  test('an answer that never ends: the deadline ends the call', async () => {
    const baseUrl = await serve((response) => response.writeHead(200, { 'content-type': 'application/json' }).write('{'));
    const call = createCaller({ baseUrl, key: 'k' });
    await expect(call('GET', '/healthz', undefined, { timeoutMs: 50 })).rejects.toMatchObject({ code: 'timeout' });
  });

  test('the caller ends it: while it runs, while it waits, and before it began', async () => {
    let reached = 0;
    const call = createCaller({ baseUrl: await serve(() => reached++), key: 'k' });
    const abort = new AbortController();
    const running = call('GET', '/healthz', undefined, { signal: abort.signal });
    const ended = expect(running).rejects.toMatchObject({ code: 'aborted', isTransient: false });
    await expect.poll(() => reached, { timeout: 20_000 }).toBe(1);
    abort.abort();
    await ended;
    await expect(call('GET', '/healthz', undefined, { signal: abort.signal })).rejects.toMatchObject({ code: 'aborted' });
    expect(reached).toBe(1);

    const whileWaiting = new AbortController();
    const waiting = createCaller({
      baseUrl: 'http://gatehouse.test',
      key: 'k',
      fetch: async () => problem(503, 'overloaded', { 'retry-after': '4' }),
      sleep: (ms, signal) => {
        queueMicrotask(() => whileWaiting.abort());
        return sleep(ms, signal);
      },
    });
    await expect(waiting('GET', '/healthz', undefined, { signal: whileWaiting.signal })).rejects.toMatchObject({ code: 'aborted' });
  });

  test('a signal that outlives many calls keeps nothing of them', async () => {
    const baseUrl = await serve((response) => response.writeHead(200, { 'content-type': 'application/json' }).end('{}'));
    const call = createCaller({ baseUrl, key: 'k' });
    const { signal } = new AbortController();
    for (let n = 0; n < 5; n++) await call('GET', '/healthz', undefined, { signal });
    expect(getEventListeners(signal, 'abort')).toEqual([]);
  });

  test('a dropped connection is tried again on a new one', async () => {
    let answers = 0;
    const baseUrl = await serve((response) => {
      answers++;
      if (answers < 3) response.destroy();
      else response.writeHead(200, { 'content-type': 'application/json' }).end('{"status":"ok"}');
    });
    const call = createCaller({ baseUrl, key: 'k', backoff: { firstMs: 1, maxMs: 2 } });
    expect(await call('POST', '/x', { a: 1 })).toEqual({ status: 'ok' });
    expect(answers).toBe(3);
  });

  test('nobody listens: unreachable, and the cause is kept', async () => {
    const baseUrl = await serve(() => {});
    await new Promise((resolve) => server!.close(resolve));
    const call = createCaller({ baseUrl, key: 'k', retriesMax: 0 });
    const error = await call('GET', '/healthz', undefined).catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(GatehouseClientError);
    expect(error).toMatchObject({ code: 'unreachable', status: 0 });
    expect((error as Error).cause).toBeInstanceOf(TypeError);
  });
});
