import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { WebSocket } from 'ws';
import { CLOSE, type CloseReason } from '../contracts/errors.ts';
import type { Alert, ClientFrame, Position, ServerFrame } from '../contracts/push.ts';
import {
  type AlertStream,
  type AlertStreamOptions,
  openAlertStream,
  type StreamDetail,
  type StreamSocket,
  type StreamState,
} from './alert-stream.ts';
import { createClient } from './client.ts';
import { openWire, startTestGateway, type TestGateway, type Wire } from './gateway.suite.ts';

/** Waits for a condition, as long as the slowest machine may take. */
const until = (assertion: () => void): Promise<void> => vi.waitFor(assertion, { timeout: 20_000, interval: 10 });

function alertOf(id: string): Alert {
  return { alert_id: id, kind: 'system', severity: 'low', at_ms: 0, title: id };
}

describe('against a gateway that the test plays', () => {
  class FakeSocket implements StreamSocket {
    onopen: (() => void) | null = null;
    onmessage: ((event: { data: unknown }) => void) | null = null;
    onclose: ((event: { code: number }) => void) | null = null;
    onerror: (() => void) | null = null;
    readonly sent: ClientFrame[] = [];
    closed = false;
    constructor() {
      sockets.push(this);
    }
    send(data: string): void {
      this.sent.push(JSON.parse(data));
    }
    close(): void {
      this.closed = true;
    }
    take(frame: ServerFrame): void {
      this.onmessage?.({ data: JSON.stringify(frame) });
    }
    /** The gateway lets the client in and starts it at `offset`. */
    accept(offset: number, recovered = true, epoch = 'e'): void {
      this.onopen?.();
      this.take({ type: 'ready', connection: 'c' });
      this.take({ type: 'subscribed', channel: 'alerts', offset, epoch, recovered });
    }
    push(offset: number, epoch = 'e'): void {
      this.take({ type: 'push', channel: 'alerts', offset, epoch, data: alertOf(`a${offset}`) });
    }
  }

  let sockets: FakeSocket[] = [];
  let seen: string[] = [];
  let streams: AlertStream[] = [];
  beforeEach(() => {
    vi.useFakeTimers();
    sockets = [];
    seen = [];
    streams = [];
  });
  afterEach(() => {
    for (const stream of streams) stream.close();
    expect(vi.getTimerCount()).toBe(0);
    vi.useRealTimers();
  });

  function open(options: Partial<AlertStreamOptions> = {}): AlertStream {
    const stream = openAlertStream({
      url: 'ws://gatehouse.test/v1/stream',
      token: 't',
      WebSocket: FakeSocket,
      random: () => 0.5,
      now: () => Date.now(),
      onState: (state, { gap, code }) =>
        seen.push([state, ...(gap ? [`${gap.after.offset}..${gap.resumedAt.offset}`] : []), ...(code ? [code] : [])].join(' ')),
      onAlert: (alert, { offset }) => seen.push(`${offset}:${alert.alert_id}`),
      onError: (error) => seen.push(String(error)),
      ...options,
    });
    streams.push(stream);
    return stream;
  }

  test('authenticates in the first frame, subscribes from its position, and shows each alert once', () => {
    const stream = open({ after: { offset: 5, epoch: 'e' } });
    sockets[0]!.accept(5);
    expect(sockets[0]!.sent).toEqual([
      { type: 'auth', token: 't' },
      { type: 'subscribe', channel: 'alerts', after: { offset: 5, epoch: 'e' } },
    ]);
    for (const offset of [6, 7, 7, 6, 8]) sockets[0]!.push(offset);
    expect(seen).toEqual(['connecting', 'live', '6:a6', '7:a7', '8:a8']);
    expect(stream.position).toEqual({ offset: 8, epoch: 'e' });
  });

  test('reconnects with growing waits from behind the last alert, however often the connection is lost', async () => {
    open();
    sockets[0]!.accept(5);
    sockets[0]!.push(6);
    sockets[0]!.onclose?.({ code: 1006 });
    expect(seen.at(-1)).toBe('waiting 1006');
    await vi.advanceTimersByTimeAsync(499);
    expect(sockets).toHaveLength(1);
    await vi.advanceTimersByTimeAsync(1);
    sockets[1]!.accept(6);
    expect(sockets[1]!.sent[1]).toMatchObject({ after: { offset: 6, epoch: 'e' } });
    for (let lost = 1; lost <= 8; lost++) {
      sockets.at(-1)!.onclose?.({ code: 1006 });
      await vi.advanceTimersByTimeAsync(5_250);
      expect(sockets).toHaveLength(2 + lost);
    }
    // The longest wait is 10 s x 0.5 + 0.25 s. A connection that held starts the waits anew.
    sockets.at(-1)!.accept(6);
    await vi.advanceTimersByTimeAsync(5_000);
    sockets.at(-1)!.onclose?.({ code: 1006 });
    await vi.advanceTimersByTimeAsync(500);
    expect(sockets).toHaveLength(11);
  });

  test('a gap is told, and the stream goes on from where the gateway stands', () => {
    open({ after: { offset: 5, epoch: 'e' } });
    sockets[0]!.accept(2, false, 'f');
    sockets[0]!.push(2, 'f');
    sockets[0]!.push(3, 'f');
    expect(seen.slice(1)).toEqual(['live 5..2', '3:a3']);
  });

  test('without a position nothing is missed: no gap, whatever the gateway says', () => {
    open();
    sockets[0]!.accept(40, false);
    sockets[0]!.push(41);
    expect(seen).toEqual(['connecting', 'live', '41:a41']);
  });

  test.each([
    ['an offset', 8, 'e'],
    ['an epoch', 7, 'f'],
  ])('%s that cannot follow is not shown: the connection is given up, and recovered', async (_what, offset, epoch) => {
    open({ after: { offset: 5, epoch: 'e' } });
    sockets[0]!.accept(5);
    sockets[0]!.push(6);
    sockets[0]!.push(offset, epoch);
    sockets[0]!.push(9);
    expect(seen.slice(2)).toEqual(['6:a6', 'waiting 1006']);
    expect(sockets[0]!.closed).toBe(true);
    await vi.advanceTimersByTimeAsync(1_000);
    sockets[1]!.accept(6);
    expect(sockets[1]!.sent[1]).toMatchObject({ after: { offset: 6, epoch: 'e' } });
  });

  test('what is no frame is told, and the connection recovered', async () => {
    open();
    sockets[0]!.onmessage?.({ data: '{"type":' });
    expect(seen[1]).toContain('SyntaxError');
    await vi.advanceTimersByTimeAsync(1_000);
    expect(sockets).toHaveLength(2);
  });

  test('a silent connection is given up at once, without waiting for its close', async () => {
    open();
    sockets[0]!.accept(1);
    await vi.advanceTimersByTimeAsync(15_000);
    expect(sockets[0]!.sent.at(-1)).toEqual({ type: 'ping' });
    sockets[0]!.take({ type: 'pong' });
    await vi.advanceTimersByTimeAsync(30_000);
    expect(seen).toEqual(['connecting', 'live']);
    await vi.advanceTimersByTimeAsync(15_000);
    expect(seen).toEqual(['connecting', 'live', 'waiting 1006']);
    await vi.advanceTimersByTimeAsync(1_000);
    expect(sockets).toHaveLength(2);
  });

  test('an onAlert that throws is told and does not stop the stream', () => {
    open({
      onAlert: () => {
        throw new Error('the desk is full');
      },
    });
    sockets[0]!.accept(1);
    sockets[0]!.push(2);
    sockets[0]!.push(3);
    expect(seen.slice(2)).toEqual(['Error: the desk is full', 'Error: the desk is full']);
  });

  test('no token to be had: told and tried again; after close, nothing', async () => {
    let asked = 0;
    const stream = open({
      token: async () => {
        asked++;
        throw new Error('no token');
      },
    });
    await vi.advanceTimersByTimeAsync(1_000);
    expect(seen.slice(0, 3)).toEqual(['connecting', 'Error: no token', 'waiting']);
    expect(asked).toBeGreaterThan(1);
    stream.close();
    const until = asked;
    await vi.advanceTimersByTimeAsync(60_000);
    expect(asked).toBe(until);
    expect(sockets).toEqual([]);
    expect(seen.at(-1)).toBe('closed');
  });

  test('closed while its token was on the way: no connection is opened', async () => {
    const stream = open({ token: async () => 't' });
    stream.close();
    await vi.advanceTimersByTimeAsync(1_000);
    expect(sockets).toEqual([]);
    expect(stream.state).toBe('closed');
  });

  test.each(Object.keys(CLOSE) as CloseReason[])('close code of %s: it comes back exactly when that can help', async (reason) => {
    // A fresh token can help against a refused or expired one.
    const renewed = reason === 'unauthenticated' || CLOSE[reason].reconnect;
    open({ token: async () => 'fresh' });
    await vi.advanceTimersByTimeAsync(0);
    sockets[0]!.accept(1);
    sockets[0]!.onclose?.({ code: CLOSE[reason].code });
    await vi.advanceTimersByTimeAsync(2_000);
    expect(sockets).toHaveLength(renewed ? 2 : 1);
    expect(seen).toContain(`${renewed ? 'waiting' : 'closed'} ${CLOSE[reason].code}`);
  });

  test('one fixed token is not offered again when it was refused or has expired', async () => {
    for (const { code } of [CLOSE.unauthenticated, CLOSE.token_expired]) {
      const stream = open();
      sockets.at(-1)!.onclose?.({ code });
      expect(stream.state).toBe('closed');
    }
    await vi.advanceTimersByTimeAsync(60_000);
    expect(sockets).toHaveLength(2);
  });

  test('a gateway that refuses every fresh token is left alone after the third', async () => {
    const stream = open({ token: async () => 'fresh' });
    for (let n = 0; n < 3; n++) {
      await vi.advanceTimersByTimeAsync(11_000);
      sockets.at(-1)!.onclose?.({ code: CLOSE.unauthenticated.code });
    }
    expect(stream.state).toBe('closed');
    expect(sockets).toHaveLength(3);
  });

  test('an address that is none is refused at once', () => {
    expect(() => open({ url: 'http://gatehouse.test' })).toThrow(TypeError);
    expect(() => open({ url: 'somewhere' })).toThrow(TypeError);
  });
});

