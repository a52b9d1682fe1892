import { DAY_MS, type ShopSettings, STYLES, TASTE_DIMENSIONS } from './params.ts';
import { hash32, normalise, Rng, STREAM } from './prng.ts';
import { CATEGORIES } from './words.ts';

/** Sigma of the log-normal visit rate: a tenth of the users makes about half of the visits. */
const VISIT_SIGMA = 1;
/** Share of users that sign up during the history. */
const NEWCOMER_SHARE = 0.25;
const HOUSEHOLD_SHARE = 0.12;
/** Radians a day that a taste turns: 0.1 to 0.7 over 60 days. */
const DRIFT_LOW = 0.002;
const DRIFT_HIGH = 0.012;
/** Mobile carriers put many subscribers behind few addresses. */
const CARRIER_IPS_PER_COUNTRY = 40;

export const COUNTRIES = ['DE', 'FR', 'ES', 'IT', 'NL', 'AT', 'PL', 'GB'] as const;
const COUNTRY_WEIGHTS = [30, 16, 12, 10, 9, 6, 8, 9];
const MAIL_DOMAINS = ['gmail.com', 'outlook.com', 'icloud.com', 'gmx.net', 'web.de', 'orange.fr', 'proton.me', 'mailbox.org', 'yopmail.com'];
const MAIL_WEIGHTS = [45, 14, 11, 9, 7, 5, 4, 3, 1];
export const PAYMENT_METHODS = ['card', 'paypal', 'apple_pay', 'bank_transfer', 'gift_card'] as const;
export type PaymentMethod = (typeof PAYMENT_METHODS)[number];
const METHOD_WEIGHTS = [62, 18, 10, 6, 4];

/** A consumable that a user buys in a rhythm. */
export interface Rhythm {
  readonly category: number;
  readonly periodMs: number;
}

/** What is true of a user. */
export interface Person {
  readonly index: number;
  readonly id: string;
  readonly country: string;
  readonly emailDomain: string;
  /** Mean visits a day. */
  readonly visitRate: number;
  readonly weekendFactor: number;
  /** UTC hour around which visits fall. */
  readonly hourPeak: number;
  readonly joinedMs: number;
  /** Two orthonormal directions; the taste turns from the first towards the second. */
  readonly taste: Float32Array;
  readonly tasteLater: Float32Array;
  readonly driftPerDay: number;
  readonly categoryLogits: Float32Array;
  readonly categoryWeights: Float32Array;
  readonly priceSensitivity: number;
  /** Added utility of a promoted category; negative for those whom promotions put off. */
  readonly promoResponse: number;
  /** How readily a want becomes a purchase. */
  readonly decisiveness: number;
  readonly rhythms: readonly Rhythm[];
  readonly homeIp: string;
  readonly mobileIp: string;
  readonly devices: readonly string[];
  /** From this time on the first device is replaced by the last. */
  readonly newDeviceMs: number;
  readonly cards: readonly string[];
  readonly method: PaymentMethod;
  readonly addresses: readonly string[];
}

/** A public-looking IPv4 address made of 32 bits. */
export function ipOf(bits: number): string {
  return `${60 + ((bits >>> 24) % 130)}.${(bits >>> 16) & 255}.${(bits >>> 8) & 255}.${1 + ((bits & 255) % 254)}`;
}

function tasteOf(rng: Rng, styles: readonly Float32Array[]): Float32Array {
  const taste = rng.unitVector(TASTE_DIMENSIONS);
  for (let d = 0; d < TASTE_DIMENSIONS; d += 1) taste[d] = 0.35 * taste[d]!;
  const liked = rng.range(1, 3);
  for (let n = 0; n < liked; n += 1) {
    const centre = styles[rng.int(STYLES)]!;
    const weight = rng.between(0.5, 1);
    for (let d = 0; d < TASTE_DIMENSIONS; d += 1) taste[d] = taste[d]! + weight * centre[d]!;
  }
  return normalise(taste);
}

/** The part of `towards` that is orthogonal to `from`, with length 1. */
function orthogonal(towards: Float32Array, from: Float32Array): Float32Array {
  let along = 0;
  for (let d = 0; d < TASTE_DIMENSIONS; d += 1) along += towards[d]! * from[d]!;
  for (let d = 0; d < TASTE_DIMENSIONS; d += 1) towards[d] = towards[d]! - along * from[d]!;
  return normalise(towards);
}

