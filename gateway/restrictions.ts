import { randomBytes } from 'node:crypto';
import { GatehouseError } from '../contracts/errors.ts';
import type { ImposeRequest, Restriction, RestrictionsQuery, RestrictionsResponse } from '../contracts/restriction.ts';
import type { ScoreRequest } from '../contracts/score.ts';
import { restrictable, restrictionKey, restricts } from '../scoring/risk/restrictions.ts';
import type { Store } from '../store/contract.ts';
import type { Audit } from './audit.ts';
import { ERASE_DONE } from './privacy/erasures.ts';
import { isConflict, Serial } from './serial.ts';

export const RESTRICTIONS_COLLECTION = 'restrictions';
/** Some 50 MB. A shop that restricts more people than this at once has a rule gone wrong. */
export const RESTRICTIONS_MAX = 100_000;
const PAGE_DEFAULT = 100;
const HOUR_MS = 3_600_000;
const ID_BYTES = 10;
const NONE: readonly Restriction[] = [];

export interface Restrictions {
  /** Those that hold for a payment now; synchronous, as every payment asks. */
  standing(request: Pick<ScoreRequest, 'user_id' | 'card_id' | 'payment_method'>, nowMs: number): readonly Restriction[];
  /**
   * Holds from now on in this process, and is written behind the caller: ordered before any later write of the store, durable with it. False where there
   * are too many.
   */
  impose(restriction: Restriction): boolean;
  list(query: RestrictionsQuery): RestrictionsResponse;
  /** Resolves when it is durable. Rejects with `restrictions_full` and the store's errors. */
  imposeByHand(request: ImposeRequest, actor: string): Promise<Restriction>;
  /** Rejects with `not_found` and the store's errors; it then still holds. */
  lift(restrictionId: string, reason: string, actor: string): Promise<void>;
  /** Those of a user, of the user's own means of payment, and those that these payments brought about; also what has run out and is still kept. */
  of(userId: string, transactions: ReadonlySet<string>): readonly Restriction[];
  /**
   * Forgets these; a card stays restricted, wherever it turns up, and forgets by which payment. Resolves when the store has. Whoever erases journals it.
   */
  erase(userId: string, transactions: ReadonlySet<string>): Promise<void>;
  /** Forgets what has run out, some at a time. Call it every few seconds. */
  retain(): Promise<void>;
  close(): void;
}

export interface RestrictionsOptions {
  readonly store: Pick<Store<never>, 'docs' | 'doc' | 'write' | 'onForeignFact'>;
  readonly audit: Audit;
  readonly now: () => number;
  /** Told of a write or a reading that failed in the background. */
  readonly onError: (error: unknown) => void;
}

/** Expired restrictions that one call of `retain` forgets. */
const RETAIN_MAX = 1_000;

