import type { GatehouseClient } from '../../client/index.ts';
import type { TimedEvent } from '../../contracts/event.ts';
import type { Item } from '../../contracts/item.ts';
import type { Audience, Shop } from '../../simulator/index.ts';

const BATCH = 1_000;

export type ListAsk = Parameters<Audience['listed']>[0];

/** A list that a page showed. */
export interface ListGiven {
  readonly ask: ListAsk;
  readonly itemIds: readonly string[];
  readonly recommendationId: string;
  readonly atMs: number;
}

export interface CrowdParts {
  readonly shop: Shop;
  readonly client: GatehouseClient;
  /** Before it the shop lists by itself. */
  readonly fromMs: number;
  readonly happened?: (event: TimedEvent) => void;
  readonly given?: (list: ListGiven) => void;
  readonly offered?: (items: readonly Item[]) => void;
  readonly dayEnded?: (atMs: number) => Promise<void>;
}

/** The people of a shop with a gateway's lists before them; the gateway hears of all that they do, and of new items when they are first offered. */
export class Crowd implements Audience {
  nowMs: number;
  readonly #parts: CrowdParts;
  readonly #coming: Item[];
  #waiting: TimedEvent[] = [];

  constructor(parts: CrowdParts) {
    this.#parts = parts;
    this.nowMs = parts.shop.settings.startMs;
    this.#coming = parts.shop.items().sort((a, b) => (a.created_ms ?? 0) - (b.created_ms ?? 0));
  }

  /** Puts the items that are first offered up to this moment: before the next list is asked for, and at the end of each day. */
  async offer(untilMs: number): Promise<void> {
    const fresh: Item[] = [];
    while (this.#coming.length > 0 && (this.#coming[0]!.created_ms ?? 0) <= untilMs) fresh.push(this.#coming.shift()!);
    if (fresh.length === 0) return;
    await this.#parts.client.putItems(fresh);
    this.#parts.offered?.(fresh);
  }

  async happened(event: TimedEvent): Promise<void> {
    this.nowMs = Math.max(this.nowMs, event.timestamp_ms);
    this.#parts.happened?.(event);
    this.#waiting.push(event);
    if (this.#waiting.length >= BATCH) await this.#send();
  }

  listed(ask: ListAsk, atMs: number): ReturnType<Audience['listed']> {
    return atMs < this.#parts.fromMs ? undefined : this.#answer(ask, atMs);
  }

  judged(): undefined {
    return undefined;
  }

  async dayEnded(atMs: number): Promise<void> {
    this.nowMs = atMs;
    await this.offer(atMs);
    await this.#send();
    await this.#parts.dayEnded?.(atMs);
  }

  async #answer(ask: ListAsk, atMs: number): Promise<{ itemIds: string[]; recommendationId: string }> {
    const { placement, userId, sessionId, itemId, limit } = ask;
    this.nowMs = Math.max(this.nowMs, atMs);
    await this.#send();
    await this.offer(this.nowMs);
    const who = { session_id: sessionId, ...(userId === undefined ? {} : { user_id: userId }) };
    const page = itemId === undefined ? {} : { item_id: itemId };
    const { items, recommendation_id: recommendationId } = await this.#parts.client.recommend({ placement, limit, ...who, ...page });
    const itemIds = items.map(({ item_id }) => item_id);
    this.#parts.given?.({ ask, itemIds, recommendationId, atMs });
    return { itemIds, recommendationId };
  }

  async #send(): Promise<void> {
    const events = this.#waiting;
    this.#waiting = [];
    if (events.length > 0) await this.#parts.client.events(events);
  }
}