function rhythmsOf(rng: Rng): Rhythm[] {
  const rhythms: Rhythm[] = [];
  CATEGORIES.forEach((spec, category) => {
    const period = rng.between(12, 40);
    if (spec.consumable && rng.chance(0.3)) rhythms.push({ category, periodMs: period * DAY_MS });
  });
  return rhythms;
}

export function makePerson(index: number, settings: ShopSettings, styles: readonly Float32Array[]): Person {
  const { seed } = settings;
  const rng = new Rng(seed, STREAM.person, index);
  const countryIndex = rng.weighted(COUNTRY_WEIGHTS);
  const taste = tasteOf(rng, styles);
  const tasteLater = orthogonal(tasteOf(rng, styles), taste);
  const categoryLogits = new Float32Array(CATEGORIES.length).map(() => rng.normal(-0.4, 0.7));
  for (let n = 0; n < 3; n += 1) {
    const favourite = rng.int(CATEGORIES.length);
    categoryLogits[favourite] = categoryLogits[favourite]! + 1.4;
  }
  // Neighbours 2k and 2k+1 may share a home: its address, its ip and a tablet.
  const home = rngOfHome(seed, index);
  const phone = rng.id('d_');
  const laptop = rng.id('d_');
  const replacement = rng.id('d_');
  const homeIp = ipOf(home.next());
  const homeAddress = home.id('a_');
  const tablet = home.id('d_');
  const devices = rng.chance(0.6) ? [phone, laptop] : [phone];
  if (rng.chance(0.25)) devices.push(tablet);
  const cards = [rng.id('c_')];
  if (rng.chance(0.35)) cards.push(rng.id('c_'));
  const addresses = [homeAddress];
  if (rng.chance(0.2)) addresses.push(rng.id('a_'));
  const span = settings.endMs - settings.startMs;
  const peak = rng.pick([7, 11.5, 18.5, 19.5, 20]);
  return {
    index,
    id: `u${String(index + 1).padStart(5, '0')}`,
    country: COUNTRIES[countryIndex]!,
    emailDomain: MAIL_DOMAINS[rng.weighted(MAIL_WEIGHTS)]!,
    // Divided by the mean of the log-normal, so that the users' mean is as asked.
    visitRate: Math.min(6, (settings.visitsPerUserDay * rng.logNormal(1, VISIT_SIGMA)) / Math.exp((VISIT_SIGMA * VISIT_SIGMA) / 2)),
    weekendFactor: rng.logNormal(1.15, 0.35),
    hourPeak: peak,
    joinedMs: Math.round(rng.chance(NEWCOMER_SHARE) ? settings.startMs + rng.float() * span : settings.startMs - rng.exponential(200) * DAY_MS),
    taste,
    tasteLater,
    driftPerDay: rng.between(DRIFT_LOW, DRIFT_HIGH),
    categoryLogits,
    categoryWeights: categoryLogits.map((logit) => Math.exp(1.1 * logit)),
    priceSensitivity: Math.max(0, rng.normal(0.7, 0.5)),
    promoResponse: rng.normal(0.5, 0.6),
    decisiveness: rng.logNormal(1, 0.5),
    rhythms: rhythmsOf(rng),
    homeIp,
    mobileIp: ipOf(hash32(seed, STREAM.household, -1 - countryIndex, rng.int(CARRIER_IPS_PER_COUNTRY))),
    devices: [...devices, replacement],
    newDeviceMs: settings.startMs + rng.between(0, 5) * span,
    cards,
    method: PAYMENT_METHODS[rng.weighted(METHOD_WEIGHTS)]!,
    addresses,
  };
}

function rngOfHome(seed: number, index: number): Rng {
  const pair = index >> 1;
  const shared = hash32(seed, STREAM.household, 0, pair) / 4_294_967_296 < HOUSEHOLD_SHARE;
  return new Rng(seed, STREAM.household, 1, shared ? pair * 2 : index);
}

/** The devices in use at a time. */
export function devicesAt(person: Person, atMs: number): readonly string[] {
  return atMs >= person.newDeviceMs ? person.devices.slice(1) : person.devices.slice(0, -1);
}
