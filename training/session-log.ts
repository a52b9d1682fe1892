import type { ShopLog } from './collect.ts';

/** From this share of acts on, visits of nobody in particular are what the log is made of. */
const SHARE_MIN = 0.5;

/**
 * Whether the log is one of sessions: most acts are in a visit with a session id and of no known user. Next in the visit is then all that can be
 * asked for, and all that is there to learn from.
 */
export function isSessionLog({ acts, visits }: Pick<ShopLog, 'acts' | 'visits'>): boolean {
  let anonymous = 0;
  for (let act = 0; act < acts.length; act++) if (acts.user[act]! < 0 && visits[acts.visit[act]!] !== undefined) anonymous++;
  return anonymous > SHARE_MIN * acts.length;
}
