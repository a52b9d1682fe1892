import Type, { type Static } from 'typebox';
import { Amount, Currency, Id, TimestampMs } from './event.ts';

/** Attributes of one item: filters and content features use a handful, and each is kept in memory. */
export const ATTRIBUTES_MAX = 64;

/** An item of the catalogue. `attributes` hold what filters and content features may use beyond the named fields. */
export const Item = Type.Object(
  {
    item_id: Id,
    title: Type.Optional(Type.String({ maxLength: 500 })),
    category: Type.Optional(Type.String({ maxLength: 100 })),
    brand: Type.Optional(Type.String({ maxLength: 100 })),
    price: Type.Optional(Amount),
    currency: Type.Optional(Currency),
    /** Units that can be sold now. Absent: always in stock. 0: never recommended. */
    stock: Type.Optional(Type.Integer({ minimum: 0, maximum: 1_000_000_000 })),
    /** False hides the item from every answer without deleting it. */
    active: Type.Optional(Type.Boolean()),
    /** When the item was first offered. Absent: when it was first put. */
    created_ms: Type.Optional(TimestampMs),
    attributes: Type.Optional(
      Type.Record(Type.String({ pattern: '^[a-z][a-z0-9_]{0,63}$' }), Type.Union([Type.String({ maxLength: 500 }), Type.Number(), Type.Boolean()]), {
        maxProperties: ATTRIBUTES_MAX,
        // Without it the pattern says what a fitting name holds, and lets every other name hold anything.
        additionalProperties: false,
      }),
    ),
  },
  { additionalProperties: false },
);
export type Item = Static<typeof Item>;

export const ITEMS_PER_BATCH_MAX = 1000;
/** `PUT /v1/items`: each item replaces what was there. */
export const PutItemsRequest = Type.Object(
  { items: Type.Array(Item, { minItems: 1, maxItems: ITEMS_PER_BATCH_MAX }) },
  { additionalProperties: false },
);
export type PutItemsRequest = Static<typeof PutItemsRequest>;
/** `PATCH /v1/items`: the named fields replace, the others stay; an unknown item is `item_not_found` and nothing is changed. */
export const PatchItemsRequest = PutItemsRequest;
export const DeleteItemsRequest = Type.Object(
  { item_ids: Type.Array(Id, { minItems: 1, maxItems: ITEMS_PER_BATCH_MAX }) },
  { additionalProperties: false },
);
export type DeleteItemsRequest = Static<typeof DeleteItemsRequest>;
/** A page of the catalogue. `after` is the last item of the page before. */
export const ItemsQuery = Type.Object(
  { after: Type.Optional(Id), limit: Type.Optional(Type.Integer({ minimum: 1, maximum: ITEMS_PER_BATCH_MAX })) },
  { additionalProperties: false },
);
export type ItemsQuery = Static<typeof ItemsQuery>;
/** `next` is the `after` of the next page; null behind the last. `total` counts the catalogue. */
export const ItemsPage = Type.Object(
  { total: Type.Integer(), items: Type.Array(Item), next: Type.Union([Id, Type.Null()]) },
  { additionalProperties: false },
);
export type ItemsPage = Static<typeof ItemsPage>;
export const ItemsResponse = Type.Object({ changed: Type.Integer() }, { additionalProperties: false });
export type ItemsResponse = Static<typeof ItemsResponse>;
