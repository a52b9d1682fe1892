import type { ItemTruth } from './catalogue.ts';
import { itemsOf, type Line, type Means, payAsk, purchaseOf, totalOf } from './checkout.ts';
import { CURRENCY } from './params.ts';
import { devicesAt, type Person } from './people.ts';
import type { Rng } from './prng.ts';
import { Diary, type Play, type Reply, type Shown, type Step } from './steps.ts';
import { choose, drawFromShelf, itemById, listOf, type Mood, moodAt, priceFor, type World, wanted } from './world.ts';

/** Share of visits that nobody logs in to before the checkout. */
const ANONYMOUS_SHARE = 0.12;
/** Chance to leave after each step of the walk: about 3.3 steps a visit. */
const LEAVE = 0.26;
const STEPS_MAX = 25;
const LIST_ITEMS = 8;
/** A shopper looks at the next position of a list with this probability. */
const LOOK_ON = 0.86;
/** Want of an item on a list that becomes a click, and want on its page that becomes a basket line. */
const CLICK_PER_WANT = 0.75;
const BASKET_PER_WANT = 0.34;
const CHECKOUT_SHARE = 0.62;
/** Candidates among which a direct look is chosen. */
const CHOICE_ITEMS = 10;
/** Issuers decline about this share of honest payments: no funds, limits, typing errors. */
const HONEST_DECLINE = 0.05;
const ATTEMPTS_MAX = 3;
const BASKET_LINES_MAX = 4;

/** When a consumable is due again; one slot per rhythm of the person. */
export interface Habit {
  readonly dueMs: Float64Array;
  /** Index of the item bought each time, or -1 before the first. */
  readonly loyalTo: Int32Array;
}

export function startHabit(person: Person, atMs: number, rng: Rng): Habit {
  const dueMs = Float64Array.from(person.rhythms, ({ periodMs }) => atMs + rng.float() * periodMs);
  return { dueMs, loyalTo: new Int32Array(person.rhythms.length).fill(-1) };
}

/** The first rhythm that is due, or -1. */
export function dueAt(habit: Habit, atMs: number): number {
  return habit.dueMs.findIndex((due) => due <= atMs);
}

/**
 * One visit of a person: pages walked by taste, then perhaps a checkout. Yields what happens and asks for lists and payments;
 * history and live traffic answer differently.
 */
export function* visit(world: World, person: Person, habit: Habit, rng: Rng, startMs: number, firstEver: boolean): Play {
  const mood = moodAt(world, person, startMs);
  const guest = { userId: rng.chance(ANONYMOUS_SHARE) && !firstEver ? undefined : person.id, sessionId: rng.id('s_'), country: person.country };
  const diary = new Diary(guest, startMs);
  const means = meansOf(person, startMs, rng);
  const basket: Line[] = [];
  const due = dueAt(habit, startMs);

  yield diary.event('page_view', mood.campaign && rng.chance(0.6) ? { campaign: mood.campaign.id } : {});
  yield* greet(diary, means, firstEver, rng);
  if (due >= 0 && rng.chance(0.85)) yield* replenish(world, mood, habit, due, diary, basket, rng);
  yield* wander(world, mood, diary, basket, rng);
  if (basket.length === 0) return;
  yield* cart(mood, diary, basket, rng);
  // A replenished basket is bought more often than one filled while looking around.
  if (basket.length > 0 && rng.chance(due >= 0 ? 0.85 : CHECKOUT_SHARE)) yield* checkout(mood, diary, means, basket, habit, world, rng);
}

function meansOf(person: Person, atMs: number, rng: Rng): Means {
  const devices = devicesAt(person, atMs);
  const device = rng.chance(0.65) ? 0 : rng.int(devices.length);
  const method = rng.chance(0.85) ? person.method : rng.pick(['card', 'paypal', 'card', 'gift_card'] as const);
  const card = person.cards[rng.chance(0.85) ? 0 : person.cards.length - 1]!;
  return {
    userId: person.id,
    method,
    cardId: method === 'card' || method === 'apple_pay' ? (rng.chance(0.015) ? rng.id('c_') : card) : undefined,
    // Guests on borrowed devices, travellers and presents make honest payments look odd now and then.
    deviceId: rng.chance(0.02) ? rng.id('d_') : devices[device]!,
    ip:
      device === 0 && rng.chance(0.4)
        ? person.mobileIp
        : rng.chance(0.03)
          ? `${rng.range(60, 189)}.${rng.int(256)}.${rng.int(256)}.9`
          : person.homeIp,
    addressId: rng.chance(0.05) ? rng.id('a_') : person.addresses[rng.chance(0.9) ? 0 : person.addresses.length - 1]!,
    emailDomain: person.emailDomain,
  };
}

function* greet(diary: Diary, means: Means, firstEver: boolean, rng: Rng): Play {
  if (diary.guest.userId === undefined) return;
  const from = { device_id: means.deviceId, ip: means.ip, email_domain: means.emailDomain };
  diary.pass(rng.exponential(4_000));
  if (firstEver) {
    yield diary.event('sign_up', from);
  } else if (rng.chance(0.22)) {
    while (rng.chance(0.1)) {
      yield diary.event('login_failed', from);
      diary.pass(rng.exponential(9_000));
    }
    yield diary.event('login', from);
  }
}

