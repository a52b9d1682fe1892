import { setTimeout as sleep } from 'node:timers/promises';
import { Latencies } from './latencies.ts';
import { StreamClient } from './stream-client.ts';

/** What the runner asks of this process. */
export interface SubscribersJob {
  readonly port: number;
  readonly token: string;
  readonly connections: number;
}

/** `stop` ends the measurement. */
export type SubscribersMessage =
  | { readonly kind: 'subscribed' }
  | { readonly kind: 'report'; readonly report: SubscribersReport }
  | { readonly kind: 'failed'; readonly reason: string };

export interface SubscribersReport {
  readonly deliveries: number;
  /** Alerts that the best-informed connection got; each should have got as many. */
  readonly alerts: number;
  /** Connections that got fewer. */
  readonly behind: number;
  /** Offsets that did not follow the one before. */
  readonly gaps: number;
  readonly lagP50Ms: number;
  readonly lagP95Ms: number;
  readonly lagP99Ms: number;
}

/** Opened a few at a time: a thousand handshakes at once measure the listen queue. */
const OPEN_AT_ONCE = 50;
/** Under the gateway's limit of streams by address; every address of 127.0.0.0/8 is this machine (on Linux). */
const STREAMS_PER_ADDRESS = 900;
const SUBSCRIBE_MS_MAX = 60_000;
const POLL_MS = 20;
/** After the last alert was made, so that what is on its way arrives. */
const SETTLE_MS = 1_000;
/** The head of a push frame is the same in each: `{"type":"push","channel":"alerts","offset":123,`. */
const PUSH_HEAD = Buffer.from('{"type":"push","channel":"alerts","offset":');
const AT = Buffer.from('"at_ms":');
const ZERO = 48;

function numberAt(bytes: Buffer, from: number): number {
  let value = 0;
  for (let i = from; i < bytes.length; i++) {
    const digit = bytes[i]! - ZERO;
    if (digit < 0 || digit > 9) break;
    value = value * 10 + digit;
  }
  return value;
}

async function subscribe({ port, token, connections }: SubscribersJob, tell: (message: SubscribersMessage) => void): Promise<() => Promise<void>> {
  const lag = new Latencies();
  const received = new Uint32Array(connections);
  const last = new Float64Array(connections).fill(-1);
  let subscribed = 0;
  let gaps = 0;
  const open = (i: number): StreamClient => {
    const client: StreamClient = new StreamClient(port, `/v1/stream?token=${token}`, `127.0.0.${1 + Math.floor(i / STREAMS_PER_ADDRESS)}`, {
      text(bytes) {
        if (bytes.compare(PUSH_HEAD, 0, PUSH_HEAD.length, 0, PUSH_HEAD.length) === 0) {
          const offset = numberAt(bytes, PUSH_HEAD.length);
          if (offset !== last[i]! + 1) gaps++;
          last[i] = offset;
          received[i]!++;
          lag.add(Date.now() - numberAt(bytes, bytes.indexOf(AT) + AT.length));
          return;
        }
        const frame = JSON.parse(bytes.toString('utf8')) as { type: string; offset?: number };
        if (frame.type === 'ready') client.send(JSON.stringify({ type: 'subscribe', id: 1, channel: 'alerts' }));
        else if (frame.type === 'subscribed') {
          last[i] = frame.offset ?? 0;
          subscribed++;
        } else tell({ kind: 'failed', reason: `a stream said ${bytes.toString('utf8')}` });
      },
      closed: (reason) => tell({ kind: 'failed', reason: `a stream ended: ${reason}` }),
    });
    return client;
  };
  const clients: StreamClient[] = [];
  const deadlineMs = performance.now() + SUBSCRIBE_MS_MAX;
  while (subscribed < connections) {
    if (performance.now() > deadlineMs) throw new Error(`only ${subscribed} of ${connections} streams were subscribed`);
    for (let n = 0; n < OPEN_AT_ONCE && clients.length < Math.min(connections, subscribed + OPEN_AT_ONCE); n++) clients.push(open(clients.length));
    await sleep(POLL_MS);
  }
  return async () => {
    await sleep(SETTLE_MS);
    const alerts = received.reduce((most, count) => Math.max(most, count), 0);
    tell({
      kind: 'report',
      report: {
        deliveries: lag.count,
        alerts,
        behind: received.filter((count) => count < alerts).length,
        gaps,
        lagP50Ms: lag.quantileMs(0.5),
        lagP95Ms: lag.quantileMs(0.95),
        lagP99Ms: lag.quantileMs(0.99),
      },
    });
    for (const client of clients) client.close();
  };
}

process.once('message', (job) => {
  const tell = (message: SubscribersMessage): void => {
    process.send?.(message);
  };
  const fail = (error: unknown): void => {
    tell({ kind: 'failed', reason: error instanceof Error ? error.message : String(error) });
    process.disconnect();
  };
  subscribe(job as SubscribersJob, tell).then((report) => {
    process.once('message', () => {
      report()
        .then(() => process.disconnect())
        .catch(fail);
    });
    tell({ kind: 'subscribed' });
  }, fail);
});
