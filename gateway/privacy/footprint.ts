import { hash } from 'node:crypto';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { GatehouseError } from '../../contracts/errors.ts';
import type { Fact } from '../../contracts/fact.ts';
import type { Alert } from '../../contracts/push.ts';
import type { RestrictedEntity } from '../../contracts/restriction.ts';
import type { ReviewCase } from '../../contracts/review.ts';
import { restricts } from '../../scoring/risk/restrictions.ts';
import type { JournalRecord, Store } from '../../store/contract.ts';

/** Sessions, and payments, of one person: a session an hour for ten years. More under one id is a shared one such as `guest`. */
export const FOOTPRINT_IDS_MAX = 100_000;
/** Journal records looked at before the event loop gets its turn: some 3 ms. */
const PAGE_RECORDS = 512;
const REFERENCE_HEX = 32;

/** What the audit calls a person, so that it says who was read or erased to those who know the id, and to nobody else. */
export function referenceOf(userId: string): string {
  return `u${hash('sha256', userId, 'hex').slice(0, REFERENCE_HEX)}`;
}

interface Named {
  readonly user_id?: string | undefined;
  readonly session_id?: string | undefined;
  readonly transaction_id?: string | undefined;
}

/**
 * What belongs to one person: what names the user, and what names no user but a session or a payment of that user. `learn` has to see the whole
 * journal first, because a session is anonymous until its login.
 */
export class Footprint {
  readonly userId: string;
  readonly sessions: Set<string>;
  readonly transactions: Set<string>;

  constructor(userId: string, sessions: Iterable<string> = [], transactions: Iterable<string> = []) {
    this.userId = userId;
    this.sessions = new Set(sessions);
    this.transactions = new Set(transactions);
  }

  /** Throws `user_too_large`. */
  learn(fact: Fact): void {
    if (fact.kind === 'event') this.#learn(fact.event);
    else if (fact.kind === 'decision' || fact.kind === 'recommendation') this.#learn(fact.request);
  }

  owns(fact: Fact): boolean {
    switch (fact.kind) {
      case 'event':
        return this.#names(fact.event);
      case 'decision':
      case 'recommendation':
        return this.#names(fact.request);
      case 'alert':
        return this.#names(fact.alert);
      case 'admin':
        return this.#inDetail(fact.detail);
      default:
        return false;
    }
  }

  /** Of an alert, or of the review case that it opened. */
  ownsCase(one: Alert | ReviewCase): boolean {
    return this.#names(one);
  }

  #names({ user_id, session_id, transaction_id }: Named): boolean {
    if (user_id !== undefined) return user_id === this.userId;
    return (session_id !== undefined && this.sessions.has(session_id)) || (transaction_id !== undefined && this.transactions.has(transaction_id));
  }

  #inDetail({ user_id, transaction_id, entity }: Readonly<Record<string, unknown>>): boolean {
    if (user_id === this.userId || (typeof transaction_id === 'string' && this.transactions.has(transaction_id))) return true;
    return typeof entity === 'object' && entity !== null && restricts(entity as RestrictedEntity, this.userId);
  }

  #learn({ user_id, session_id, transaction_id }: Named): void {
    if (user_id !== this.userId) return;
    if (session_id !== undefined) this.sessions.add(session_id);
    if (transaction_id !== undefined) this.transactions.add(transaction_id);
    if (this.sessions.size > FOOTPRINT_IDS_MAX || this.transactions.size > FOOTPRINT_IDS_MAX)
      throw new GatehouseError('user_too_large', `more than ${FOOTPRINT_IDS_MAX} sessions or payments are stored under this id`);
  }
}

/** The journal from its oldest record on, up to `last`, in pages with a turn of the event loop between them. */
export async function* journalPages(store: Pick<Store<never>, 'read'>, last: number): AsyncGenerator<readonly JournalRecord[]> {
  for (let after = 0; after < last; ) {
    const page = await store.read(after, Math.min(PAGE_RECORDS, last - after));
    const end = page.at(-1)?.offset;
    if (end === undefined) return;
    yield page;
    after = end;
    await nextTurn();
  }
}
