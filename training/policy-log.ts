import { GatehouseError } from '../contracts/errors.ts';
import type { EventName, TimedEvent } from '../contracts/event.ts';
import { EXAMINED_MIN, type Examined } from '../contracts/examined.ts';
import type { ExplorationLog } from '../contracts/exploration.ts';
import type { Fact } from '../contracts/fact.ts';
import { NO_HANDLE } from '../contracts/handles.ts';
import { ATTRIBUTION_MS } from '../contracts/recommend.ts';
import { Catalogue } from '../scoring/recommend/catalogue.ts';
import { ClickCounts } from '../scoring/recommend/explore/click-counts.ts';
import { loggedChances, type RankedCandidates, slateChances } from '../scoring/recommend/explore/slate.ts';
import type { Placement } from '../scoring/recommend/placements.ts';
import { requireData } from './learners/contract.ts';

const DAY_MS = 86_400_000;
/** Each holds its pool and the chances of its places, some ten kilobytes. */
const DECISIONS_MAX = 50_000;

/** What a shown item is to bring. Revenue is that of the item itself. */
export const POLICY_REWARDS = ['click', 'basket', 'purchase', 'revenue'] as const;
export type PolicyReward = (typeof POLICY_REWARDS)[number];
const EVENT_OF: Readonly<Record<PolicyReward, EventName>> = {
  click: 'select_item',
  basket: 'add_to_cart',
  purchase: 'purchase',
  revenue: 'purchase',
};

/** What a reward model knows of an item of a pool; the place comes before them. */
export const POOL_FEATURES = ['score', 'rank', 'age_days', 'click_rate', 'views'] as const;

/** One recommendation of which the chances are known. */
export interface Decision {
  readonly visitor: string;
  /** Position in the pool of what was shown at each place; -1 for what no pool has. */
  readonly shown: Int16Array;
  readonly propensities: readonly number[];
  readonly rewards: Float64Array;
  /** POOL_FEATURES of each item of the pool, row-major. */
  readonly features: Float32Array;
  /** Chances of the pool's items at each place under the policy in question. */
  readonly chances: readonly Float64Array[];
  /** Share of those chances on what the log could have shown there. */
  readonly supported: number;
  /** By shown place: how often its item would be looked at under the policy in question, wherever it stands, over how often under the log's. Undefined without a curve. */
  readonly lookWeights: Float64Array | undefined;
}

/** How often the places of the placement are looked at. */
export interface PolicyCurves {
  /** By which a bundle counted views, so that beliefs are those that it had; of a bundle that is gone nothing is known. */
  of(bundle: string | null): Examined;
  /** By place: the newest that was learned. A page is looked down as it is, whichever bundle fills it. */
  readonly newest: readonly number[] | undefined;
}

export interface PolicyLogOptions {
  /** The placement as it would be. */
  readonly placement: Placement;
  readonly reward: PolicyReward;
  readonly fromMs: number;
  readonly untilMs: number;
  /** Absent: nothing is known of places, and each view counts whole. */
  readonly curves?: PolicyCurves;
}

/**
 * Reads the journal's recommendations of a placement with their chances, what became of them, and what another form of the placement would have shown
 * from the same pool. Facts come in the journal's order.
 */
export class PolicyLog {
  readonly decisions: Decision[] = [];
  /** Recommendations of the placement that say nothing of chance, and tell nothing of another policy. */
  certain = 0;
  readonly #options: PolicyLogOptions;
  readonly #catalogue = new Catalogue();
  readonly #clicks: ClickCounts;
  readonly #byAnswer = new Map<string, Decision>();
  /** Where an item was shown last to a visitor. */
  readonly #lastShown = new Map<string, { readonly decision: Decision; readonly place: number; readonly atMs: number }>();
  readonly #placesOf = new WeakMap<Decision, ReadonlyMap<string, number>>();

  constructor(options: PolicyLogOptions) {
    this.#options = options;
    this.#clicks = new ClickCounts([options.placement.id]);
  }

  take(fact: Fact): void {
    if (fact.kind === 'item_put') this.#catalogue.put(fact.item);
    else if (fact.kind === 'item_delete') this.#catalogue.delete(fact.item_id);
    else if (fact.kind === 'recommendation') this.#show(fact);
    else if (fact.kind === 'event') {
      this.#clicks.add(fact.event);
      this.#reward(fact.event, fact.at_ms);
    }
  }

