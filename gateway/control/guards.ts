import { isIP } from 'node:net';
import type { Config } from '../config.ts';

/**
 * Whether a browser may reach the control plane under the host that it was asked for. A page of evil.example can have its own name resolve to this
 * machine (DNS rebinding) and would then count as same-origin here; but it cannot avoid sending that name. An address or `localhost` has no DNS
 * answer to forge, so those pass, and so do probes and scrapers that go by address.
 */
export function hostAllowed(host: string, config: Pick<Config, 'controlHost' | 'controlAllowedHosts'>): boolean {
  const url = URL.canParse(`http://${host}`) ? new URL(`http://${host}`) : undefined;
  if (url === undefined || url.username !== '' || url.pathname !== '/') return false;
  const name = url.hostname.replace(/^\[|\]$/g, '');
  return isIP(name) !== 0 || name === 'localhost' || name === config.controlHost.toLowerCase() || config.controlAllowedHosts.includes(name);
}

/** Where the dashboard opens its stream: as set, or at the host that the page came from. */
export function streamUrlFor(host: string, streamUrl: string | undefined, dataPort: number): string {
  return streamUrl ?? `ws://${new URL(`http://${host}`).hostname}:${dataPort}/v1/stream`;
}

/**
 * Sent with every answer. Scripts and styles come from files of this port alone, so text that slips into the page cannot run; the only other
 * address that the page may talk to is the stream.
 */
export function securityHeaders(streamUrl: string): Readonly<Record<string, string>> {
  const { protocol, host } = new URL(streamUrl);
  return {
    'content-security-policy': [
      "default-src 'none'",
      "script-src 'self'",
      "style-src 'self'",
      "img-src 'self' data:",
      `connect-src 'self' ${protocol}//${host}`,
      "base-uri 'none'",
      "form-action 'none'",
      "frame-ancestors 'none'",
    ].join('; '),
    'x-content-type-options': 'nosniff',
    'x-frame-options': 'DENY',
    'referrer-policy': 'no-referrer',
    'cross-origin-resource-policy': 'same-origin',
    'cross-origin-opener-policy': 'same-origin',
    'cache-control': 'no-store',
  };
}
