import { hash } from 'node:crypto';

/**
 * Whether a user is among the share of users on whom a challenger is tried. The same user always gets the same answer for the same challenger, in every
 * process; who is in at a smaller share stays in at a larger one; two challengers divide the users differently.
 */
export function takesPart(userId: string, challenger: string, share: number): boolean {
  if (share <= 0) return false;
  if (share >= 1) return true;
  return Number.parseInt(hash('sha1', `${challenger}\n${userId}`, 'hex').slice(0, 8), 16) < share * 2 ** 32;
}