function* look(one: ItemTruth, mood: Mood, diary: Diary, basket: Line[], rng: Rng, eagerness: number): Play {
  diary.pass(rng.exponential(14_000));
  yield diary.event('view_item', { items: [{ item_id: one.item.item_id, price: priceFor(mood, one) }] });
  const want = wanted(mood, one);
  const inBasket = basket.some(({ itemId }) => itemId === one.item.item_id);
  if (!inBasket && basket.length < BASKET_LINES_MAX && rng.chance(Math.min(0.95, want * eagerness))) {
    diary.pass(rng.exponential(20_000));
    const line = { itemId: one.item.item_id, category: one.category, price: priceFor(mood, one), quantity: 1 + rng.geometric(0.88) };
    basket.push(line);
    yield diary.event('add_to_cart', { items: itemsOf([line]), value: totalOf([line]), currency: CURRENCY });
  } else if (rng.chance(want * 0.06)) {
    yield diary.event('add_to_wishlist', { items: [{ item_id: one.item.item_id }] });
  }
}

function* replenish(world: World, mood: Mood, habit: Habit, due: number, diary: Diary, basket: Line[], rng: Rng): Play {
  const rhythm = mood.person.rhythms[due]!;
  let index = habit.loyalTo[due]!;
  // Most stay with the brand that they had; some try another.
  if (index < 0 || rng.chance(0.15)) index = choose(mood, listOf(world, rhythm.category, mood.atMs, 20, rng), rng)?.index ?? -1;
  const one = world.catalogue.items[index];
  if (one === undefined) return;
  habit.loyalTo[due] = index;
  yield* look(one, mood, diary, basket, rng, 12);
}

/** Probability that each place of a list is looked at: shoppers go down it, lose interest on the way, and are gone with their first click. */
export function looksAt(wants: readonly number[]): number[] {
  let looks = 1;
  return wants.map((want) => {
    const here = looks;
    looks *= (1 - want * CLICK_PER_WANT) * LOOK_ON;
    return here;
  });
}

/** Shows a list and perhaps clicks on it; returns the item clicked. */
function* browse(
  shelf: readonly ItemTruth[],
  shown: Shown | undefined,
  world: World,
  mood: Mood,
  diary: Diary,
  placement: string,
  rng: Rng,
): Generator<Step, ItemTruth | undefined, Reply> {
  const items = shown === undefined ? shelf : shown.itemIds.flatMap((id) => itemById(world, id) ?? []);
  if (items.length === 0) return undefined;
  const from = { placement, ...(shown === undefined ? {} : { recommendation_id: shown.recommendationId }) };
  diary.pass(rng.exponential(3_000));
  yield diary.event('view_item_list', { ...from, items: items.map(({ item }) => ({ item_id: item.item_id })) });
  for (const one of items) {
    diary.pass(rng.exponential(1_200));
    if (rng.chance(wanted(mood, one) * CLICK_PER_WANT)) {
      yield diary.event('select_item', { ...from, items: [{ item_id: one.item.item_id }] });
      return one;
    }
    if (!rng.chance(LOOK_ON)) return undefined;
  }
  return undefined;
}

function listAsk(diary: Diary, placement: string, itemId: string | undefined): Step {
  return { ask: 'list', placement, userId: diary.guest.userId, sessionId: diary.guest.sessionId, itemId, limit: LIST_ITEMS };
}

function related(world: World, one: ItemTruth, atMs: number): ItemTruth[] {
  return world.catalogue.related[one.index]!.map((index) => world.catalogue.items[index]!).filter(({ item }) => item.created_ms <= atMs);
}

/** The list of an item's page, or of the front page. */
function* listPage(world: World, mood: Mood, diary: Diary, current: ItemTruth | undefined, rng: Rng): Generator<Step, ItemTruth | undefined, Reply> {
  const placement = current === undefined ? 'home' : 'product';
  const reply: Reply = yield listAsk(diary, placement, current?.item.item_id);
  const ownList = (): ItemTruth[] =>
    current === undefined
      ? listOf(world, rng.weighted(mood.person.categoryWeights), mood.atMs, LIST_ITEMS, rng)
      : related(world, current, mood.atMs).slice(0, LIST_ITEMS);
  return yield* browse(reply.shown ? [] : ownList(), reply.shown, world, mood, diary, placement, rng);
}

