import type { Attack, FraudKind } from './attacks.ts';
import type { ItemTruth } from './catalogue.ts';
import { itemsOf, type Line, type Means, payAsk, purchaseOf, totalOf } from './checkout.ts';
import { CURRENCY, DAY_MS, HOUR_MS, MINUTE_MS } from './params.ts';
import { COUNTRIES, ipOf, type Person } from './people.ts';
import { Rng, STREAM } from './prng.ts';
import { Diary, type Play, type Reply } from './steps.ts';
import { listOf, type World } from './world.ts';

/** Account numbers set aside for each attack; more than any attack opens. */
const ACCOUNTS_PER_ATTACK = 16;
const SHADY_DOMAINS = ['gmail.com', 'outlook.com', 'mailinator.com', 'yopmail.com', 'proton.me'];

interface Scene {
  readonly world: World;
  readonly attack: Attack;
  readonly rng: Rng;
}

/** Everything that an attacker does, in one play whose clock may jump over days. */
export function attackPlay(world: World, attack: Attack): Play {
  const scene = { world, attack, rng: new Rng(world.settings.seed, STREAM.attack, attack.index) };
  return PLAYS[attack.kind](scene);
}

const PLAYS: Readonly<Record<FraudKind, (scene: Scene) => Play>> = {
  card_testing: cardTesting,
  stolen_card: stolenCard,
  account_takeover: accountTakeover,
  fraud_ring: fraudRing,
  bot_burst: botBurst,
  refund_abuse: refundAbuse,
};

function account({ world, attack }: Scene, n: number): string {
  return `u${world.settings.users + 1 + attack.index * ACCOUNTS_PER_ATTACK + n}`;
}

function freshMeans(scene: Scene, userId: string): Means {
  const { rng } = scene;
  return {
    userId,
    method: 'card',
    cardId: rng.id('c_'),
    deviceId: rng.id('d_'),
    ip: ipOf(rng.next()),
    addressId: rng.id('a_'),
    emailDomain: rng.pick(SHADY_DOMAINS),
  };
}

function session(scene: Scene, userId: string, atMs: number, country?: string): Diary {
  return new Diary({ userId, sessionId: scene.rng.id('s_'), country: country ?? scene.rng.pick(COUNTRIES) }, atMs);
}

/** Items of any category that sort best by `rank`, out of a sample. */
function loot(scene: Scene, count: number, atMs: number, rank: (one: ItemTruth) => number): ItemTruth[] {
  const { world, rng } = scene;
  const sample = Array.from({ length: 4 }, () => listOf(world, rng.int(world.catalogue.shelves.length), atMs, 8, rng)).flat();
  const distinct = [...new Set(sample)];
  return distinct.sort((a, b) => rank(b) - rank(a) || a.index - b.index).slice(0, count);
}

function lines(items: readonly ItemTruth[], quantity: () => number): Line[] {
  return items.map(({ item, category }) => ({ itemId: item.item_id, category, price: item.price, quantity: quantity() }));
}

/** Basket, checkout, payment and, where authorised, purchase. Returns whether it went through. */
function* buy(scene: Scene, diary: Diary, means: Means, basket: readonly Line[], authorisedShare: number, hasteMs: number): Play {
  const { rng, attack } = scene;
  if (basket.length === 0) return;
  for (const line of basket) {
    diary.pass(rng.exponential(hasteMs));
    yield diary.event('add_to_cart', { items: itemsOf([line]), value: totalOf([line]), currency: CURRENCY });
  }
  diary.pass(rng.exponential(hasteMs));
  yield diary.event('begin_checkout', { items: itemsOf(basket), value: totalOf(basket), currency: CURRENCY });
  diary.pass(rng.exponential(hasteMs));
  const ask = payAsk(diary, means, basket, rng.chance(authorisedShare), attack.kind, rng);
  const reply: Reply = yield ask;
  if (!ask.authorised || reply.allowed === false) return;
  diary.pass(rng.exponential(1_000));
  yield purchaseOf(diary, ask.attempt, undefined);
}

