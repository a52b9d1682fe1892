import Type, { type Static } from 'typebox';
import { Id } from './event.ts';

const strict = { additionalProperties: false };

export const ERASURE_STATES = ['running', 'done', 'failed'] as const;

/** The erasure of one person. Its id follows from the user id by a hash, so that it can be found again by who knows that id, and names nobody. */
export const ErasureJob = Type.Object(
  {
    erasure_id: Id,
    /** `failed` is tried again by the next request, and at the next start. */
    state: Type.Enum([...ERASURE_STATES]),
    requested_ms: Type.Integer(),
    done_ms: Type.Union([Type.Integer(), Type.Null()]),
    /** Journal records that this process has looked at, of those that there are; each is looked at twice. */
    scanned: Type.Integer({ minimum: 0 }),
    records: Type.Integer({ minimum: 0 }),
    /** Records of the journal and the alerts log that were replaced since this process took the job up. */
    erased: Type.Integer({ minimum: 0 }),
  },
  strict,
);
export type ErasureJob = Static<typeof ErasureJob>;

/** The newest first. */
export const ErasuresResponse = Type.Object({ erasures: Type.Array(ErasureJob) }, strict);
export type ErasuresResponse = Static<typeof ErasuresResponse>;
