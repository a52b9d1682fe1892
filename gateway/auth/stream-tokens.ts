import { randomBytes } from 'node:crypto';
import { errors as joseErrors, jwtVerify, SignJWT } from 'jose';
import { GatehouseError } from '../../contracts/errors.ts';
import { CHANNELS, type Channel } from '../../contracts/push.ts';
import type { Store } from '../../store/contract.ts';

export interface StreamGrant {
  readonly channels: readonly Channel[];
  readonly expiresMs: number;
}

export interface StreamTokens {
  /** A token for these channels, good for `ttlS` seconds. */
  issue(channels: readonly Channel[], ttlS: number): Promise<{ readonly token: string; readonly expires_ms: number }>;
  /** What a token grants. Rejects with `unauthenticated` when it is forged, of another gateway, or expired. */
  verify(token: string): Promise<StreamGrant>;
}

type DocStore = Pick<Store<never>, 'doc' | 'docs' | 'write'>;

const COLLECTION = 'stream_secrets';
const ISSUER = 'gatehouse';
const AUDIENCE = 'gatehouse:stream';
const ALGORITHM = 'HS256';
/** As long as the hash of HS256: shorter weakens it, longer gains nothing. */
const SECRET_BYTES = 32;
const KID_BYTES = 8;
/** A token of one process may reach another whose clock is behind. */
const CLOCK_TOLERANCE_S = 5;
const KID_FORM = /^[0-9a-f]{16}$/;

/**
 * Tokens signed with a secret that lives in the store, so that every process that shares it takes the others' tokens. Two processes that start
 * at the same instant may each make a secret: tokens name theirs (`kid`), and both stay good.
 */
export async function createStreamTokens(options: {
  readonly store: DocStore;
  readonly now: () => number;
  readonly random?: (bytes: number) => Buffer;
}): Promise<StreamTokens> {
  const { store, now } = options;
  const random = options.random ?? randomBytes;
  const secrets = new Map<string, Uint8Array>();
  for await (const { id, value } of store.docs(COLLECTION)) secrets.set(id, secretOf(value));
  if (secrets.size === 0) {
    const kid = random(KID_BYTES).toString('hex');
    const secret = random(SECRET_BYTES);
    const fact = { kind: 'admin', at_ms: now(), actor: 'gateway', action: 'stream_secret.create', detail: { kid } } as const;
    await store.write([fact], [{ collection: COLLECTION, id: kid, value: secret.toString('base64url') }]);
    secrets.set(kid, secret);
  }
  const kid = [...secrets.keys()].sort()[0]!;

  async function secretFor(wanted: string | undefined): Promise<Uint8Array> {
    if (wanted === undefined || !KID_FORM.test(wanted)) throw denied();
    const known = secrets.get(wanted);
    if (known !== undefined) return known;
    const value = await store.doc(COLLECTION, wanted);
    if (value === undefined) throw denied();
    const secret = secretOf(value);
    secrets.set(wanted, secret);
    return secret;
  }

  return {
    async issue(channels, ttlS) {
      const nowS = Math.floor(now() / 1000);
      const token = await new SignJWT({ channels: [...channels] })
        .setProtectedHeader({ alg: ALGORITHM, kid })
        .setIssuer(ISSUER)
        .setAudience(AUDIENCE)
        .setIssuedAt(nowS)
        .setExpirationTime(nowS + ttlS)
        .sign(await secretFor(kid));
      return { token, expires_ms: (nowS + ttlS) * 1000 };
    },
    async verify(token) {
      try {
        const { payload } = await jwtVerify(token, (header) => secretFor(header.kid), {
          algorithms: [ALGORITHM],
          issuer: ISSUER,
          audience: AUDIENCE,
          clockTolerance: CLOCK_TOLERANCE_S,
          currentDate: new Date(now()),
          requiredClaims: ['exp'],
        });
        return { channels: channelsOf(payload['channels']), expiresMs: (payload.exp ?? 0) * 1000 };
      } catch (error) {
        if (error instanceof joseErrors.JWTExpired) throw new GatehouseError('unauthenticated', 'the stream token has expired', { cause: error });
        if (error instanceof joseErrors.JOSEError) throw denied(error);
        throw error;
      }
    },
  };
}

function denied(cause?: unknown): GatehouseError {
  return new GatehouseError('unauthenticated', 'the stream token is not valid here', { cause });
}

function channelsOf(claim: unknown): readonly Channel[] {
  if (!Array.isArray(claim)) throw denied();
  // A channel that this version does not know grants nothing.
  return CHANNELS.filter((channel) => claim.includes(channel));
}

function secretOf(value: unknown): Uint8Array {
  const secret = typeof value === 'string' ? Buffer.from(value, 'base64url') : undefined;
  if (secret?.length !== SECRET_BYTES)
    throw new GatehouseError('store_incompatible', 'the stream secret in the store has a form that this version does not know');
  return secret;
}
