import { CLOSE, type CloseReason } from '../../contracts/errors.ts';
import type { Alert, ServerFrame } from '../../contracts/push.ts';
import type { AlertRecord } from '../../store/contract.ts';
import type { Socket, SocketEvents } from '../transport/socket.ts';
import { createPushHub, type PushHub } from './hub.ts';

/** A peer that reads when the test says so. */
export class FakeSocket implements Socket {
  readonly received: ServerFrame[] = [];
  closedWith: number | undefined;
  terminated = false;
  pings = 0;
  events!: SocketEvents;
  #waiting: string[] = [];
  /** While false, what is sent stays buffered. */
  reading = true;

  send(data: string | Uint8Array): void {
    if (typeof data !== 'string') throw new Error('this peer speaks JSON');
    if (this.reading) this.received.push(JSON.parse(data) as ServerFrame);
    else this.#waiting.push(data);
  }
  batch(sends: () => void): void {
    sends();
  }
  bufferedBytes(): number {
    return this.#waiting.reduce((sum, data) => sum + data.length, 0);
  }
  ping(): void {
    this.pings++;
  }
  end(code: number): void {
    this.closedWith = code;
    this.events.close(code);
  }
  terminate(): void {
    this.terminated = true;
    this.events.close(1006);
  }
  /** The peer reads all that waits. */
  read(): void {
    for (const data of this.#waiting.splice(0)) this.received.push(JSON.parse(data) as ServerFrame);
    this.events.drain();
  }
  say(frame: unknown): void {
    this.events.message(new TextEncoder().encode(JSON.stringify(frame)), false);
  }
  get open(): boolean {
    return this.closedWith === undefined && !this.terminated;
  }
  pushed(): number[] {
    return this.received.flatMap((frame) => (frame.type === 'push' ? [frame.offset] : []));
  }
}

export function alertOf(n: number): Alert {
  return { alert_id: `a${n}`, kind: 'decision', severity: 'high', at_ms: 1_000 + n, title: `alert ${n}` };
}

/** An alerts log in memory whose reads take a while, as a store's do. */
export class FakeLog {
  epoch = 'e1';
  records: AlertRecord[] = [];
  first = 1;
  append(): AlertRecord {
    const record = { offset: this.last + 1, alert: alertOf(this.last + 1) };
    this.records.push(record);
    return record;
  }
  get last(): number {
    return this.first - 1 + this.records.length;
  }
  trim(keep: number): void {
    const gone = Math.max(0, this.records.length - keep);
    this.records = this.records.slice(gone);
    this.first += gone;
  }
  async position() {
    await Promise.resolve();
    return { offset: this.last, epoch: this.epoch, first: this.first };
  }
  async read(after: number, limit: number): Promise<AlertRecord[]> {
    // What is appended while the page is on its way is not in it.
    const page = this.records.filter(({ offset }) => offset > after).slice(0, limit);
    await Promise.resolve();
    await Promise.resolve();
    return page;
  }
}

export interface TestHub {
  readonly hub: PushHub;
  readonly log: FakeLog;
  readonly clock: { nowMs: number };
  readonly closed: CloseReason[];
  readonly errors: unknown[];
  connect(token?: string, ip?: string): FakeSocket;
}

/** Lets every promise that is under way settle. */
export async function settle(): Promise<void> {
  for (let i = 0; i < 50; i++) await Promise.resolve();
}

export function testHub(
  limits: Partial<{ connectionsMax: number; connectionsPerIpMax: number; outboxBytesMax: number; outboxAgeMs: number }> = {},
): TestHub {
  const log = new FakeLog();
  const clock = { nowMs: 1_000_000 };
  const closed: CloseReason[] = [];
  const errors: unknown[] = [];
  const hub = createPushHub({
    authorise: async (token) =>
      token === 'good' ? { channels: ['alerts'], expiresMs: 2_000_000 } : token === 'none' ? { channels: [], expiresMs: 2_000_000 } : undefined,
    log,
    limits: { connectionsMax: 100, connectionsPerIpMax: 50, outboxBytesMax: 10_000, outboxAgeMs: 5_000, ...limits },
    now: () => clock.nowMs,
    hooks: { onDelivered: () => {}, onClosed: (reason) => closed.push(reason), onConnections: () => {}, onError: (error) => errors.push(error) },
  });
  return {
    hub,
    log,
    clock,
    closed,
    errors,
    connect(token, ip = '10.0.0.1') {
      const socket = new FakeSocket();
      socket.events = { message() {}, pong() {}, drain() {}, close() {} };
      socket.events = hub.route.open(socket, { subprotocol: undefined, token, remoteAddress: ip });
      return socket;
    },
  };
}

export const codeOf = (reason: CloseReason): number => CLOSE[reason].code;
