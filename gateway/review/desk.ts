import { GatehouseError } from '../../contracts/errors.ts';
import type { TimedEvent } from '../../contracts/event.ts';
import type { Alert } from '../../contracts/push.ts';
import {
  type CaseState,
  NOTES_MAX,
  type PrecisionResponse,
  type ReviewCase,
  type ReviewsQuery,
  type ReviewsResponse,
  type VerdictRequest,
} from '../../contracts/review.ts';
import { inBase, type RateTable } from '../../scoring/rates.ts';
import type { AlertRecord, Store } from '../../store/contract.ts';
import type { Audit } from '../audit.ts';
import { ERASE_DONE } from '../privacy/erasures.ts';
import { precisionByReason } from './precision.ts';

export const REVIEWS_COLLECTION = 'reviews';
/** A desk that has more waiting works through none of it from the end: the oldest leave the queue and stay in the alerts log. Some 20 MB. */
const WAITING_MAX = 20_000;
/** Closed cases that are kept: what precision is judged by. The oldest go; journal and labels keep what was decided. */
const CLOSED_MAX = 50_000;
const ALERTS_PAGE = 1_000;
const PAGE_DEFAULT = 50;
/** Later events that a case shows: a payment has a chargeback, a refund, a label or two. */
const OUTCOMES_MAX = 20;

export interface ReviewDesk {
  /** Throws `not_found`. */
  get(caseId: string): ReviewCase;
  list(query: ReviewsQuery): ReviewsResponse;
  precision(): PrecisionResponse;
  /** Rejects with `not_found`, `case_closed`, and the store's errors. */
  assign(caseId: string, assignee: string | null, actor: string): Promise<ReviewCase>;
  /** Rejects with `not_found`, `case_full`, and the store's errors. */
  note(caseId: string, text: string, actor: string): Promise<ReviewCase>;
  /** Labels the payment, then closes the case; doing it again after a failure ends the same. Rejects with `not_found` and the store's errors. */
  decide(caseId: string, request: VerdictRequest, actor: string): Promise<ReviewCase>;
  /** A later event on some payment: the case of the payment, if there is one, shows it. */
  happened(event: TimedEvent): Promise<void>;
  /** Every case, waiting or closed, for which `owns` says yes. */
  find(owns: (one: ReviewCase) => boolean): readonly ReviewCase[];
  /** Forgets these cases; resolves when the store has. Whoever erases journals it. */
  erase(cases: readonly ReviewCase[]): Promise<void>;
  close(): void;
}

export interface ReviewDeskOptions {
  readonly store: Pick<Store<never>, 'alerts' | 'alertsPosition' | 'onAlert' | 'doc' | 'docs' | 'onForeignFact' | 'write'>;
  readonly audit: Audit;
  /** What amounts are compared at; undefined where all are in one currency. */
  readonly rates: RateTable | undefined;
  readonly now: () => number;
  /** Counts the label like any event of the shop, durable when it resolves. */
  readonly label: (event: TimedEvent) => Promise<void>;
  /** Told when a case that another process changed could not be read again. */
  readonly onError: (error: unknown) => void;
}

/**
 * The queue of decisions that a person looks at: every alert of a decision is a case. What was done with a case is a document beside the alerts log;
 * a case that nobody has touched has none. Waiting and closed cases are in memory.
 */
