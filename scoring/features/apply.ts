import type { TimedEvent } from '../../contracts/event.ts';
import type { EntityKind, EntityRef } from '../../store/contract.ts';
import type { ItemLookup } from './contract.ts';
import { hash53 } from './hash.ts';
import { keepItem, newHistory } from './history.ts';
import { parseHistory } from './history-codec.ts';
import { networkOf } from './network.ts';
import { type ColumnStep, type Plan, planFor } from './plan.ts';
import { newRows, seekRow } from './rows.ts';
import type { KindSchema } from './schema.ts';
import type { State } from './state.ts';
import { keepDistinct, keepFirst, keepNewest, newTop } from './top.ts';
import { EventValues, keyHashes } from './values.ts';

const values = new EventValues();
const keys: number[] = [];

/** Which field of an event names an entity of a kind, in the order in which `entities` lists them. Networks and items come last. */
const ID_FIELDS = [
  ['user', 'user_id'],
  ['session', 'session_id'],
  ['card', 'card_id'],
  ['device', 'device_id'],
  ['ip', 'ip'],
  ['address', 'address_id'],
  ['merchant', 'merchant_id'],
  ['email_domain', 'email_domain'],
] as const satisfies readonly (readonly [EntityKind, keyof TimedEvent])[];

/** The entities that an event names and whose kind has something to remember of it. */
export function entitiesOf(schemas: ReadonlyMap<EntityKind, KindSchema>, event: TimedEvent): EntityRef[] {
  const refs: EntityRef[] = [];
  for (const [kind, field] of ID_FIELDS) {
    const id = event[field];
    const schema = schemas.get(kind);
    if (id !== undefined && schema && planFor(schema, event)) refs.push({ kind, id });
  }
  const networks = schemas.get('network');
  if (event.ip !== undefined && networks && planFor(networks, event)) refs.push({ kind: 'network', id: networkOf(event.ip) });
  const items = schemas.get('item');
  if (items && event.items && planFor(items, event)) {
    // Most events are of one item, and a set for it costs more than all the rest of the list.
    if (event.items.length === 1) refs.push({ kind: 'item', id: event.items[0]!.item_id });
    else for (const id of new Set(event.items.map((line) => line.item_id))) refs.push({ kind: 'item', id });
  }
  return refs;
}

/** Brings `state` forward in place. Label events count at their own time, which is when they arrived. */
export function applyEvent(ref: EntityRef, state: State, event: TimedEvent, items: ItemLookup): void {
  const plan = planFor(state.schema, event);
  if (plan === null) return;
  values.load(plan.fields, ref, event, items);
  for (const { index, steps } of plan.levels) applyLevel(state, index, steps, event.timestamp_ms);
  if (plan.tops.length > 0) applyTops(ref, state, plan, event, items);
  for (const { index, spec } of plan.histories) {
    const list = state.histories[index] ?? newHistory();
    state.histories[index] = list;
    parseHistory(list, spec.itemsMax);
    for (const line of event.items ?? []) {
      if (ref.kind === 'item' && line.item_id !== ref.id) continue;
      keepItem(list, spec.itemsMax, line.item_id, line.quantity ?? 1, event.timestamp_ms);
    }
  }
}

function applyLevel(state: State, index: number, steps: readonly ColumnStep[], atMs: number): void {
  const level = state.schema.levels[index]!;
  const rows = state.levels[index] ?? newRows(level);
  state.levels[index] = rows;
  const row = seekRow(rows, level, Math.floor(atMs / level.tileMs));
  if (row < 0) return;
  const { data } = rows;
  for (const { at, op, field } of steps) {
    const cell = row + at;
    if (field < 0) {
      data[cell] = data[cell]! + 1;
      continue;
    }
    const { count, sum, min, max } = values.fields[field]!;
    if (op === 'sum') data[cell] = data[cell]! + sum;
    else if (op === 'values') data[cell] = data[cell]! + count;
    else if (op === 'min') data[cell] = Math.min(data[cell]!, min);
    else data[cell] = Math.max(data[cell]!, max);
  }
}

function applyTops(ref: EntityRef, state: State, plan: Plan, event: TimedEvent, items: ItemLookup): void {
  const atMs = event.timestamp_ms;
  const eventKey = plan.needsId ? hash53(event.event_id) : 0;
  for (const { index, spec, field } of plan.tops) {
    const top = state.tops[index] ?? newTop(spec.width);
    state.tops[index] = top;
    if (spec.role === 'first') {
      keepFirst(top, atMs);
    } else if (spec.role === 'recent' || spec.role === 'values') {
      const value = field < 0 ? 0 : values.fields[field]!.last;
      if (field >= 0 && values.fields[field]!.count === 0) continue;
      const place = keepNewest(top, spec.width, spec.entriesMax, atMs, eventKey);
      if (place >= 0) top.data[place * spec.width + 2] = value;
    } else if (spec.of !== undefined) {
      const count = keyHashes(spec.of, ref, event, items, keys);
      for (let i = 0; i < count; i++) {
        const key = keys[i]!;
        if (spec.role === 'distinct') keepDistinct(top, spec.entriesMax, atMs, key);
        else keepNewest(top, spec.width, spec.entriesMax, atMs, key);
      }
    }
  }
}
