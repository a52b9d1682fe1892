import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import type { Alert, ClientFrame, ServerFrame } from '../contracts/push.ts';
import { AlertStream, type Socket } from './stream.ts';

class FakeSocket implements Socket {
  onopen: ((event: Event) => void) | null = null;
  onmessage: ((event: MessageEvent) => void) | null = null;
  onclose: ((event: CloseEvent) => void) | null = null;
  readonly sent: ClientFrame[] = [];
  send(data: string): void {
    this.sent.push(JSON.parse(data));
  }
  close(): void {
    this.onclose?.({} as CloseEvent);
  }
  open(): void {
    this.onopen?.({} as Event);
  }
  take(frame: ServerFrame): void {
    this.onmessage?.({ data: JSON.stringify(frame) } as MessageEvent);
  }
}

let sockets: FakeSocket[] = [];
let seen: string[] = [];
beforeEach(() => {
  vi.useFakeTimers();
  sockets = [];
  seen = [];
});
afterEach(() => {
  vi.useRealTimers();
});

function streamOf(fetchToken = async () => ({ token: 't', expires_ms: 0, url: 'ws://x/v1/stream' })): AlertStream {
  return new AlertStream({
    fetchToken,
    openSocket: () => {
      const socket = new FakeSocket();
      sockets.push(socket);
      return socket;
    },
    random: () => 0.5,
    onState: (state) => seen.push(state),
    onAlert: (alert, offset) => seen.push(`${offset}:${alert.alert_id}`),
    onGap: () => seen.push('gap'),
    onError: (error) => seen.push(String(error)),
  });
}

function alertOf(id: string): Alert {
  return { alert_id: id, kind: 'decision', severity: 'low', at_ms: 0, title: id };
}
const push = (offset: number, epoch = 'e'): ServerFrame => ({ type: 'push', channel: 'alerts', offset, epoch, data: alertOf(`a${offset}`) });
const subscribed = (offset: number, recovered = true, epoch = 'e'): ServerFrame => ({
  type: 'subscribed',
  channel: 'alerts',
  offset,
  epoch,
  recovered,
});

async function live(stream: AlertStream): Promise<FakeSocket> {
  stream.start({ offset: 5, epoch: 'e' });
  await vi.advanceTimersByTimeAsync(0);
  const socket = sockets[0]!;
  socket.open();
  socket.take({ type: 'ready', connection: 'c' });
  socket.take(subscribed(5));
  return socket;
}

test('authenticates in the first frame, subscribes from its position, and shows each alert once', async () => {
  const stream = streamOf();
  const socket = await live(stream);
  expect(socket.sent).toEqual([
    { type: 'auth', token: 't' },
    { type: 'subscribe', channel: 'alerts', after: { offset: 5, epoch: 'e' } },
  ]);
  for (const offset of [6, 7, 7, 6, 8]) socket.take(push(offset));
  expect(seen).toEqual(['connecting', 'live', '6:a6', '7:a7', '8:a8']);
  stream.stop();
});

test('reconnects with backoff from the last position seen', async () => {
  const stream = streamOf();
  const socket = await live(stream);
  socket.take(push(6));
  socket.close();
  expect(seen.at(-1)).toBe('waiting');
  await vi.advanceTimersByTimeAsync(400);
  expect(sockets).toHaveLength(1);
  await vi.advanceTimersByTimeAsync(200);
  const second = sockets[1]!;
  second.open();
  second.take({ type: 'ready', connection: 'c' });
  expect(second.sent[1]).toMatchObject({ after: { offset: 6, epoch: 'e' } });
  // Unanswered attempts wait longer and longer, but never for ever.
  for (let attempt = 0; attempt < 8; attempt++) {
    sockets.at(-1)!.close();
    await vi.advanceTimersByTimeAsync(11_000);
  }
  expect(sockets.length).toBe(10);
  stream.stop();
});

test('a gap is told, and the stream goes on from where the gateway stands', async () => {
  const stream = streamOf();
  const socket = await live(stream);
  socket.take(subscribed(2, false, 'f'));
  socket.take(push(2, 'f'));
  socket.take(push(3, 'f'));
  expect(seen.slice(2)).toEqual(['gap', 'live', '3:a3']);
  stream.stop();
});

test('a silent connection is given up', async () => {
  const stream = streamOf();
  const socket = await live(stream);
  await vi.advanceTimersByTimeAsync(15_000);
  expect(socket.sent.at(-1)).toEqual({ type: 'ping' });
  socket.take({ type: 'pong' });
  await vi.advanceTimersByTimeAsync(30_000);
  expect(seen).not.toContain('waiting');
  await vi.advanceTimersByTimeAsync(30_000);
  expect(seen).toContain('waiting');
  stream.stop();
});

test('no token: told and tried again; after stop, nothing', async () => {
  let attempts = 0;
  const stream = streamOf(async () => {
    attempts++;
    throw new Error('down');
  });
  stream.start();
  await vi.advanceTimersByTimeAsync(1000);
  expect(seen.slice(0, 3)).toEqual(['connecting', 'Error: down', 'waiting']);
  expect(attempts).toBeGreaterThan(1);
  stream.stop();
  const until = attempts;
  await vi.advanceTimersByTimeAsync(60_000);
  expect(attempts).toBe(until);
});