export async function openReviewDesk({ store, audit, rates, now, label, onError }: ReviewDeskOptions): Promise<ReviewDesk> {
  const cases = new Map<string, ReviewCase>();
  const byTransaction = new Map<string, string>();

  const put = (one: ReviewCase): void => {
    // Set anew, so that a map's order is that of the last change and the oldest come first.
    cases.delete(one.case_id);
    cases.set(one.case_id, one);
    byTransaction.set(one.transaction_id, one.case_id);
  };
  const drop = (one: ReviewCase): void => {
    cases.delete(one.case_id);
    if (byTransaction.get(one.transaction_id) === one.case_id) byTransaction.delete(one.transaction_id);
  };
  const counts = { open: 0, assigned: 0, closed: 0 };
  const recount = (from: CaseState | undefined, to: CaseState | undefined): void => {
    if (from !== undefined) counts[from]--;
    if (to !== undefined) counts[to]++;
  };
  const set = (one: ReviewCase): void => {
    recount(cases.get(one.case_id)?.state, one.state);
    put(one);
  };
  const forget = (one: ReviewCase): void => {
    recount(one.state, undefined);
    drop(one);
  };
  const take = ({ alert }: AlertRecord): void => {
    if (cases.has(alert.alert_id)) return;
    const opened = caseOf(alert);
    if (opened === undefined) return;
    set(opened);
    if (counts.open <= WAITING_MAX) return;
    for (const one of cases.values()) {
      if (one.state !== 'open') continue;
      forget(one);
      return;
    }
  };
  /** Closed cases over the limit, the oldest first: their documents go with the next change. */
  const outdated = (): ReviewCase[] => {
    const over: ReviewCase[] = [];
    if (counts.closed < CLOSED_MAX) return over;
    for (const one of cases.values()) {
      if (over.length > counts.closed - CLOSED_MAX) break;
      if (one.state === 'closed') over.push(one);
    }
    return over;
  };

  const touched: ReviewCase[] = [];
  for await (const { value } of store.docs(REVIEWS_COLLECTION)) touched.push(value as ReviewCase);
  touched.sort((a, b) => (a.decided_ms ?? a.opened_ms) - (b.decided_ms ?? b.opened_ms));
  for (const one of touched) set(one);
  const unsubscribe = store.onAlert(take);
  for await (const page of newestAlerts(store)) page.forEach(take);
  /** Another gateway erased a person, whom its journal does not name: what a start would not find any more goes. */
  const forgetErased = async (): Promise<void> => {
    const before = [...cases.keys()];
    const known = new Set<string>();
    for await (const { id } of store.docs(REVIEWS_COLLECTION)) known.add(id);
    for await (const page of newestAlerts(store)) for (const { alert } of page) known.add(alert.alert_id);
    for (const id of before) {
      const one = cases.get(id);
      if (one !== undefined && !known.has(id)) forget(one);
    }
  };
  const unsubscribeForeign = store.onForeignFact(({ fact }) => {
    if (fact.kind !== 'admin') return;
    if (fact.action === ERASE_DONE) forgetErased().catch(onError);
    if (!fact.action.startsWith('review.')) return;
    const caseId = String(fact.detail['case_id']);
    store
      .doc(REVIEWS_COLLECTION, caseId)
      .then((value) => value !== undefined && set(value as ReviewCase))
      .catch(onError);
  });

  const get = (caseId: string): ReviewCase => {
    const found = cases.get(caseId);
    if (found === undefined) throw new GatehouseError('not_found', `there is no case ${caseId} in the queue`);
    return found;
  };
  /** The change, its document and its place in the audit are one step. */
  const change = async (one: ReviewCase, actor: string, action: string, detail: Record<string, unknown>): Promise<ReviewCase> => {
    const gone = one.state === 'closed' ? outdated() : [];
    await audit.record({ actor, action, detail: { case_id: one.case_id, transaction_id: one.transaction_id, ...detail } }, [
      { collection: REVIEWS_COLLECTION, id: one.case_id, value: one },
      ...gone.map(({ case_id }) => ({ collection: REVIEWS_COLLECTION, id: case_id, value: undefined })),
    ]);
    gone.forEach(forget);
    set(one);
    return one;
  };
  const withNote = (one: ReviewCase, text: string | undefined, actor: string): ReviewCase => {
    if (text === undefined) return one;
    if (one.notes.length >= NOTES_MAX) throw new GatehouseError('case_full', `the case has ${NOTES_MAX} notes already`);
    return { ...one, notes: [...one.notes, { at_ms: now(), actor, text }] };
  };

  return {
    get,
    list: (query) => listCases(cases, counts, ordersWith(rates), query),
    precision: () => precisionByReason([...cases.values()].filter(({ verdict }) => verdict !== null)),
    async assign(caseId, assignee, actor) {
      const one = get(caseId);
      if (one.state === 'closed') throw new GatehouseError('case_closed', `the case was decided: ${one.verdict}`);
      return change({ ...one, assignee, state: assignee === null ? 'open' : 'assigned' }, actor, 'review.assign', { assignee });
    },
    note: async (caseId, text, actor) => change(withNote(get(caseId), text, actor), actor, 'review.note', {}),
    async decide(caseId, { verdict, note }, actor) {
      const noted = withNote(get(caseId), note, actor);
      const atMs = now();
      await label({
        // The same verdict on the same case is the same label, however often it is tried; a changed mind is another one.
        event_id: `review.${caseId}.${verdict}.${noted.decided_ms ?? 0}`,
        name: 'label',
        timestamp_ms: atMs,
        transaction_id: noted.transaction_id,
        is_fraud: verdict === 'fraud',
      });
      // Labelling told the case of its own label.
      const { outcomes } = get(caseId);
      const closed: ReviewCase = { ...noted, outcomes, state: 'closed', verdict, decided_by: actor, decided_ms: atMs };
      return change(closed, actor, 'review.decide', { verdict });
    },
    async happened(event) {
      const caseId = event.transaction_id === undefined ? undefined : byTransaction.get(event.transaction_id);
      const one = caseId === undefined ? undefined : cases.get(caseId);
      if (one === undefined || one.outcomes.length >= OUTCOMES_MAX) return;
      const outcome = { name: event.name, at_ms: event.timestamp_ms, ...(event.is_fraud === undefined ? {} : { is_fraud: event.is_fraud }) };
      const seen = { ...one, outcomes: [...one.outcomes, outcome] };
      set(seen);
      await store.write([], [{ collection: REVIEWS_COLLECTION, id: seen.case_id, value: seen }], { durable: false });
    },
    find: (owns) => [...cases.values()].filter(owns),
    async erase(gone) {
      await store.write(
        [],
        gone.map(({ case_id }) => ({ collection: REVIEWS_COLLECTION, id: case_id, value: undefined })),
      );
      for (const { case_id } of gone) {
        const one = cases.get(case_id);
        if (one) forget(one);
      }
    },
    close() {
      unsubscribe();
      unsubscribeForeign();
    },
  };
}

