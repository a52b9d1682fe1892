import type { EventName, TimedEvent } from '../contracts/event.ts';
import type { Item } from '../contracts/item.ts';
import { VISIT_GAP_MS } from '../scoring/recommend/touched.ts';
import { Column, Names } from './columns.ts';
import type { FactSource } from './facts.ts';
import { Impressions } from './impressions.ts';
import type { ProgressTask } from './progress.ts';

/** How much an act says that the shopper wants the item: 1 looked at it, 2 put it aside, 3 bought it. */
export const ACT_GRADE: Partial<Readonly<Record<EventName, 1 | 2 | 3>>> = {
  view_item: 1,
  select_item: 1,
  add_to_cart: 2,
  add_to_wishlist: 2,
  purchase: 3,
};
export const BOUGHT = 3;

/** Who did what with which item, in journal order, one row an item of an event. */
export interface Acts {
  readonly length: number;
  /** Position of the event's record among all records. */
  readonly record: Uint32Array;
  readonly atMs: Float64Array;
  /** Position in `users`; -1 for an anonymous visitor. */
  readonly user: Int32Array;
  /** Position in `visits`. */
  readonly visit: Uint32Array;
  /** Position in `items`. */
  readonly item: Uint32Array;
  readonly grade: Uint8Array;
}

export interface Outcome {
  readonly isFraud: boolean;
  /** When it became known. */
  readonly atMs: number;
}

/** One pass over the journal: what the learners need to know before the replay. */
export interface ShopLog {
  readonly records: number;
  readonly events: number;
  readonly lastOffset: number;
  readonly fromMs: number;
  readonly toMs: number;
  readonly users: Names;
  readonly items: Names;
  readonly acts: Acts;
  /** Session id of each visit; undefined where the shop sent none. */
  readonly visits: readonly (string | undefined)[];
  /** The catalogue at the end. */
  readonly catalogue: ReadonlyMap<string, Item>;
  /** What payments turned out to be, by transaction. */
  readonly outcomes: ReadonlyMap<string, Outcome>;
  /** When each was made. */
  readonly paymentsMs: Float64Array;
  /** Time from payment to report, of all frauds whose payment is in the journal. */
  readonly fraudDelaysMs: Float64Array;
  /** The gateway's own lists that were shown. */
  readonly impressions: Impressions;
  readonly checks: LogChecks;
}

/** What may be wrong with the data. */
export interface LogChecks {
  /** Events older than one before them. */
  readonly outOfOrder: number;
  /** Acts on items that no `item` record described by then. */
  readonly unknownItems: number;
  /** Outcomes that came before their payment: a label from the future. */
  readonly outcomesTooEarly: number;
  /** Outcomes of payments that are not in the journal. */
  readonly outcomesAlone: number;
}

export interface CollectOptions {
  /** Outcomes that arrived later are not known. */
  readonly outcomesUntilMs: number;
  readonly progress: ProgressTask;
  readonly check: () => void;
}

/** Reads the journal once. Memory grows with acts and payments, not with the size of events. */
export async function collect(source: FactSource, options: CollectOptions): Promise<ShopLog> {
  const users = new Names();
  const items = new Names();
  const catalogue = new Map<string, Item>();
  const visits: (string | undefined)[] = [];
  const visitOf = new Map<string, { visit: number; lastMs: number }>();
  const outcomes = new Map<string, Outcome>();
  const paidMs = new Map<string, number>();
  const impressions = new Impressions();
  const delays = new Column((length) => new Float64Array(length));
  const columns = {
    record: new Column((length) => new Uint32Array(length)),
    atMs: new Column((length) => new Float64Array(length)),
    user: new Column((length) => new Int32Array(length)),
    visit: new Column((length) => new Uint32Array(length)),
    item: new Column((length) => new Uint32Array(length)),
    grade: new Column((length) => new Uint8Array(length)),
  };
  const checks = { outOfOrder: 0, unknownItems: 0, outcomesTooEarly: 0, outcomesAlone: 0 };
  let [records, events, lastOffset, fromMs, toMs] = [0, 0, 0, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY];

  const visitFor = (event: TimedEvent, user: number): number => {
    const key = event.session_id === undefined ? `u${user}` : `s${event.session_id}`;
    const known = visitOf.get(key);
    if (known && (event.session_id !== undefined || event.timestamp_ms - known.lastMs < VISIT_GAP_MS)) {
      known.lastMs = event.timestamp_ms;
      return known.visit;
    }
    const visit = visits.push(event.session_id) - 1;
    visitOf.set(key, { visit, lastMs: event.timestamp_ms });
    return visit;
  };

  const takeAct = (event: TimedEvent, grade: number): void => {
    const user = event.user_id === undefined ? -1 : users.add(event.user_id);
    const visit = visitFor(event, user);
    for (const { item_id } of event.items ?? []) {
      if (!catalogue.has(item_id)) checks.unknownItems++;
      columns.record.push(records);
      columns.atMs.push(event.timestamp_ms);
      columns.user.push(user);
      columns.visit.push(visit);
      columns.item.push(items.add(item_id));
      columns.grade.push(grade);
    }
  };

  const takeOutcome = (event: TimedEvent, isFraud: boolean): void => {
    const id = event.transaction_id;
    if (id === undefined || event.timestamp_ms > options.outcomesUntilMs) return;
    const paid = paidMs.get(id);
    if (paid === undefined) checks.outcomesAlone++;
    else if (event.timestamp_ms < paid) {
      checks.outcomesTooEarly++;
      return;
    } else if (isFraud) delays.push(event.timestamp_ms - paid);
    // The last word counts: an analyst may overrule a first guess.
    outcomes.set(id, { isFraud, atMs: event.timestamp_ms });
  };

  for await (const { offset, fact } of source.read()) {
    impressions.take(fact, records);
    if (fact.kind === 'item_put') catalogue.set(fact.item.item_id, fact.item);
    else if (fact.kind === 'item_delete') catalogue.delete(fact.item_id);
    else if (fact.kind === 'event') {
      const { event } = fact;
      events++;
      if (event.timestamp_ms < toMs) checks.outOfOrder++;
      fromMs = Math.min(fromMs, event.timestamp_ms);
      toMs = Math.max(toMs, event.timestamp_ms);
      const grade = ACT_GRADE[event.name];
      if (grade !== undefined) takeAct(event, grade);
      else if (event.name === 'payment_attempt') paidMs.set(event.transaction_id ?? event.event_id, event.timestamp_ms);
      else if (event.name === 'chargeback') takeOutcome(event, event.is_fraud ?? true);
      else if (event.name === 'label') takeOutcome(event, event.is_fraud === true);
    }
    lastOffset = offset;
    records++;
    if (records % PROGRESS_RECORDS === 0) {
      options.progress.update(records, source.count);
      options.check();
    }
  }
  return {
    records,
    events,
    lastOffset,
    fromMs: events > 0 ? fromMs : 0,
    toMs: events > 0 ? toMs : 0,
    users,
    items,
    visits,
    acts: {
      length: columns.record.length,
      record: columns.record.view(),
      atMs: columns.atMs.view(),
      user: columns.user.view(),
      visit: columns.visit.view(),
      item: columns.item.view(),
      grade: columns.grade.view(),
    },
    catalogue,
    outcomes,
    paymentsMs: Float64Array.from(paidMs.values()),
    fraudDelaysMs: delays.view(),
    impressions,
    checks,
  };
}

/** Reports and looks for an abort this often. */
export const PROGRESS_RECORDS = 2_000;
