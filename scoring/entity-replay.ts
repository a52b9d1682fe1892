import type { TimedEvent } from '../contracts/event.ts';
import type { Fact } from '../contracts/fact.ts';
import { ENTITY_KINDS, type EntityKind } from '../store/contract.ts';
import type { EntityState, FeatureEngine, Subject } from './features/contract.ts';
import { Catalogue } from './recommend/catalogue.ts';

/**
 * Entity states and catalogue as the gateway knew them, moved forward one journal record at a time by the very code that the gateway runs. Memory
 * holds one state an entity.
 */
export class EntityReplay {
  readonly engine: FeatureEngine;
  readonly catalogue: Catalogue;
  /** By id, a map a kind: keys of both would have to be made, and hashed, for each look-up. */
  readonly #states = Object.fromEntries(ENTITY_KINDS.map((kind) => [kind, new Map<string, EntityState>()])) as Readonly<
    Record<EntityKind, Map<string, EntityState>>
  >;
  readonly #lookup = (itemId: string) => this.catalogue.get(itemId);

  constructor(engine: FeatureEngine, catalogue = new Catalogue()) {
    this.engine = engine;
    this.catalogue = catalogue;
  }

  /** Entities that have a state. */
  get entities(): number {
    let count = 0;
    for (const kind of ENTITY_KINDS) count += this.#states[kind].size;
    return count;
  }

  apply(fact: Fact): void {
    if (fact.kind === 'event') {
      const { event } = fact;
      for (const ref of this.engine.entities(event)) {
        const states = this.#states[ref.kind];
        const before = states.get(ref.id);
        const state = this.engine.apply(ref, before, event, this.#lookup);
        // As a rule it was changed in place.
        if (state !== before) states.set(ref.id, state);
      }
    } else if (fact.kind === 'item_put') this.catalogue.put(fact.item);
    else if (fact.kind === 'item_delete') this.catalogue.delete(fact.item_id);
  }

  /** The event with what it takes along of the states as they are now: of a history that comes from no journal. */
  carrying(event: TimedEvent): TimedEvent {
    return this.engine.carry(
      event,
      this.engine.carriers(event).map(({ kind, id }) => this.#states[kind].get(id)),
    );
  }

  state(kind: EntityKind, id: string | undefined): EntityState | undefined {
    return id === undefined ? undefined : this.#states[kind].get(id);
  }

  /** What a payment's vector is read from: the states of all that it names, itself included. Items are many and say nothing of fraud. */
  paymentSubject(event: TimedEvent): Subject {
    const states: Partial<Record<EntityKind, EntityState | undefined>> = {};
    for (const { kind, id } of this.engine.entities(event)) if (kind !== 'item') states[kind] = this.#states[kind].get(id);
    return { nowMs: event.timestamp_ms, states, event };
  }
}
