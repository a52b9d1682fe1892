import { hash } from 'node:crypto';
import type { RestrictedEntity, Restriction, RestrictionAction } from '../../contracts/restriction.ts';
import type { DecisionName, Reason, ScoreRequest } from '../../contracts/score.ts';

/** How long a decision goes on, in ms. */
export type RestrictionTerms = Readonly<Record<RestrictionAction, number>>;

type Payer = Pick<ScoreRequest, 'user_id' | 'card_id' | 'payment_method'>;
const REASON_CHARS_MAX = 500;

/** What a payment is made with: its card, or the user's method where there is none. Undefined: the request names neither. */
export function meansOf({ user_id, card_id, payment_method }: Payer): RestrictedEntity | undefined {
  if (card_id !== undefined) return { kind: 'card', id: card_id };
  // A method is no one's alone: of two users who pay by invoice, one is restricted.
  return payment_method === undefined ? undefined : { kind: 'payment_method', id: `${user_id}|${payment_method}` };
}

/** Where a restriction is looked up. */
export function restrictionKey({ kind, id }: RestrictedEntity): string {
  return `${kind}:${id}`;
}

/** Whether it is the user, or a method of that user. The method's name has no bar in it, an id may. */
export function restricts({ kind, id }: RestrictedEntity, userId: string): boolean {
  if (kind === 'user') return id === userId;
  return kind === 'payment_method' && id.slice(0, Math.max(0, id.lastIndexOf('|'))) === userId;
}

/** Every entity whose restrictions hold for a payment. */
export function restrictable(payer: Payer): RestrictedEntity[] {
  const means = meansOf(payer);
  const user: RestrictedEntity = { kind: 'user', id: payer.user_id };
  return means === undefined ? [user] : [user, means];
}

/**
 * What the decision on a payment imposes beyond it; undefined where nothing. Its id follows from the transaction, so that a second decider of the
 * same payment, or a retry after a crash, imposes the same.
 */
export function imposedBy(
  request: Payer & Pick<ScoreRequest, 'transaction_id'>,
  decision: DecisionName,
  reasons: readonly Reason[],
  terms: RestrictionTerms,
  nowMs: number,
): Restriction | undefined {
  if (decision !== 'suspend' && decision !== 'restrict_payment_method') return undefined;
  const entity: RestrictedEntity | undefined = decision === 'suspend' ? { kind: 'user', id: request.user_id } : meansOf(request);
  if (entity === undefined) return undefined;
  return {
    restriction_id: `r${hash('sha1', request.transaction_id, 'hex').slice(0, 20)}`,
    action: decision,
    entity,
    reason: (reasons[0]?.text ?? decision).slice(0, REASON_CHARS_MAX),
    transaction_id: request.transaction_id,
    from_ms: nowMs,
    until_ms: nowMs + terms[decision],
  };
}

/** Why a payment is held by a decision on an earlier one, as a sentence. */
export function reasonOf({ restriction_id, action, entity, reason, until_ms }: Restriction): Reason {
  const what = action === 'suspend' ? 'The user is suspended' : `The ${entity.kind === 'card' ? 'card' : 'payment method'} is restricted`;
  return { code: `restriction:${restriction_id}`, text: `${what} until ${new Date(until_ms).toISOString()}: ${reason}` };
}
