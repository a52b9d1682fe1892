import type { TimedEvent } from '../contracts/event.ts';
import type { Item } from '../contracts/item.ts';
import { attackPlay } from './attack-plays.ts';
import { type FraudKind, planAttacks } from './attacks.ts';
import { history } from './history.ts';
import { type ShopParams, type ShopSettings, settle } from './params.ts';
import { isEvent, NO_REPLY } from './steps.ts';
import { looksAt } from './visit.ts';
import { itemById, makeWorld, moodAt, utility, type World, wanted } from './world.ts';

export interface FraudTruth {
  readonly isFraud: boolean;
  readonly kind: FraudKind | undefined;
}

/** A campaign as the shop's marketing knows it. */
export interface CampaignFacts {
  readonly id: string;
  readonly categories: readonly string[];
  readonly startMs: number;
  readonly endMs: number;
  readonly discount: number;
}

/** A shop with known truth: the same parameters give the same shop, event for event. */
export interface Shop {
  readonly settings: ShopSettings;
  /** Hidden truth that live traffic is played from; for the simulator's own use. */
  readonly world: World;
  /** Every event of [endMs - days, endMs) in time order. Each iteration plays it anew; memory holds about a day. */
  history(): Iterable<TimedEvent>;
  /** The catalogue, those created within the history included. */
  items(): Item[];
  userIds(): string[];
  campaigns(): CampaignFacts[];
  /** Probability (0..1) that the user wants the item on examining it then: what clicks and baskets are drawn from. 0 for an unknown item. RangeError for an unknown user. */
  affinity(userId: string, itemId: string, atMs: number): number;
  /** The utility behind it: choices among items are a softmax of it. Minus infinity for an unknown item. */
  utility(userId: string, itemId: string, atMs: number): number;
  /** Probability that the user looks at each place of a list of these items: what position bias is made of. */
  examination(userId: string, itemIds: readonly string[], atMs: number): number[];
  /** What a payment of the history truly was. Ids that no attack made are honest. */
  fraudTruth(transactionId: string): FraudTruth;
  /** Hidden cluster of an item, or undefined. */
  itemCluster(itemId: string): number | undefined;
}

const HONEST: FraudTruth = { isFraud: false, kind: undefined };

function plannedFrauds(world: World): Map<string, FraudTruth> {
  const frauds = new Map<string, FraudTruth>();
  for (const attack of planAttacks(world)) {
    const steps = attackPlay(world, attack);
    for (let next = steps.next(NO_REPLY); !next.done; next = steps.next(NO_REPLY)) {
      if (!isEvent(next.value) && next.value.ask === 'pay') frauds.set(next.value.attempt.transaction_id, { isFraud: true, kind: attack.kind });
    }
  }
  return frauds;
}

/** Makes a shop. Throws RangeError on parameters out of range. */
export function createShop(params: ShopParams): Shop {
  const settings = settle(params);
  const world = makeWorld(settings);
  let frauds: Map<string, FraudTruth> | undefined;
  const moodOf = (userId: string, atMs: number) => {
    const person = world.people[Number(userId.slice(1)) - 1];
    if (person?.id !== userId) throw new RangeError(`no user ${userId} in this shop`);
    return moodAt(world, person, atMs);
  };
  const affinity = (userId: string, itemId: string, atMs: number): number => {
    const mood = moodOf(userId, atMs);
    const one = itemById(world, itemId);
    return one === undefined ? 0 : wanted(mood, one);
  };
  return {
    settings,
    world,
    history: () => ({ [Symbol.iterator]: () => history(world) }),
    items: () => world.catalogue.items.map(({ item }) => ({ ...item })),
    userIds: () => world.people.map(({ id }) => id),
    campaigns: () =>
      world.campaigns.map(({ id, categories, startMs, endMs, discount }) => ({
        id,
        categories: categories.map((category) => world.catalogue.categoryNames[category]!),
        startMs,
        endMs,
        discount,
      })),
    affinity,
    utility(userId, itemId, atMs) {
      const mood = moodOf(userId, atMs);
      const one = itemById(world, itemId);
      return one === undefined ? Number.NEGATIVE_INFINITY : utility(mood, one);
    },
    examination: (userId, itemIds, atMs) => looksAt(itemIds.map((id) => affinity(userId, id, atMs))),
    fraudTruth(transactionId) {
      frauds ??= plannedFrauds(world);
      return frauds.get(transactionId) ?? HONEST;
    },
    itemCluster: (itemId) => itemById(world, itemId)?.style,
  };
}
