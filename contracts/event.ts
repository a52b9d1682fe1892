import Type, { type Static } from 'typebox';

/** An identifier given by the shop: 1 to 128 printable ASCII characters without spaces, so that it fits a key and a log line. */
export const Id = Type.String({ pattern: '^[!-~]{1,128}$' });
/** Milliseconds since 1970. The upper bound is the year 2096. */
export const TimestampMs = Type.Integer({ minimum: 0, maximum: 4_000_000_000_000 });
/** An amount in units of its currency. 1e9 keeps sums of micro-units exact in a double. */
export const Amount = Type.Number({ minimum: -1e9, maximum: 1e9 });
export const Currency = Type.String({ pattern: '^[A-Z]{3}$' });
export const Country = Type.String({ pattern: '^[A-Z]{2}$' });

/** GA4 e-commerce names, with `hide_item` ("not interested") and its undoing among them, then the ones that risk and learning need. */
export const EVENT_NAMES = [
  'page_view',
  'view_item',
  'view_item_list',
  'select_item',
  'search',
  'view_cart',
  'add_to_cart',
  'remove_from_cart',
  'add_to_wishlist',
  'hide_item',
  'unhide_item',
  'begin_checkout',
  'add_shipping_info',
  'add_payment_info',
  'purchase',
  'refund',
  'view_promotion',
  'select_promotion',
  'login',
  'login_failed',
  'sign_up',
  'review',
  'payment_attempt',
  'payment_failed',
  'chargeback',
  'dispute',
  'label',
] as const;
export type EventName = (typeof EVENT_NAMES)[number];

export const EventItem = Type.Object(
  {
    item_id: Id,
    quantity: Type.Optional(Type.Integer({ minimum: 1, maximum: 1_000_000 })),
    price: Type.Optional(Amount),
  },
  { additionalProperties: false },
);
export type EventItem = Static<typeof EventItem>;

/** The entity ids and circumstances of a payment, shared by events and score requests. */
export const PAYMENT_FIELDS = {
  transaction_id: Type.Optional(Id),
  card_id: Type.Optional(Id),
  device_id: Type.Optional(Id),
  ip: Type.Optional(Type.String({ pattern: '^[0-9a-fA-F.:]{2,45}$' })),
  email_domain: Type.Optional(Type.String({ pattern: '^[a-z0-9.-]{1,253}$' })),
  address_id: Type.Optional(Id),
  merchant_id: Type.Optional(Id),
  payment_method: Type.Optional(Type.String({ pattern: '^[a-z0-9_]{1,32}$' })),
  billing_country: Type.Optional(Country),
  shipping_country: Type.Optional(Country),
  /** Where the shop's own lookup places the address. */
  ip_country: Type.Optional(Country),
};

/** A fact about the shop. Either `user_id` or `session_id` must be there, unless it is about a transaction (checked by `eventProblem`). */
export const Event = Type.Object(
  {
    event_id: Id,
    name: Type.Enum([...EVENT_NAMES]),
    timestamp_ms: Type.Optional(TimestampMs),
    user_id: Type.Optional(Id),
    session_id: Type.Optional(Id),
    items: Type.Optional(Type.Array(EventItem, { maxItems: 100 })),
    value: Type.Optional(Amount),
    currency: Type.Optional(Currency),
    country: Type.Optional(Country),
    search_term: Type.Optional(Type.String({ maxLength: 200 })),
    campaign: Type.Optional(Id),
    /** The `recommendation_id` whose items were shown (`view_item_list`) or clicked (`select_item`). */
    recommendation_id: Type.Optional(Id),
    placement: Type.Optional(Id),
    ...PAYMENT_FIELDS,
    rating: Type.Optional(Type.Integer({ minimum: 1, maximum: 5 })),
    title: Type.Optional(Type.String({ maxLength: 500 })),
    text: Type.Optional(Type.String({ maxLength: 5000 })),
    /** `label`: what the transaction turned out to be. A `chargeback` is a label with `is_fraud` true. */
    is_fraud: Type.Optional(Type.Boolean()),
  },
  { additionalProperties: false },
);
export type Event = Static<typeof Event>;

/**
 * An event as the journal keeps it and the feature engine sees it: its time is settled. `rate` is what one unit of its currency was worth in the shop's own when
 * it was taken in; absent where that is 1, or where the shop declares no rates. `carried` is what the states of its own entities said when it was taken in, as far as
 * the features declare it (`Carried`); absent where they could not say.
 */
export type TimedEvent = Event & { timestamp_ms: number; rate?: number; carried?: number };

export const EVENTS_PER_BATCH_MAX = 1000;
export const EventsRequest = Type.Object(
  { events: Type.Array(Event, { minItems: 1, maxItems: EVENTS_PER_BATCH_MAX }) },
  { additionalProperties: false },
);
export type EventsRequest = Static<typeof EventsRequest>;

export const EventsResponse = Type.Object({ accepted: Type.Integer(), duplicates: Type.Integer() }, { additionalProperties: false });
export type EventsResponse = Static<typeof EventsResponse>;

const ITEM_EVENTS: ReadonlySet<EventName> = new Set([
  'view_item',
  'select_item',
  'add_to_cart',
  'remove_from_cart',
  'add_to_wishlist',
  'hide_item',
  'unhide_item',
  'purchase',
  'view_item_list',
]);
/** Events about a payment that was made before; its `transaction_id` says which, and what they don't name they take over from it. */
export const PAYMENT_EVENTS: ReadonlySet<EventName> = new Set(['payment_failed', 'refund', 'chargeback', 'dispute', 'label']);
/** Those that mean nothing without their payment. A refund of a shop that has its payments scored elsewhere does. */
const TRANSACTION_EVENTS: ReadonlySet<EventName> = new Set(['payment_failed', 'chargeback', 'dispute', 'label']);

/**
 * Facts that only the shop's servers know. A publishable key, which stands in every page's source, may not send them: labels from a browser would let
 * a fraudster clear his own card and a rival mark a customer.
 */
export const SERVER_EVENTS: ReadonlySet<EventName> = new Set(['payment_attempt', 'payment_failed', 'refund', 'chargeback', 'dispute', 'label']);

/** What the schema alone cannot say of an event: the sentence that is wrong with it, or undefined. */
export function eventProblem(event: Event): string | undefined {
  // What is about a transaction takes over who paid it.
  const aboutPayment = TRANSACTION_EVENTS.has(event.name) || (event.name === 'refund' && event.transaction_id !== undefined);
  if (event.user_id === undefined && event.session_id === undefined && !aboutPayment) return `${event.name} needs user_id or session_id`;
  if (ITEM_EVENTS.has(event.name) && (event.items === undefined || event.items.length === 0)) return `${event.name} needs items`;
  if (TRANSACTION_EVENTS.has(event.name) && event.transaction_id === undefined) return `${event.name} needs transaction_id`;
  if (event.name === 'label' && event.is_fraud === undefined) return 'label needs is_fraud';
  if (event.name === 'review' && event.rating === undefined) return 'review needs rating';
  return undefined;
}
