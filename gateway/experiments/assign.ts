import { hash } from 'node:crypto';

/** Which of the weights a visitor falls to: the same one in every process and at any time, and independent of what they get in other experiments. */
export function assign(experimentId: string, visitor: string, weights: readonly number[]): number {
  const place = Number.parseInt(hash('sha1', `experiment\n${experimentId}\n${visitor}`, 'hex').slice(0, 12), 16) / 2 ** 48;
  let left = place * weights.reduce((a, b) => a + b);
  for (const [n, weight] of weights.entries()) {
    if (left < weight) return n;
    left -= weight;
  }
  return weights.length - 1;
}

/** Who a request or an event is of: the user where one is known, else the session; undefined for nobody. A session that logs in is another visitor. */
export function visitorOf({ user_id, session_id }: { readonly user_id?: string; readonly session_id?: string }): string | undefined {
  if (user_id !== undefined) return `u${user_id}`;
  return session_id === undefined ? undefined : `s${session_id}`;
}