function* signUp(diary: Diary, means: Means): Play {
  yield diary.event('page_view', {});
  diary.pass(4_000);
  yield diary.event('sign_up', { device_id: means.deviceId, ip: means.ip, email_domain: means.emailDomain });
}

/** A list of stolen numbers is tried out with small amounts: many cards, one or two accounts, one device, one ip. */
function* cardTesting(scene: Scene): Play {
  const { rng, attack } = scene;
  const base = freshMeans(scene, account(scene, 0));
  const diary = session(scene, base.userId, attack.startMs);
  yield* signUp(diary, base);
  const cheap = loot(scene, 3, attack.startMs, (one) => -one.item.price);
  const cards = rng.range(8, 18);
  for (let n = 0; n < cards; n += 1) {
    diary.pass(rng.exponential(40_000));
    if (n === 9 && rng.chance(0.5)) diary.guest.userId = account(scene, 1);
    const means = {
      ...base,
      userId: diary.guest.userId ?? base.userId,
      cardId: rng.id('c_'),
      addressId: rng.chance(0.7) ? base.addressId : rng.id('a_'),
    };
    yield* buy(
      scene,
      diary,
      means,
      lines(cheap.slice(n % 3, (n % 3) + 1), () => 1),
      0.3,
      4_000,
    );
  }
}

/** One big basket on somebody else's card, from a device never seen, without looking around first. */
function* stolenCard(scene: Scene): Play {
  const { rng, attack } = scene;
  const means = freshMeans(scene, account(scene, 0));
  const diary = session(scene, means.userId, attack.startMs);
  yield* signUp(diary, means);
  const basket = lines(
    loot(scene, rng.range(2, 4), attack.startMs, (one) => one.item.price + rng.float() * 60),
    () => rng.range(1, 3),
  );
  yield* buy(scene, diary, means, basket, 0.85, 9_000);
  if (!rng.chance(0.25)) return;
  diary.pass(rng.exponential(10 * MINUTE_MS));
  yield* buy(scene, diary, { ...means, cardId: rng.chance(0.5) ? rng.id('c_') : means.cardId }, basket.slice(0, 2), 0.7, 9_000);
}

function victimOf(scene: Scene): Person {
  const { world, rng, attack } = scene;
  for (;;) {
    const person = rng.pick(world.people);
    if (person.joinedMs < attack.startMs) return person;
  }
}

/** Passwords are guessed, then the victim's saved card buys for a new address from a new device. */
function* accountTakeover(scene: Scene): Play {
  const { rng, attack } = scene;
  const victim = victimOf(scene);
  const means: Means = { ...freshMeans(scene, victim.id), cardId: victim.cards[0], emailDomain: victim.emailDomain };
  const diary = session(scene, victim.id, attack.startMs, victim.country);
  const guesses = rng.range(4, 18);
  for (let n = 0; n < guesses; n += 1) {
    yield diary.event('login_failed', { device_id: means.deviceId, ip: means.ip });
    diary.pass(rng.exponential(6_000));
  }
  yield diary.event('login', { device_id: means.deviceId, ip: means.ip });
  const purchases = rng.range(1, 3);
  for (let n = 0; n < purchases; n += 1) {
    diary.pass(rng.exponential(6 * MINUTE_MS));
    const loved = loot(scene, rng.range(1, 3), diary.atMs, (one) => one.item.price + rng.float() * 80);
    for (const one of loved.slice(0, rng.int(3))) {
      diary.pass(rng.exponential(8_000));
      yield diary.event('view_item', { items: [{ item_id: one.item.item_id, price: one.item.price }] });
    }
    yield* buy(
      scene,
      diary,
      means,
      lines(loved, () => rng.range(1, 2)),
      0.88,
      12_000,
    );
  }
}

