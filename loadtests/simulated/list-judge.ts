import { Handles } from '../../contracts/handles.ts';
import type { Item } from '../../contracts/item.ts';
import type { Placement } from '../../contracts/placement.ts';
import { drawOf } from '../../scoring/recommend/explore/draw.ts';
import { Trending } from '../../scoring/recommend/trending.ts';
import type { Shop } from '../../simulator/index.ts';
import type { Crowd, ListGiven } from './crowd.ts';
import { type ItemWant, ListLedger, meanWant } from './list-ledger.ts';
import { DAY_MS, HOUR_MS, WEEK_MS } from './options.ts';

/** What each list of one course of the shop was worth. */
export class Judge {
  clicks = 0;
  readonly ledger = new ListLedger();
  readonly #shop: Shop;
  readonly #placements: ReadonlyMap<string, Placement>;
  readonly #fromMs: number;
  readonly #handles = new Handles();
  readonly #trending = new Trending(this.#handles);
  readonly #offered: Item[] = [];
  readonly #visits = new Map<string, Set<string>>();
  /** When each user bought an item last. */
  readonly #bought = new Map<string, Map<string, number>>();

  constructor(shop: Shop, placements: readonly Placement[], fromMs: number) {
    this.#shop = shop;
    this.#placements = new Map(placements.map((placement) => [placement.id, placement]));
    this.#fromMs = fromMs;
  }

  offered(items: readonly Item[]): void {
    this.#offered.push(...items);
    for (const { item_id } of items) this.#handles.intern(item_id);
  }

  happened(event: Parameters<Crowd['happened']>[0]): void {
    this.#trending.add(event);
    if (event.name === 'select_item' && event.recommendation_id !== undefined) this.clicks++;
    if (event.user_id === undefined) return;
    if (event.session_id !== undefined) this.#sessionsOf(event.user_id).add(event.session_id);
    if (event.name === 'purchase') for (const { item_id } of event.items ?? []) this.#boughtBy(event.user_id).set(item_id, event.timestamp_ms);
  }

  given({ ask: { placement, userId, sessionId, itemId }, itemIds, atMs, recommendationId }: ListGiven): void {
    if (userId === undefined) return;
    const { startMs } = this.#shop.settings;
    const bought = this.#boughtBy(userId);
    const boughtSinceMs = atMs - this.#placements.get(placement)!.suppress_purchased_days * DAY_MS;
    const wants = new Map<string, ItemWant>();
    for (const { item_id, stock, created_ms = 0 } of this.#offered) {
      // What the placement would never show is no part of the best list, nor of any other.
      if (item_id === itemId || stock === 0 || (bought.get(item_id) ?? Number.NEGATIVE_INFINITY) >= boughtSinceMs) continue;
      const ageHours = created_ms > startMs ? (atMs - created_ms) / HOUR_MS : undefined;
      wants.set(item_id, { id: item_id, want: this.#shop.affinity(userId, item_id, atMs), ageHours });
    }
    const all = [...wants.values()];
    const known = (ids: readonly string[]): ItemWant[] => ids.flatMap((id) => wants.get(id) ?? []);
    const draw = drawOf(recommendationId);
    const random = Array.from({ length: itemIds.length }, () => all[draw.int(all.length)]!);
    const shown = known(itemIds);
    const oracle = all.sort((a, b) => b.want - a.want).slice(0, itemIds.length);
    const found = (items: readonly ItemWant[]): number => {
      const looks = this.#shop.examination(
        userId,
        items.map(({ id }) => id),
        atMs,
      );
      return items.reduce((sum, { want }, place) => sum + looks[place]! * want, 0);
    };
    const popular = known(Array.from(this.#trending.top(atMs), (handle) => this.#handles.idOf(handle))).slice(0, itemIds.length);
    this.ledger.add({
      week: Math.floor((atMs - this.#fromMs) / WEEK_MS),
      earlierVisits: [...this.#sessionsOf(userId)].filter((session) => session !== sessionId).length,
      shown,
      oracle,
      found: found(shown),
      foundBest: found(oracle),
      popularWant: meanWant(popular),
      foundPopular: found(popular),
      randomWant: meanWant(random),
    });
  }

  #boughtBy(userId: string): Map<string, number> {
    let items = this.#bought.get(userId);
    if (items === undefined) {
      items = new Map();
      this.#bought.set(userId, items);
    }
    return items;
  }

  #sessionsOf(userId: string): Set<string> {
    let sessions = this.#visits.get(userId);
    if (sessions === undefined) {
      sessions = new Set();
      this.#visits.set(userId, sessions);
    }
    return sessions;
  }
}
