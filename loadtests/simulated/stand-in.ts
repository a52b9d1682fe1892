import { Handles } from '../../contracts/handles.ts';
import type { Item } from '../../contracts/item.ts';
import type { Placement } from '../../contracts/placement.ts';
import { ClickCounts } from '../../scoring/recommend/explore/click-counts.ts';
import { chooseSlate, type RankedCandidates } from '../../scoring/recommend/explore/slate.ts';
import { DEFAULT_PLACEMENTS } from '../../scoring/recommend/placements.ts';
import { rankOrder } from '../../scoring/recommend/rank-order.ts';
import { Trending } from '../../scoring/recommend/trending.ts';
import { type Audience, actOut, type Shop } from '../../simulator/index.ts';
import { ARMS } from './arms.ts';
import { Judge } from './list-judge.ts';
import type { ListLedger } from './list-ledger.ts';
import { DAY_MS } from './options.ts';

/** What the logarithms of demand, of appeal, and of the share of the visitor's acts in the category weigh. */
const DEMAND = 0.7;
const APPEAL = 1;
const TASTE = 0.5;
/** Added before the logarithm: what nobody asked for is not worth nothing. */
const DEMAND_MIN = 0.02;
const TASTE_MIN = 0.15;

/** Whether the draw of `thompson` knows what the ranking makes of a click rate, as where a bundle says it, or draws rates alone. */
export type Drawn = 'scores' | 'rates';

/**
 * One course of the shop with the gateway's own counts, slates and draws, and a fixed formula in the ranker's place: demand, appeal and the visitor's
 * categories. No gateway and no training: some hundred times as fast, so that many seeds can be played. What such a ranker makes of a policy's finds it makes
 * at once, where a trained one waits for its week to end.
 */
export async function playStandIn(shop: Shop, arm: string, drawn: Drawn, fromMs: number): Promise<ListLedger> {
  const placements = DEFAULT_PLACEMENTS.map(ARMS[arm]!.placement);
  const crowd = new StandIn(shop, placements, drawn, fromMs);
  await actOut(shop.world, crowd);
  return crowd.judge.ledger;
}

class StandIn implements Audience {
  readonly judge: Judge;
  readonly #shop: Shop;
  readonly #placements: ReadonlyMap<string, Placement>;
  readonly #drawn: Drawn;
  readonly #fromMs: number;
  readonly #handles = new Handles();
  readonly #trending = new Trending(this.#handles);
  readonly #clicks: ClickCounts;
  readonly #coming: Item[];
  /** By handle. */
  readonly #items: Item[] = [];
  readonly #itemOf = new Map<string, Item>();
  /** Acts of each user by category, and when they bought an item last. */
  readonly #tastes = new Map<string, Map<string, number>>();
  readonly #bought = new Map<string, Map<string, number>>();
  #lists = 0;

  constructor(shop: Shop, placements: readonly Placement[], drawn: Drawn, fromMs: number) {
    this.judge = new Judge(shop, placements, fromMs);
    this.#shop = shop;
    this.#placements = new Map(placements.map((placement) => [placement.id, placement]));
    this.#drawn = drawn;
    this.#fromMs = fromMs;
    this.#clicks = new ClickCounts(this.#placements.keys());
    this.#coming = shop.items().sort((a, b) => (a.created_ms ?? 0) - (b.created_ms ?? 0));
  }

  happened(event: Parameters<Audience['happened']>[0]): void {
    this.#offer(event.timestamp_ms);
    this.judge.happened(event);
    this.#trending.add(event);
    this.#clicks.add(event);
    if (event.user_id === undefined || event.name === 'view_item_list') return;
    for (const { item_id } of event.items ?? []) {
      const taste = inner(this.#tastes, event.user_id);
      const category = this.#itemOf.get(item_id)?.category ?? '';
      taste.set(category, (taste.get(category) ?? 0) + 1);
      if (event.name === 'purchase') inner(this.#bought, event.user_id).set(item_id, event.timestamp_ms);
    }
  }

  listed(ask: Parameters<Audience['listed']>[0], atMs: number): ReturnType<Audience['listed']> {
    if (atMs < this.#fromMs) return undefined;
    this.#offer(atMs);
    const placement = this.#placements.get(ask.placement)!;
    const recommendationId = `${this.#shop.settings.seed} ${this.#lists++}`;
    const ranked = this.#ranked(ask, placement, atMs);
    const belief = (itemId: string) => this.#clicks.belief(placement.id, itemId, atMs);
    const { shown } = chooseSlate(ranked, { placement, limit: ask.limit, nowMs: atMs, seed: recommendationId, belief });
    const itemIds = shown.map((position) => ranked.id(position));
    this.judge.given({ ask, itemIds, atMs, recommendationId });
    return Promise.resolve({ itemIds, recommendationId });
  }

  judged(): undefined {
    return undefined;
  }

  dayEnded(): void {}

  /** All that may be shown: the catalogue of such a shop is short. */
  #ranked({ userId, itemId }: Parameters<Audience['listed']>[0], { suppress_purchased_days }: Placement, atMs: number): RankedCandidates {
    const bought = this.#bought.get(userId ?? '');
    const taste = this.#tastes.get(userId ?? '');
    const acts = [...(taste?.values() ?? [])].reduce((sum, count) => sum + count, 0);
    const handles = Int32Array.from(this.#items.keys()).filter((handle) => {
      const { item_id, stock } = this.#items[handle]!;
      return stock !== 0 && item_id !== itemId && !((bought?.get(item_id) ?? 0) >= atMs - suppress_purchased_days * DAY_MS);
    });
    const count = handles.length;
    const scores = new Float64Array(count);
    this.#trending.top(atMs);
    this.#trending.appeal.tell(handles, count, atMs, scores);
    handles.forEach((handle, i) => {
      const demand = Math.log(DEMAND_MIN + this.#trending.score(handle));
      const likes = acts === 0 ? 0 : Math.log(TASTE_MIN + (taste!.get(this.#items[handle]!.category ?? '') ?? 0) / acts);
      scores[i] = DEMAND * demand + APPEAL * Math.log(scores[i]!) + TASTE * likes;
    });
    const order = new Int32Array(count);
    rankOrder(scores, order, (a, b) => handles[a]! - handles[b]!);
    const categories = new Map<string, number>();
    const numberOf = (category: string): number => {
      if (!categories.has(category)) categories.set(category, categories.size);
      return categories.get(category)!;
    };
    return {
      order,
      scores,
      id: (i) => this.#items[handles[i]!]!.item_id,
      floor: count > 0 ? scores[order[count - 1]!]! : 0,
      appealWeight: this.#drawn === 'scores' ? APPEAL : undefined,
      item: (i) => this.#items[handles[i]!],
      isFrom: () => false,
      category: (i) => numberOf(this.#items[handles[i]!]!.category ?? ''),
      createdMs: (i) => this.#items[handles[i]!]!.created_ms ?? 0,
    };
  }

  #offer(untilMs: number): void {
    const fresh: Item[] = [];
    while (this.#coming.length > 0 && (this.#coming[0]!.created_ms ?? 0) <= untilMs) fresh.push(this.#coming.shift()!);
    for (const item of fresh) {
      this.#items[this.#handles.intern(item.item_id)] = item;
      this.#itemOf.set(item.item_id, item);
    }
    this.judge.offered(fresh);
  }
}

function inner<T>(maps: Map<string, Map<string, T>>, key: string): Map<string, T> {
  const known = maps.get(key) ?? new Map<string, T>();
  maps.set(key, known);
  return known;
}
