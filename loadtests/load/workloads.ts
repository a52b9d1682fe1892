import { type Random, seededRandom } from '../../training/learners/random.ts';
import { skewed } from '../draws.ts';
import { itemId, userId } from '../shop.ts';
import { FRAUD_AMOUNT } from '../shop-bundle.ts';

export const WORKLOADS = ['score', 'features', 'recommend', 'recommend_new', 'events'] as const;
export type Workload = (typeof WORKLOADS)[number];

/** What a generator needs in order to make requests. */
export interface WorkloadSpec {
  readonly workload: Workload;
  /** `Authorization: Bearer`; the echo asks for none, and gets the same bytes. */
  readonly key: string;
  readonly items: number;
  readonly users: number;
  readonly seed: number;
  /** Feature values in a request of the `features` workload. */
  readonly columns?: number;
  /** Part of every id, so that two runs against one gateway do not meet: 6 letters or digits. */
  readonly run: string;
}

/** Events in one request of the `events` workload, and items in one answer. */
export const EVENTS_PER_REQUEST = 100;
export const RECOMMEND_LIMIT = 12;
/** Different requests made ahead; each is sent again and again with new ids. Of `recommend_new` there are more than a run sends, so that none comes twice. */
const TEMPLATES: Readonly<Record<Workload, number>> = { score: 4096, features: 4096, recommend: 4096, recommend_new: 2 ** 17, events: 256 };
/** One payment in a hundred is over the amount that the model holds for fraud. */
const LARGE_SHARE = 0.01;
const MERCHANTS = 50;
const SERIAL_DIGITS = 12;
const SERIAL = '0'.repeat(SERIAL_DIGITS);
const ZERO = 48;
const PATHS: Readonly<Record<Workload, string>> = {
  score: '/v1/score',
  features: '/v1/score',
  recommend: '/v1/recommend',
  recommend_new: '/v1/recommend',
  events: '/v1/events',
};

/** A request as bytes, and the places of the serial numbers that make its ids new. */
interface Template {
  readonly bytes: Buffer;
  readonly serialAt: readonly number[];
}

/** Pre-encoded requests. `next` hands out the same buffers again and again: write one before asking for the next. */
export interface RequestSource {
  next(): Buffer;
  /** What one request stands for in the unit that is reported (events). */
  readonly unitsPerRequest: number;
}

export function requestSource(spec: WorkloadSpec): RequestSource {
  const random = seededRandom(spec.seed);
  const templates = Array.from({ length: TEMPLATES[spec.workload] }, () => template(spec, BODIES[spec.workload](spec, random)));
  let serial = 0;
  let at = 0;
  return {
    unitsPerRequest: spec.workload === 'events' ? EVENTS_PER_REQUEST : 1,
    next() {
      const { bytes, serialAt } = templates[at]!;
      at = at + 1 === templates.length ? 0 : at + 1;
      for (let i = 0; i < serialAt.length; i++) writeSerial(bytes, serialAt[i]!, serial++);
      return bytes;
    },
  };
}

function template({ workload, key, run }: WorkloadSpec, value: unknown): Template {
  const body = JSON.stringify(value);
  const head =
    `POST ${PATHS[workload]} HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer ${key}\r\n` +
    `Content-Type: application/json\r\nContent-Length: ${Buffer.byteLength(body)}\r\n\r\n`;
  const bytes = Buffer.from(head + body);
  const serialAt: number[] = [];
  const mark = `${run}${SERIAL}`;
  for (let place = bytes.indexOf(mark); place >= 0; place = bytes.indexOf(mark, place + 1)) serialAt.push(place + run.length);
  return { bytes, serialAt };
}

function writeSerial(bytes: Buffer, at: number, serial: number): void {
  let rest = serial;
  for (let i = at + SERIAL_DIGITS - 1; i >= at; i--) {
    bytes[i] = ZERO + (rest % 10);
    rest = Math.floor(rest / 10);
  }
}

const BODIES: Readonly<Record<Workload, (spec: WorkloadSpec, random: Random) => unknown>> = {
  score: ({ users, run }, random) => payment(run, skewed(random, users), random.next() < LARGE_SHARE, random),
  // For services that compute no features themselves.
  features: ({ run, columns = 0 }, random) => ({
    transaction_id: `t${run}${SERIAL}`,
    features: Array.from({ length: columns }, () => Math.round(random.next() ** 3 * 5000) / 100),
  }),
  recommend: (spec, random) => {
    const user = skewed(random, spec.users);
    return recommendation(spec, user, user, random);
  },
  // A user in somebody else's visit has a history that nobody had before, as after each look at an item: what is kept of the visitor is of no use.
  recommend_new: (spec, random) => recommendation(spec, skewed(random, spec.users), skewed(random, spec.users), random),
  events: (spec, random) => ({ events: Array.from({ length: EVENTS_PER_REQUEST }, () => shopEvent(spec, random)) }),
};

function recommendation({ items }: WorkloadSpec, user: number, session: number, random: Random): Record<string, unknown> {
  const request = { user_id: userId(user), session_id: `session-${session}`, limit: RECOMMEND_LIMIT };
  return random.next() < 0.5 ? { ...request, placement: 'home' } : { ...request, placement: 'product', item_id: itemId(skewed(random, items)) };
}

/** A payment: ten fields beside the amount, as a checkout sends them. `large` ones become alerts. */
export function payment(run: string, user: number, large: boolean, random: Random): Record<string, unknown> {
  const amount = large ? FRAUD_AMOUNT + 50 + random.next() * 40 : 1 + random.next() * (FRAUD_AMOUNT - 100);
  return {
    transaction_id: `t${run}${SERIAL}`,
    user_id: userId(user),
    session_id: `session-${user}`,
    amount: Math.round(amount * 100) / 100,
    currency: 'EUR',
    country: 'DE',
    card_id: `card-${user}`,
    device_id: `device-${user}`,
    ip: `10.${user >> 16}.${(user >> 8) & 255}.${user & 255}`,
    email_domain: 'example.com',
    merchant_id: `merchant-${random.int(MERCHANTS)}`,
    payment_method: 'card',
  };
}

function shopEvent({ users, items, run }: WorkloadSpec, random: Random): Record<string, unknown> {
  const user = skewed(random, users);
  const draw = random.next();
  return {
    event_id: `e${run}${SERIAL}`,
    name: draw < 0.75 ? 'view_item' : draw < 0.9 ? 'add_to_cart' : 'purchase',
    user_id: userId(user),
    session_id: `session-${user}`,
    items: [{ item_id: itemId(skewed(random, items)), quantity: 1, price: Math.round(random.next() * 10_000) / 100 }],
  };
}