/** The end of the alerts log, as much of it as may wait. */
async function* newestAlerts(store: Pick<Store<never>, 'alerts' | 'alertsPosition'>): AsyncGenerator<readonly AlertRecord[]> {
  const { offset, first } = await store.alertsPosition();
  for (let after = Math.max(first - 1, offset - WAITING_MAX); after < offset; ) {
    const page = await store.alerts(after, ALERTS_PAGE);
    if (page.length === 0) return;
    yield page;
    after = page.at(-1)!.offset;
  }
}

/** Undefined for an alert that is about no payment. */
function caseOf(alert: Alert): ReviewCase | undefined {
  const { transaction_id, decision } = alert;
  if (alert.kind !== 'decision' || transaction_id === undefined || decision === undefined) return undefined;
  return {
    case_id: alert.alert_id,
    opened_ms: alert.at_ms,
    state: 'open',
    severity: alert.severity,
    decision,
    title: alert.title,
    transaction_id,
    ...(alert.user_id === undefined ? {} : { user_id: alert.user_id }),
    ...(alert.amount === undefined ? {} : { amount: alert.amount }),
    ...(alert.currency === undefined ? {} : { currency: alert.currency }),
    probability: alert.probability ?? null,
    codes: alert.codes ?? [],
    reasons: alert.reasons ?? [],
    assignee: null,
    verdict: null,
    decided_by: null,
    decided_ms: null,
    notes: [],
    outcomes: [],
  };
}

type Order = (a: ReviewCase, b: ReviewCase) => number;
type Orders = Readonly<Record<NonNullable<ReviewsQuery['sort']>, Order>>;

function ordersWith(rates: RateTable | undefined): Orders {
  /** The amount that is expected to be lost, in the shop's own currency; a rule's hit without a model's word counts whole. */
  const atRisk = ({ amount = 0, currency, probability }: ReviewCase): number => inBase(amount, currency, rates) * (probability ?? 1);
  return {
    risk: (a, b) => atRisk(b) - atRisk(a) || b.opened_ms - a.opened_ms,
    newest: (a, b) => b.opened_ms - a.opened_ms,
    oldest: (a, b) => a.opened_ms - b.opened_ms,
  };
}

function listCases(cases: ReadonlyMap<string, ReviewCase>, counts: ReviewsResponse['counts'], orders: Orders, query: ReviewsQuery): ReviewsResponse {
  const { state, assignee, decision, code, sort = 'risk', skip = 0, limit = PAGE_DEFAULT } = query;
  const found = [...cases.values()].filter(
    (one) =>
      (state === undefined || one.state === state) &&
      (assignee === undefined || one.assignee === assignee) &&
      (decision === undefined || one.decision === decision) &&
      (code === undefined || one.codes.includes(code)),
  );
  return { counts: { ...counts }, total: found.length, cases: found.sort(orders[sort]).slice(skip, skip + limit) };
}