/** The walk: each step finds an item by a list, a search, a neighbour or a direct look, and moves on in taste and category. */
function* wander(world: World, mood: Mood, diary: Diary, basket: Line[], rng: Rng): Play {
  const { person, campaign } = mood;
  let category = rng.weighted(person.categoryWeights);
  if (campaign !== undefined && rng.chance(0.35)) {
    yield diary.event('view_promotion', { campaign: campaign.id });
    if (rng.chance(0.25 + 0.25 * Math.max(0, person.promoResponse))) {
      diary.pass(rng.exponential(4_000));
      yield diary.event('select_promotion', { campaign: campaign.id });
      category = rng.pick(campaign.categories);
    }
  }
  let current: ItemTruth | undefined;
  for (let step = 0; step < STEPS_MAX; step += 1) {
    if (step > 0 && rng.chance(LEAVE)) return;
    const next: ItemTruth | undefined = yield* find(world, mood, diary, current, category, step, rng);
    if (next !== undefined) {
      current = next;
      yield* look(next, mood, diary, basket, rng, BASKET_PER_WANT * person.decisiveness);
    }
    if (rng.chance(0.3)) {
      category = rng.chance(0.5) ? rng.pick(world.catalogue.leadsTo[category]!) : rng.weighted(person.categoryWeights);
    } else if (current !== undefined) {
      category = current.category;
    }
  }
}

function* find(
  world: World,
  mood: Mood,
  diary: Diary,
  current: ItemTruth | undefined,
  category: number,
  step: number,
  rng: Rng,
): Generator<Step, ItemTruth | undefined, Reply> {
  const { feedShare } = world.settings;
  // No draw where there is no feed: the shop without one stays the shop that it was.
  if (feedShare > 0 && rng.chance(feedShare)) {
    return yield* listPage(world, mood, diary, rng.chance(0.5) ? current : undefined, rng);
  }
  const way = rng.float();
  if (step === 0 && way < 0.3) return yield* listPage(world, mood, diary, undefined, rng);
  if (current !== undefined && way < 0.25) return yield* listPage(world, mood, diary, current, rng);
  if (current !== undefined && way < 0.5) return choose(mood, related(world, current, mood.atMs), rng);
  if (way < 0.62) {
    const sought = drawFromShelf(world, category, mood.atMs, rng);
    if (sought === undefined) return undefined;
    const term = String(sought.item.attributes?.[rng.chance(0.8) ? 'kind' : 'material'] ?? sought.item.category);
    diary.pass(rng.exponential(5_000));
    yield diary.event('search', { search_term: term });
    const hits = listOf(world, category, mood.atMs, CHOICE_ITEMS, rng).filter(({ item }) => item.title?.includes(term));
    return yield* browse([sought, ...hits.filter((hit) => hit !== sought)], undefined, world, mood, diary, 'search', rng);
  }
  if (way < 0.78) return yield* browse(listOf(world, category, mood.atMs, LIST_ITEMS, rng), undefined, world, mood, diary, 'category', rng);
  return choose(mood, listOf(world, category, mood.atMs, CHOICE_ITEMS, rng), rng);
}

function* cart(mood: Mood, diary: Diary, basket: Line[], rng: Rng): Play {
  diary.pass(rng.exponential(8_000));
  if (rng.chance(0.6)) yield diary.event('view_cart', { items: itemsOf(basket), value: totalOf(basket), currency: CURRENCY });
  for (let i = basket.length - 1; i >= 0; i -= 1) {
    const line = basket[i]!;
    // Dear things are taken out again more often by those who mind the price.
    if (!rng.chance(0.05 + 0.03 * mood.person.priceSensitivity)) continue;
    basket.splice(i, 1);
    diary.pass(rng.exponential(6_000));
    yield diary.event('remove_from_cart', { items: itemsOf([line]) });
  }
}

function* checkout(mood: Mood, diary: Diary, means: Means, basket: readonly Line[], habit: Habit, world: World, rng: Rng): Play {
  const { person } = mood;
  diary.guest.userId = person.id;
  diary.pass(rng.exponential(15_000));
  const worth = { items: itemsOf(basket), value: totalOf(basket), currency: CURRENCY };
  yield diary.event('begin_checkout', worth);
  diary.pass(rng.exponential(30_000));
  yield diary.event('add_payment_info', { payment_method: means.method });
  let paying = means;
  for (let attempts = 0; attempts < ATTEMPTS_MAX; attempts += 1) {
    diary.pass(rng.exponential(12_000));
    const ask = payAsk(diary, paying, basket, !rng.chance(HONEST_DECLINE), undefined, rng);
    const reply: Reply = yield ask;
    if (ask.authorised && reply.allowed !== false) {
      diary.pass(rng.exponential(1_500));
      yield purchaseOf(diary, ask.attempt, mood.campaign?.id);
      settleHabit(world, person, habit, basket, diary.atMs, rng);
      return;
    }
    if (!rng.chance(0.7)) return;
    if (rng.chance(0.5)) paying = { ...paying, method: 'card', cardId: person.cards[person.cards.length - 1] ?? paying.cardId };
  }
}

/** A consumable bought today is due again after its period, give or take a fifth. */
function settleHabit(world: World, person: Person, habit: Habit, basket: readonly Line[], atMs: number, rng: Rng): void {
  person.rhythms.forEach((rhythm, slot) => {
    const line = basket.find(({ category }) => category === rhythm.category);
    if (line === undefined) return;
    habit.dueMs[slot] = atMs + rhythm.periodMs * Math.max(0.3, rng.normal(1, 0.2));
    habit.loyalTo[slot] = itemById(world, line.itemId)?.index ?? -1;
  });
}
