import type { HealthResponse } from '../contracts/control.ts';
import type { Event, EventsResponse } from '../contracts/event.ts';
import type { Item, ItemsResponse } from '../contracts/item.ts';
import type { StreamTokenRequest, StreamTokenResponse } from '../contracts/push.ts';
import type { RecommendPageRequest, RecommendPageResponse, RecommendRequest, RecommendResponse } from '../contracts/recommend.ts';
import type { ROUTES } from '../contracts/routes.ts';
import type { ScoreRequest, ScoreResponse } from '../contracts/score.ts';
import { type CallerOptions, type CallOptions, createCaller } from './caller.ts';
import { GatehouseClientError } from './errors.ts';
import { EventQueue, type TrackOptions } from './queue.ts';

/** The HTTP routes of the data plane. Types alone come from the route table, which would bring its schemas into every page; the compiler compares them. */
export const CLIENT_ROUTES = {
  events: ['POST', '/v1/events'],
  items_put: ['PUT', '/v1/items'],
  items_patch: ['PATCH', '/v1/items'],
  items_delete: ['DELETE', '/v1/items'],
  recommend: ['POST', '/v1/recommend'],
  recommend_get: ['GET', '/v1/recommend'],
  recommend_page: ['POST', '/v1/recommend/page'],
  score: ['POST', '/v1/score'],
  stream_token: ['POST', '/v1/stream/tokens'],
  data_health: ['GET', '/healthz'],
} as const satisfies {
  readonly [N in keyof typeof ROUTES as (typeof ROUTES)[N]['plane'] extends 'data' ? (N extends 'stream' ? never : N) : never]: readonly [
    (typeof ROUTES)[N]['method'],
    (typeof ROUTES)[N]['path'],
  ];
};
type ClientRoute = keyof typeof CLIENT_ROUTES;

/** What the gateway takes in one request (EVENTS_PER_BATCH_MAX and ITEMS_PER_BATCH_MAX of the contract; a test compares them). */
export const BATCH_MAX = 1000;
const ID_BYTES = 16;

/** An event as the shop reports it: without an `event_id` it gets one. */
export type NewEvent = Omit<Event, 'event_id'> & { readonly event_id?: string };

export interface ClientOptions extends CallerOptions {
  /** The queue behind `track`. */
  readonly track?: TrackOptions | undefined;
  /** Milliseconds since 1970, for tracked events that name no time. */
  readonly wallClock?: (() => number) | undefined;
  readonly newId?: (() => string) | undefined;
}

/** One gateway as a shop sees it. Every method rejects with GatehouseClientError. */
export interface GatehouseClient {
  /** Sends events, in as many requests as they need; resolves when all of them are durable. After an error, send the same events again: each counts once. */
  events(events: readonly NewEvent[], call?: CallOptions): Promise<EventsResponse>;
  recommend(request: RecommendRequest, call?: CallOptions): Promise<RecommendResponse>;
  /** The same by `GET`. */
  recommendGet(request: Omit<RecommendRequest, 'exclude' | 'filter'>, call?: CallOptions): Promise<RecommendResponse>;
  /** Several placements of one page: no item is in two of them. */
  recommendPage(request: RecommendPageRequest, call?: CallOptions): Promise<RecommendPageResponse>;
  score(request: ScoreRequest, call?: CallOptions): Promise<ScoreResponse>;
  putItems(items: readonly Item[], call?: CallOptions): Promise<ItemsResponse>;
  /** One request of at most 1000 items: all of them change or none. */
  patchItems(items: readonly Item[], call?: CallOptions): Promise<ItemsResponse>;
  deleteItems(itemIds: readonly string[], call?: CallOptions): Promise<ItemsResponse>;
  streamToken(request: StreamTokenRequest, call?: CallOptions): Promise<StreamTokenResponse>;
  health(call?: CallOptions): Promise<HealthResponse>;
  /** Queues an event, to be sent with others in the background; returns its id. */
  track(event: NewEvent): string;
  /** Sends what is queued. Rejects when the gateway cannot take it now; the rest then stays queued and is tried again by itself. */
  flush(call?: CallOptions): Promise<void>;
  /** Sends what is queued, or drops and reports it; `track` takes nothing more. */
  close(call?: CallOptions): Promise<void>;
}

/** A client of one gateway with one key. Nothing is sent before a method is called. */
export function createClient(options: ClientOptions): GatehouseClient {
  const call = createCaller(options);
  const newId = options.newId ?? randomId;
  const wallClock = options.wallClock ?? Date.now;
  const named = (event: NewEvent): Event => ({ ...event, event_id: event.event_id ?? newId() });
  const post = <T>(route: ClientRoute, body: unknown, options: CallOptions = {}): Promise<T> => {
    const [method, path] = CLIENT_ROUTES[route];
    return call<T>(method, path, body, options);
  };
  const queue = new EventQueue((events, options) => post('events', { events }, options), options.random ?? Math.random, options.track ?? {});

  return {
    async events(events, options) {
      const total = { accepted: 0, duplicates: 0 };
      await inBatches(events.map(named), async (batch) => {
        const { accepted, duplicates } = await post<EventsResponse>('events', { events: batch }, options);
        total.accepted += accepted;
        total.duplicates += duplicates;
      });
      return total;
    },
    recommend: (request, options) => post('recommend', request, options),
    recommendGet(request, options) {
      const [method, path] = CLIENT_ROUTES.recommend_get;
      const query = new URLSearchParams();
      for (const [name, value] of Object.entries(request)) if (value !== undefined) query.set(name, String(value));
      return call(method, query.size === 0 ? path : `${path}?${query}`, undefined, options);
    },
    recommendPage: (request, options) => post('recommend_page', request, options),
    score: (request, options) => post('score', request, options),
    putItems: (items, options) => changed(items, (batch) => post('items_put', { items: batch }, options)),
    patchItems: (items, options) => post('items_patch', { items }, options),
    deleteItems: (itemIds, options) => changed(itemIds, (batch) => post('items_delete', { item_ids: batch }, options)),
    streamToken: (request, options) => post('stream_token', request, options),
    health: (options) => post('data_health', undefined, options),
    track(event) {
      const tracked = { timestamp_ms: wallClock(), ...named(event) };
      queue.push(tracked);
      return tracked.event_id;
    },
    flush: (options) => queue.flush(options),
    close: (options) => queue.close(options),
  };
}

async function changed<T>(values: readonly T[], send: (batch: readonly T[]) => Promise<ItemsResponse>): Promise<ItemsResponse> {
  let total = 0;
  await inBatches(values, async (batch) => {
    total += (await send(batch)).changed;
  });
  return { changed: total };
}

/** Sends in batches, one after the other, so that their order stands. A batch of too many bytes is halved. */
async function inBatches<T>(values: readonly T[], send: (batch: readonly T[]) => Promise<void>, batchMax = BATCH_MAX): Promise<void> {
  for (let i = 0; i < values.length; i += batchMax) {
    const batch = values.slice(i, i + batchMax);
    try {
      await send(batch);
    } catch (error) {
      if (!(error instanceof GatehouseClientError) || error.code !== 'body_too_large' || batch.length === 1) throw error;
      await inBatches(batch, send, batch.length >> 1);
    }
  }
}

/** 128 random bits. Not `crypto.randomUUID`, which pages without TLS lack. */
function randomId(): string {
  const bytes = globalThis.crypto.getRandomValues(new Uint8Array(ID_BYTES));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('');
}
