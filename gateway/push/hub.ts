import { randomUUID } from 'node:crypto';
import { type CloseReason, GatehouseError } from '../../contracts/errors.ts';
import { ROUTES } from '../../contracts/routes.ts';
import type { Encoding } from '../../contracts/wire.ts';
import type { AlertRecord } from '../../store/contract.ts';
import type { WsRoute } from '../transport/socket.ts';
import { encodeFrame, encodingOfSubprotocol, SUBPROTOCOLS } from './frames.ts';
import { FRAME_BYTES_MAX, type SessionDeps, type StreamGrant, StreamSession } from './session.ts';
import type { AlertLog } from './subscription.ts';

const TICK_MS = 1000;
/** Groups of connections that a drain closes one after the other, so that their clients do not all come back at once. */
const DRAIN_STEPS = 20;
/** uWebSockets closes without a reason above its limit; the session's own, lower one says why. */
const MESSAGE_BYTES_MAX = FRAME_BYTES_MAX * 2;

export interface PushLimits {
  readonly connectionsMax: number;
  readonly connectionsPerIpMax: number;
  readonly outboxBytesMax: number;
  readonly outboxAgeMs: number;
}

export interface PushOptions {
  /** What the token grants, or undefined when it is not valid. */
  readonly authorise: (token: string) => Promise<StreamGrant | undefined>;
  readonly log: AlertLog;
  readonly limits: PushLimits;
  readonly now: () => number;
  readonly hooks: {
    readonly onDelivered: (lagMs: number) => void;
    readonly onClosed: (reason: CloseReason) => void;
    readonly onConnections: (count: number) => void;
    readonly onError: (error: unknown) => void;
  };
}

export interface PushHub {
  readonly route: WsRoute;
  /** Hands a durable alert to every subscribed session. Call in the order of the log. */
  publish(record: AlertRecord, epoch: string): void;
  connections(): number;
  /** Refuses new connections and closes the open ones over `windowMs` with a code that asks to reconnect. */
  drain(windowMs: number): Promise<void>;
}

/** The stream server: connections, limits, and one serialisation of each alert for all of them. */
export function createPushHub(options: PushOptions): PushHub {
  const { limits, hooks, now } = options;
  const sessions = new Set<StreamSession>();
  const perIp = new Map<string, number>();
  let draining = false;
  let newest: { offset: number; epoch: string | undefined } = { offset: 0, epoch: undefined };
  /** The frames of the record that is being fanned out; a replay of the same record finds them too. */
  let cached: { record: AlertRecord; epoch: string; frames: Partial<Record<Encoding, string | Uint8Array>> } | undefined;

  const deps: SessionDeps = {
    authorise: options.authorise,
    log: options.log,
    limits,
    now,
    newest: () => newest,
    frameOf(record, epoch, encoding) {
      if (cached?.record !== record || cached.epoch !== epoch) cached = { record, epoch, frames: {} };
      const known = cached.frames[encoding];
      if (known !== undefined) return known;
      const frame = encodeFrame({ type: 'push', channel: 'alerts', offset: record.offset, epoch, data: record.alert }, encoding);
      cached.frames[encoding] = frame;
      return frame;
    },
    onDelivered: hooks.onDelivered,
    onClosed: hooks.onClosed,
    onError: hooks.onError,
    onGone(session) {
      if (!sessions.delete(session)) return;
      const left = (perIp.get(session.remoteAddress) ?? 1) - 1;
      if (left > 0) perIp.set(session.remoteAddress, left);
      else perIp.delete(session.remoteAddress);
      hooks.onConnections(sessions.size);
    },
  };

  const timer = setInterval(() => {
    for (const session of sessions) session.tick();
  }, TICK_MS);
  timer.unref();

  const route: WsRoute = {
    path: ROUTES.stream.path,
    subprotocols: Object.values(SUBPROTOCOLS),
    messageBytesMax: MESSAGE_BYTES_MAX,
    admit() {
      return draining ? new GatehouseError('draining', 'connect to another instance') : undefined;
    },
    open(socket, opening) {
      const session = new StreamSession(`c${randomUUID()}`, socket, encodingOfSubprotocol(opening.subprotocol), opening.remoteAddress, deps);
      const sameIp = perIp.get(opening.remoteAddress) ?? 0;
      const full = sessions.size >= limits.connectionsMax || sameIp >= limits.connectionsPerIpMax;
      sessions.add(session);
      perIp.set(opening.remoteAddress, sameIp + 1);
      hooks.onConnections(sessions.size);
      // The limit is told by a close code, which a browser can see; it sees nothing of a refused upgrade.
      if (full) session.end('too_many_connections');
      else if (draining) session.end('going_away');
      else if (opening.token !== undefined) {
        session.authenticate(opening.token).catch((error: unknown) => {
          hooks.onError(error);
          session.end('going_away');
        });
      }
      return session;
    },
  };

  return {
    route,
    publish(record, epoch) {
      newest = { offset: record.offset, epoch };
      for (const session of sessions) session.publish(record, epoch);
    },
    connections: () => sessions.size,
    async drain(windowMs) {
      draining = true;
      const all = [...sessions];
      const step = Math.max(1, Math.ceil(all.length / DRAIN_STEPS));
      for (let i = 0; i < all.length; i += step) {
        for (const session of all.slice(i, i + step)) session.end('going_away');
        if (i + step < all.length) await new Promise((resolve) => setTimeout(resolve, windowMs / DRAIN_STEPS));
      }
      clearInterval(timer);
    },
  };
}
