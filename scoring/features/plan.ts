import { EVENT_NAMES, type TimedEvent } from '../../contracts/event.ts';
import type { EventFilter, NumericField } from './contract.ts';
import type { ColumnOp, HistorySpec, KindSchema, Level, TopSpec } from './schema.ts';

export interface ColumnStep {
  /** Offset in the row. */
  readonly at: number;
  readonly op: ColumnOp;
  /** Index into NUMERIC_FIELDS; -1 for a plain count. */
  readonly field: number;
}

/** What one sort of event does to one kind of entity, so that applying it looks nothing up. */
export interface Plan {
  readonly levels: readonly { readonly level: Level; readonly steps: readonly ColumnStep[] }[];
  readonly tops: readonly { readonly spec: TopSpec; readonly field: number }[];
  readonly histories: readonly { readonly index: number; readonly spec: HistorySpec }[];
  /** The numeric fields that any step reads. */
  readonly fields: readonly NumericField[];
  /** Whether any step needs the hash of the event's id. */
  readonly needsId: boolean;
}

export const NUMERIC_FIELDS: readonly NumericField[] = ['amount', 'price', 'quantity', 'rating', 'is_fraud', 'carried'];

const NAME_INDEX: ReadonlyMap<string, number> = new Map(EVENT_NAMES.map((name, i) => [name, i]));

/** One plan for each name and `is_fraud` (unknown, no, yes). */
export const PLAN_SLOTS = EVENT_NAMES.length * 3;

/** A chargeback says by itself that the payment was fraud. */
export function isFraud(event: TimedEvent): boolean | undefined {
  return event.is_fraud ?? (event.name === 'chargeback' ? true : undefined);
}

export function matches(filter: EventFilter, event: TimedEvent): boolean {
  if (!filter.events.includes(event.name)) return false;
  if (filter.where === undefined) return true;
  return isFraud(event) === filter.where.equals;
}

function flag(value: boolean | undefined): number {
  return value === undefined ? 0 : value ? 2 : 1;
}

/** Which plan an event has; -1 for an event of no known name. */
export function planSlot(event: TimedEvent): number {
  const name = NAME_INDEX.get(event.name);
  return name === undefined ? -1 : name * 3 + flag(isFraud(event));
}

/** The plan for this event, or null where it changes nothing. Events of the same name and `is_fraud` share one. */
export function planFor(schema: KindSchema, event: TimedEvent): Plan | null {
  const slot = planSlot(event);
  if (slot < 0) return null;
  const known = schema.plans[slot];
  if (known !== undefined) return known;
  const plan = makePlan(schema, event);
  schema.plans[slot] = plan;
  return plan;
}

function makePlan(schema: KindSchema, event: TimedEvent): Plan | null {
  const fields = new Set<NumericField>();
  const fieldIndex = (field: NumericField | undefined): number => {
    if (field === undefined) return -1;
    fields.add(field);
    return NUMERIC_FIELDS.indexOf(field);
  };
  const levels = schema.levels
    .map((level) => ({
      level,
      steps: level.columns.flatMap(({ filter, op, field }, i) => (matches(filter, event) ? [{ at: i + 1, op, field: fieldIndex(field) }] : [])),
    }))
    .filter(({ steps }) => steps.length > 0);
  const tops = schema.tops.flatMap((spec) => (matches(spec.filter, event) ? [{ spec, field: fieldIndex(spec.field) }] : []));
  const histories = schema.histories.flatMap((spec, index) => (matches(spec.filter, event) ? [{ index, spec }] : []));
  if (levels.length + tops.length + histories.length === 0) return null;
  return { levels, tops, histories, fields: [...fields], needsId: tops.some(({ spec }) => spec.role === 'recent' || spec.role === 'values') };
}
