import type { Keyring } from './keyring.ts';

/** How long a browser may remember a preflight: Chrome's own upper limit of 2 hours. */
const MAX_AGE_S = 7200;

/**
 * Headers that let a page of `origin` read the answer; undefined (send none, the browser then refuses) when no publishable key lists it. They are
 * the same for a preflight and for the request behind it. Credentials are never allowed: keys travel in `Authorization`, so no cookie can be abused.
 */
export function corsHeaders(origin: string | undefined, keyring: Pick<Keyring, 'originAllowed'>): Readonly<Record<string, string>> | undefined {
  if (origin === undefined || !keyring.originAllowed(origin)) return undefined;
  return {
    'access-control-allow-origin': origin,
    'access-control-allow-methods': 'GET, POST',
    'access-control-allow-headers': 'authorization, content-type, accept',
    'access-control-expose-headers': 'retry-after, x-request-id',
    'access-control-max-age': String(MAX_AGE_S),
    vary: 'origin',
  };
}
