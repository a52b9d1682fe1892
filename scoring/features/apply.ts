import type { TimedEvent } from '../../contracts/event.ts';
import type { EntityKind, EntityRef } from '../../store/contract.ts';
import type { ItemLookup } from './contract.ts';
import { hash53 } from './hash.ts';
import { keepItem, newHistory } from './history.ts';
import { parseHistory } from './history-codec.ts';
import { addFirst, addKey, addSighting, addValue } from './lists.ts';
import { networkOf } from './network.ts';
import { PLAN_SLOTS, type Plan, planFor, planSlot } from './plan.ts';
import type { KindSchema } from './schema.ts';
import type { State } from './state.ts';
import { applyLevel } from './tables.ts';
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

/** The kinds that remember something of one sort of event. */
interface Concerned {
  readonly named: readonly (typeof ID_FIELDS)[number][];
  readonly network: boolean;
  readonly item: boolean;
}

/** Lists the entities that an event names and whose kind has something to remember of it. */
export class EntityFinder {
  private readonly schemas: ReadonlyMap<EntityKind, KindSchema>;
  /** By plan slot, made on first use. */
  private readonly concerned: (Concerned | undefined)[] = new Array(PLAN_SLOTS).fill(undefined);

  constructor(schemas: ReadonlyMap<EntityKind, KindSchema>) {
    this.schemas = schemas;
  }

  entities(event: TimedEvent): EntityRef[] {
    const refs: EntityRef[] = [];
    const slot = planSlot(event);
    if (slot < 0) return refs;
    const { named, network, item } = this.concernedAt(slot, event);
    for (let i = 0; i < named.length; i++) {
      const [kind, field] = named[i]!;
      const id = event[field];
      if (id !== undefined) refs.push({ kind, id });
    }
    if (network && event.ip !== undefined) refs.push({ kind: 'network', id: networkOf(event.ip) });
    if (item && event.items) {
      // Most events are of one item, and a set for it costs more than all the rest of the list.
      if (event.items.length === 1) refs.push({ kind: 'item', id: event.items[0]!.item_id });
      else for (const id of new Set(event.items.map((line) => line.item_id))) refs.push({ kind: 'item', id });
    }
    return refs;
  }

  private concernedAt(slot: number, event: TimedEvent): Concerned {
    const known = this.concerned[slot];
    if (known) return known;
    const isConcerned = (kind: EntityKind): boolean => {
      const schema = this.schemas.get(kind);
      return schema !== undefined && planFor(schema, event) !== null;
    };
    const made = { named: ID_FIELDS.filter(([kind]) => isConcerned(kind)), network: isConcerned('network'), item: isConcerned('item') };
    this.concerned[slot] = made;
    return made;
  }
}

/** Brings `state` forward in place. Label events count at their own time, which is when they arrived. */
export function applyEvent(ref: EntityRef, state: State, event: TimedEvent, items: ItemLookup): void {
  const plan = planFor(state.schema, event);
  if (plan === null) return;
  values.load(plan.fields, ref, event, items);
  for (let i = 0; i < plan.levels.length; i++) {
    const { level, steps } = plan.levels[i]!;
    applyLevel(state, level, steps, Math.floor(event.timestamp_ms / level.tileMs), values.fields);
  }
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

function applyTops(ref: EntityRef, state: State, plan: Plan, event: TimedEvent, items: ItemLookup): void {
  const atMs = event.timestamp_ms;
  const eventKey = plan.needsId ? hash53(event.event_id) : 0;
  const { tops } = plan;
  for (let i = 0; i < tops.length; i++) {
    const { spec, field } = tops[i]!;
    const { role, of } = spec;
    if (role === 'first') addFirst(state, spec, atMs);
    else if (of === undefined) {
      if (field < 0) addValue(state, spec, atMs, eventKey, 0);
      else if (values.fields[field]!.count > 0) addValue(state, spec, atMs, eventKey, values.fields[field]!.last);
    } else {
      const count = keyHashes(of, ref, event, items, keys);
      for (let j = 0; j < count; j++) {
        if (role === 'distinct') addKey(state, spec, atMs, keys[j]!);
        else addSighting(state, spec, atMs, keys[j]!);
      }
    }
  }
}
