import Type, { type Static } from 'typebox';
import { TimestampMs } from './event.ts';

const strict = { additionalProperties: false };

/** What being on a list means. A rule that asks a `block` list is never overridden by an `allow` rule. */
export const LIST_KINDS = ['block', 'allow', 'watch'] as const;
export type ListKind = (typeof LIST_KINDS)[number];
/** What its entries are. `ip` takes addresses and CIDR ranges. */
export const LIST_SUBJECTS = ['card', 'user', 'device', 'ip', 'email_domain', 'value'] as const;
export type ListSubject = (typeof LIST_SUBJECTS)[number];

/** Lists in all: a team that has more has tags in mind. */
export const LISTS_MAX = 100;
/** Entries of all lists together; they are held in memory, at some 300 bytes each. */
export const LIST_ENTRIES_MAX = 500_000;
/** Lines of one upload: written in one step, which the store takes in well under a second. */
export const LIST_UPLOAD_LINES_MAX = 20_000;
/** 100 characters a line. */
export const LIST_UPLOAD_BYTES_MAX = 4 * 1024 * 1024;
/** Lines that are wrong and named: whoever mends a file wants the pattern, not all of them. */
export const LIST_UPLOAD_ERRORS_MAX = 100;
export const LIST_PAGE_MAX = 1000;

export const ListName = Type.String({ pattern: '^[a-z][a-z0-9_]{0,63}$' });
const Reason = Type.String({ minLength: 1, maxLength: 300 });

export const CreateListRequest = Type.Object(
  { name: ListName, kind: Type.Enum([...LIST_KINDS]), of: Type.Enum([...LIST_SUBJECTS]), description: Type.String({ minLength: 1, maxLength: 300 }) },
  strict,
);
export type CreateListRequest = Static<typeof CreateListRequest>;

export const ListSummary = Type.Object(
  {
    ...CreateListRequest.properties,
    author: Type.String(),
    created_ms: Type.Integer(),
    entries: Type.Integer(),
    /** Live and shadow rules that ask it. */
    used_by: Type.Array(Type.String()),
  },
  strict,
);
export type ListSummary = Static<typeof ListSummary>;
export const ListsResponse = Type.Object({ lists: Type.Array(ListSummary) }, strict);
export type ListsResponse = Static<typeof ListsResponse>;

/** An entry to add. A value that is there already gets the new reason and end. */
export const ListEntryRequest = Type.Object(
  { value: Type.String({ minLength: 1, maxLength: 256 }), reason: Reason, expires_ms: Type.Optional(TimestampMs) },
  strict,
);
export type ListEntryRequest = Static<typeof ListEntryRequest>;
export const AddEntriesRequest = Type.Object({ entries: Type.Array(ListEntryRequest, { minItems: 1, maxItems: 100 }) }, strict);
export type AddEntriesRequest = Static<typeof AddEntriesRequest>;
export const RemoveEntriesRequest = Type.Object(
  { values: Type.Array(Type.String({ minLength: 1, maxLength: 256 }), { minItems: 1, maxItems: 100 }), reason: Reason },
  strict,
);
export type RemoveEntriesRequest = Static<typeof RemoveEntriesRequest>;
export const ListChangeResponse = Type.Object(
  { added: Type.Integer(), replaced: Type.Integer(), removed: Type.Integer(), entries: Type.Integer() },
  strict,
);
export type ListChangeResponse = Static<typeof ListChangeResponse>;

export const ListEntry = Type.Object({ ...ListEntryRequest.properties, author: Type.String(), created_ms: Type.Integer() }, strict);
export type ListEntry = Static<typeof ListEntry>;
export const ListEntriesQuery = Type.Object(
  {
    /** Entries whose value starts so. */
    prefix: Type.Optional(Type.String({ maxLength: 256 })),
    limit: Type.Optional(Type.Integer({ minimum: 1, maximum: LIST_PAGE_MAX })),
  },
  strict,
);
/** The newest first. */
export const ListEntriesResponse = Type.Object({ total: Type.Integer(), entries: Type.Array(ListEntry) }, strict);
export type ListEntriesResponse = Static<typeof ListEntriesResponse>;