  #show({ request, response, at_ms, exploration }: Extract<Fact, { kind: 'recommendation' }>): void {
    const { placement, fromMs, untilMs, curves } = this.#options;
    if (response.placement !== placement.id || at_ms < fromMs || at_ms >= untilMs) return;
    if (exploration === undefined) {
      this.certain++;
      return;
    }
    if (this.decisions.length >= DECISIONS_MAX)
      throw new GatehouseError('training_data_too_large', `there are more than ${DECISIONS_MAX} recommendations: take a shorter time`);
    const { items, greedy, propensities } = exploration;
    const ranked = this.#ranked(exploration);
    if (curves) this.#clicks.weigh(curves.of(response.bundle));
    const belief = (itemId: string) => this.#clicks.belief(placement.id, itemId, at_ms);
    const limit = request.limit ?? placement.limit;
    const chances = slateChances(ranked, { placement, limit, nowMs: at_ms, seed: `${response.recommendation_id} in question`, belief });
    const position = new Map(items.map((id, n) => [id, n]));
    const shown = response.items.slice(0, greedy.length).map(({ item_id }) => item_id);
    const places = Int16Array.from(shown, (id) => position.get(id) ?? -1);
    const logged = curves?.newest && loggedChances(ranked, exploration, { placement, shown: places, seed: response.recommendation_id });
    const visitor = request.user_id ?? request.session_id ?? response.recommendation_id;
    const decision: Decision = {
      visitor,
      shown: places,
      propensities,
      rewards: new Float64Array(shown.length),
      features: this.#features(exploration, at_ms),
      chances,
      supported: supportOf(exploration, chances),
      lookWeights: curves?.newest && lookWeightsOf(places, propensities, chances, logged, curves.newest),
    };
    this.decisions.push(decision);
    this.#byAnswer.set(response.recommendation_id, decision);
    this.#placesOf.set(decision, new Map(shown.map((id, place) => [id, place])));
    for (const [place, id] of shown.entries()) this.#lastShown.set(`${visitor} ${id}`, { decision, place, atMs: at_ms });
  }

  #ranked({ items, scores, floor, appeal_weight }: ExplorationLog): RankedCandidates {
    return {
      appealWeight: appeal_weight,
      order: Int32Array.from(items, (_, n) => n),
      id: (n) => items[n]!,
      scores,
      floor,
      item: (n) => this.#catalogue.get(items[n]!),
      // The log does not say who proposed what: shares of a source are judged as if nobody had.
      isFrom: () => false,
      category: (n) => {
        const handle = this.#catalogue.handles.find(items[n]!);
        return handle === NO_HANDLE ? -1 : this.#catalogue.category(handle);
      },
      createdMs: (n) => this.#catalogue.get(items[n]!)?.created_ms ?? 0,
    };
  }

  #features({ items, scores }: ExplorationLog, atMs: number): Float32Array {
    const best = Math.max(...scores);
    return Float32Array.from(
      items.flatMap((id, n) => {
        const { a, b } = this.#clicks.belief(this.#options.placement.id, id, atMs);
        const created = this.#catalogue.get(id)?.created_ms;
        return [scores[n]! - best, n, created === undefined ? Number.NaN : (atMs - created) / DAY_MS, a / (a + b), a + b];
      }),
    );
  }

  #reward(event: TimedEvent, atMs: number): void {
    const { reward } = this.#options;
    if (event.name !== EVENT_OF[reward]) return;
    for (const { item_id, price = 0, quantity = 1 } of event.items ?? []) {
      const found = this.#credited(event, item_id, atMs);
      if (found === undefined) continue;
      const { rewards } = found.decision;
      // The same act again adds revenue, and is no second click.
      rewards[found.place] = reward === 'revenue' ? rewards[found.place]! + price * quantity : 1;
    }
  }

  #credited(event: TimedEvent, itemId: string, atMs: number): { readonly decision: Decision; readonly place: number } | undefined {
    if (event.recommendation_id !== undefined) {
      const decision = this.#byAnswer.get(event.recommendation_id);
      const place = decision && this.#placesOf.get(decision)?.get(itemId);
      return decision === undefined || place === undefined ? undefined : { decision, place };
    }
    if (event.placement !== undefined && event.placement !== this.#options.placement.id) return undefined;
    const visitor = event.user_id ?? event.session_id;
    const shown = visitor === undefined ? undefined : this.#lastShown.get(`${visitor} ${itemId}`);
    return shown !== undefined && atMs - shown.atMs <= ATTRIBUTION_MS ? shown : undefined;
  }

  /** Throws `training_data_insufficient` where nothing was left to chance. */
  require(): readonly Decision[] {
    const hint = 'let the placement explore first';
    requireData(this.decisions.length > 0, `none of ${this.certain} recommendations of ${this.#options.placement.id} has propensities: ${hint}`);
    return this.decisions;
  }
}

/**
 * Where the log's chances at all places are not known, those of the shown place stand in: an item that is wanted as often at its own place is looked at
 * as often there, so that the mean stays the same and only its spread is larger.
 */
function lookWeightsOf(
  shown: Int16Array,
  propensities: readonly number[],
  wanted: readonly Float64Array[],
  logged: readonly Float64Array[] | undefined,
  examined: readonly number[],
): Float64Array {
  const looks = (rows: readonly Float64Array[], position: number): number =>
    rows.reduce((sum, row, place) => sum + Math.max(EXAMINED_MIN, examined[Math.min(place, examined.length - 1)]!) * row[position]!, 0);
  return Float64Array.from(shown, (position, place) => {
    if (position < 0) return 0;
    return logged ? looks(wanted, position) / looks(logged, position) : (wanted[place]?.[position] ?? 0) / propensities[place]!;
  });
}

/** What the log could have shown: at an open place all that stands at no other for certain, elsewhere what stood there. */
function supportOf({ policy, items, greedy, open }: ExplorationLog, chances: readonly Float64Array[]): number {
  const explores = policy.policy === 'thompson' || policy.epsilon > 0;
  const isOpen = new Set(explores ? open : []);
  const fixed = new Set(greedy.filter((_, place) => !isOpen.has(place)));
  let supported = 0;
  let all = 0;
  for (const [place, row] of chances.entries()) {
    for (let n = 0; n < items.length; n++) {
      all += row[n]!;
      if (isOpen.has(place) ? !fixed.has(n) : greedy[place] === n) supported += row[n]!;
    }
  }
  return all > 0 ? supported / all : 1;
}