describe('against a real gateway, over a network that breaks', () => {
  let running: TestGateway;
  let wire: Wire;
  let stream: AlertStream | undefined;
  beforeEach(async () => {
    running = await startTestGateway();
    wire = await openWire(running.gateway.dataPort);
  });
  afterEach(async () => {
    stream?.close();
    await wire.close();
    await running.stop();
  });

  function follow(after?: Position) {
    const ids: string[] = [];
    const states: { readonly state: StreamState; readonly detail: StreamDetail }[] = [];
    const client = createClient({ baseUrl: `http://127.0.0.1:${wire.port}`, key: running.secretKey, retriesMax: 0 });
    stream = openAlertStream({
      url: `ws://127.0.0.1:${wire.port}/v1/stream`,
      token: async () => (await client.streamToken({ channels: ['alerts'] })).token,
      WebSocket,
      onAlert: (alert) => ids.push(alert.alert_id),
      onState: (state, detail) => states.push({ state, detail }),
      after,
      backoff: { firstMs: 20, maxMs: 50 },
    });
    const opened = stream;
    return { ids, states, live: () => until(() => expect(opened.state).toBe('live')), opened };
  }

  const raise = (n: number): Promise<void> => running.gateway.store.raise(alertOf(`r${n}`));
  const numbered = (count: number): string[] => Array.from({ length: count }, (_, n) => `r${n}`);

  test('connections cut in the middle of alerts, again and again: each alert comes once, in order', async () => {
    const { ids, states, live } = follow();
    await live();
    for (let n = 0; n < 60; n++) {
      await raise(n);
      if (n % 7 === 3) wire.cut();
      if (n % 20 === 19) await live();
    }
    await until(() => expect(ids).toHaveLength(60));
    expect(ids).toEqual(numbered(60));
    expect(states.filter(({ state }) => state === 'waiting').length).toBeGreaterThan(1);
    expect(states.some(({ detail }) => detail.gap !== undefined)).toBe(false);
  });

  test('a gateway that restarts: the stream comes back by itself and gets what was raised meanwhile', async () => {
    const { ids, states, live } = follow();
    await live();
    await raise(0);
    await until(() => expect(ids).toEqual(['r0']));
    wire.target = undefined;
    running = await running.restart();
    for (let n = 1; n < 5; n++) await raise(n);
    wire.target = running.gateway.dataPort;
    await until(() => expect(ids).toEqual(numbered(5)));
    expect(states.map(({ detail }) => detail.code)).toContain(CLOSE.going_away.code);
  });

  test('a position of another log: the gap is told, and new alerts follow', async () => {
    await raise(0);
    const after = { offset: 17, epoch: 'of-another-log' };
    const { ids, states, live, opened } = follow(after);
    await live();
    const { epoch } = await running.gateway.store.alertsPosition();
    expect(states.at(-1)).toEqual({ state: 'live', detail: { gap: { after, resumedAt: { offset: 1, epoch } } } });
    await raise(1);
    await until(() => expect(ids).toEqual(['r1']));
    expect(opened.position).toEqual({ offset: 2, epoch });
  });

  test('a kept position: a new stream goes on behind it', async () => {
    for (let n = 0; n < 5; n++) await raise(n);
    const { epoch } = await running.gateway.store.alertsPosition();
    const { ids, live } = follow({ offset: 2, epoch });
    await live();
    await until(() => expect(ids).toEqual(['r2', 'r3', 'r4']));
  });
});