/** Several accounts that share two devices, two ips and two addresses buy over ten days, each on stolen cards, looking almost like anyone. */
function* fraudRing(scene: Scene): Play {
  const { rng, attack } = scene;
  const shared = [freshMeans(scene, ''), freshMeans(scene, '')];
  const members = rng.range(4, 6);
  const visits = Array.from({ length: members }, (_, member) => ({ member, offset: rng.float() * 10 * DAY_MS })).sort((a, b) => a.offset - b.offset);
  for (const { member, offset } of visits) {
    const userId = account(scene, member);
    const means = {
      ...rng.pick(shared),
      userId,
      cardId: rng.id('c_'),
      deviceId: rng.pick(shared).deviceId,
      addressId: rng.pick(shared).addressId,
      emailDomain: rng.pick(SHADY_DOMAINS),
    };
    const diary = session(scene, userId, attack.startMs + offset);
    yield* signUp(diary, means);
    const purchases = rng.range(1, 2);
    for (let n = 0; n < purchases; n += 1) {
      const liked = loot(scene, rng.range(1, 3), diary.atMs, (one) => 0.4 * one.item.price + rng.float() * 60);
      for (const one of liked) {
        diary.pass(rng.exponential(15_000));
        yield diary.event('view_item', { items: [{ item_id: one.item.item_id, price: one.item.price }] });
      }
      yield* buy(
        scene,
        diary,
        means,
        lines(liked, () => 1),
        0.82,
        15_000,
      );
      diary.pass(rng.exponential(3 * HOUR_MS));
    }
  }
}

/** A script buys the same sought-after item again and again within minutes. */
function* botBurst(scene: Scene): Play {
  const { rng, attack } = scene;
  const means = freshMeans(scene, account(scene, 0));
  const diary = session(scene, means.userId, attack.startMs);
  yield* signUp(diary, means);
  const [hot] = loot(scene, 1, attack.startMs, (one) => one.fame);
  if (hot === undefined) return;
  const cards = [means.cardId, rng.id('c_')];
  const purchases = rng.range(6, 12);
  for (let n = 0; n < purchases; n += 1) {
    diary.pass(rng.exponential(15_000));
    yield* buy(
      scene,
      diary,
      { ...means, cardId: rng.pick(cards) },
      lines([hot], () => rng.range(1, 3)),
      0.93,
      700,
    );
  }
}

/** An account keeps buying dear things and claiming the money back. */
function* refundAbuse(scene: Scene): Play {
  const { rng, attack } = scene;
  const means = freshMeans(scene, account(scene, 0));
  let atMs = attack.startMs;
  const rounds = rng.range(3, 6);
  for (let n = 0; n < rounds; n += 1) {
    const diary = session(scene, means.userId, atMs);
    if (n === 0) yield* signUp(diary, means);
    const wanted = loot(scene, rng.range(1, 2), atMs, (one) => one.item.price + rng.float() * 50);
    for (const one of wanted) {
      diary.pass(rng.exponential(12_000));
      yield diary.event('view_item', { items: [{ item_id: one.item.item_id, price: one.item.price }] });
    }
    let bought: { readonly value?: number; readonly transaction_id?: string } | undefined;
    const play = buy(
      scene,
      diary,
      means,
      lines(wanted, () => 1),
      0.97,
      14_000,
    );
    for (let step = play.next({}); !step.done; ) {
      if ('name' in step.value && step.value.name === 'purchase') bought = step.value;
      step = play.next(yield step.value);
    }
    if (bought?.transaction_id !== undefined) {
      diary.pass(rng.between(1, 3) * DAY_MS);
      yield diary.event('refund', {
        transaction_id: bought.transaction_id,
        value: bought.value ?? 0,
        currency: CURRENCY,
        items: itemsOf(lines(wanted, () => 1)),
      });
    }
    atMs = diary.atMs + rng.between(0.3, 2) * DAY_MS;
  }
}