/** What decisions go on holding, in memory and in the store. Processes that share a store learn of each other's through its journal. */
export async function openRestrictions({ store, audit, now, onError }: RestrictionsOptions): Promise<Restrictions> {
  const byId = new Map<string, Restriction>();
  const byEntity = new Map<string, Restriction[]>();
  const serial = new Serial();

  const drop = (restrictionId: string): void => {
    const gone = byId.get(restrictionId);
    if (gone === undefined) return;
    byId.delete(restrictionId);
    const key = restrictionKey(gone.entity);
    const left = (byEntity.get(key) ?? NONE).filter((one) => one !== gone);
    if (left.length === 0) byEntity.delete(key);
    else byEntity.set(key, left);
  };
  const put = (restriction: Restriction): void => {
    drop(restriction.restriction_id);
    byId.set(restriction.restriction_id, restriction);
    const key = restrictionKey(restriction.entity);
    byEntity.set(key, [...(byEntity.get(key) ?? NONE), restriction]);
  };
  const of = (userId: string, transactions: ReadonlySet<string>): Restriction[] =>
    [...byId.values()].filter(
      ({ entity, transaction_id }) => restricts(entity, userId) || (transaction_id !== undefined && transactions.has(transaction_id)),
    );
  /** Nobody changes one that has run out, so that it goes whoever removes it. */
  const noDoc = (id: string) => ({ collection: RESTRICTIONS_COLLECTION, id, value: undefined });
  /** From what this gateway has read of it, undefined where it is new, to what it is from now on. */
  const change = (id: string, from: Restriction | undefined, to: Restriction | undefined) => ({
    ...{ collection: RESTRICTIONS_COLLECTION, id, value: to },
    expected: { value: from },
  });
  const readAgain = async (id: string): Promise<void> => {
    const written = await store.doc(RESTRICTIONS_COLLECTION, id);
    if (written === undefined) drop(id);
    else put(written as Restriction);
  };

  for await (const { value } of store.docs(RESTRICTIONS_COLLECTION)) put(value as Restriction);
  /** Another gateway erased a person, whom its journal does not name. What this one imposes meanwhile is not among these. */
  const readAllAgain = async (): Promise<void> => {
    const before = [...byId.values()];
    const written = new Map<string, Restriction>();
    for await (const { id, value } of store.docs(RESTRICTIONS_COLLECTION)) written.set(id, value as Restriction);
    for (const one of before) {
      const now = written.get(one.restriction_id);
      if (now === undefined) drop(one.restriction_id);
      else if (byId.get(one.restriction_id) === one) put(now);
    }
  };
  const unsubscribe = store.onForeignFact(({ fact }) => {
    if (fact.kind !== 'admin') return;
    if (fact.action.startsWith('restriction.')) readAgain(String(fact.detail['restriction_id'])).catch(onError);
    else if (fact.action === ERASE_DONE) readAllAgain().catch(onError);
  });

  return {
    standing(request, nowMs) {
      if (byEntity.size === 0) return NONE;
      let found: Restriction[] | undefined;
      for (const entity of restrictable(request)) {
        for (const one of byEntity.get(restrictionKey(entity)) ?? NONE) {
          if (one.from_ms > nowMs || one.until_ms <= nowMs) continue;
          found ??= [];
          found.push(one);
        }
      }
      return found ?? NONE;
    },
    impose(restriction) {
      if (byId.has(restriction.restriction_id)) return true;
      if (byId.size >= RESTRICTIONS_MAX) return false;
      put(restriction);
      const { restriction_id, action, entity, reason, transaction_id } = restriction;
      const detail = { restriction_id, restricts: action, entity, reason, transaction_id };
      store
        .write(
          [{ kind: 'admin', at_ms: now(), actor: 'gatehouse', action: 'restriction.impose', detail }],
          [change(restriction_id, undefined, restriction)],
          { durable: false },
        )
        // Another gateway scored the same payment: what that one imposed holds.
        .catch((error: unknown) => (isConflict(error) ? readAgain(restriction_id) : Promise.reject(error)))
        .catch(onError);
      return true;
    },
    list({ entity_id, skip = 0, limit = PAGE_DEFAULT }) {
      const atMs = now();
      const found = [...byId.values()]
        .filter((one) => one.until_ms > atMs && (entity_id === undefined || one.entity.id === entity_id))
        .sort((a, b) => b.from_ms - a.from_ms || (a.restriction_id < b.restriction_id ? -1 : 1));
      return { total: found.length, restrictions: found.slice(skip, skip + limit) };
    },
    async imposeByHand({ action, entity, reason, hours }, actor) {
      if ((action === 'suspend') !== (entity.kind === 'user'))
        throw new GatehouseError('invalid_request', 'a user is suspended; a card or a payment method is restricted');
      if (byId.size >= RESTRICTIONS_MAX) throw new GatehouseError('restrictions_full', `there are ${RESTRICTIONS_MAX} restrictions already`);
      const atMs = now();
      const restriction: Restriction = {
        restriction_id: `r${randomBytes(ID_BYTES).toString('hex')}`,
        action,
        entity,
        reason,
        from_ms: atMs,
        until_ms: atMs + Math.round(hours * HOUR_MS),
      };
      const detail = { restriction_id: restriction.restriction_id, restricts: action, entity, reason, hours };
      await audit.record({ actor, action: 'restriction.impose', detail }, [change(restriction.restriction_id, undefined, restriction)]);
      put(restriction);
      return restriction;
    },
    lift: (restrictionId, reason, actor) =>
      serial.change(
        async () => {
          const one = byId.get(restrictionId);
          if (one === undefined || one.until_ms <= now()) throw new GatehouseError('not_found', `no restriction ${restrictionId} is in force`);
          const detail = { restriction_id: restrictionId, entity: one.entity, reason };
          await audit.record({ actor, action: 'restriction.lift', detail }, [change(restrictionId, one, undefined)]);
          drop(restrictionId);
        },
        () => readAgain(restrictionId),
      ),
    of,
    erase: (userId, transactions) =>
      serial.change(
        async () => {
          const found = of(userId, transactions);
          const gone = found.filter(({ entity }) => restricts(entity, userId)).map(({ restriction_id }) => restriction_id);
          const stay = found.filter(({ entity }) => !restricts(entity, userId));
          const forgetful = stay.map(({ transaction_id: _, ...rest }): Restriction => rest);
          await store.write([], [...gone.map(noDoc), ...forgetful.map((to, i) => change(to.restriction_id, stay[i], to))]);
          gone.forEach(drop);
          forgetful.forEach(put);
        },
        async () => void (await Promise.all(of(userId, transactions).map(({ restriction_id }) => readAgain(restriction_id)))),
      ),
    async retain() {
      const atMs = now();
      const gone: string[] = [];
      for (const one of byId.values()) {
        if (one.until_ms > atMs) continue;
        gone.push(one.restriction_id);
        if (gone.length === RETAIN_MAX) break;
      }
      if (gone.length === 0) return;
      await store.write([], gone.map(noDoc), { durable: false });
      gone.forEach(drop);
    },
    close: unsubscribe,
  };
}
