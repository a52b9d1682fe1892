import type { TimedEvent } from '../contracts/event.ts';
import type { Fact } from '../contracts/fact.ts';
import type { EntityKind, EntityRef } from '../store/contract.ts';
import type { EntityState, FeatureEngine, Subject } from './features/contract.ts';
import { Catalogue } from './recommend/catalogue.ts';

/**
 * Entity states and catalogue as the gateway knew them, moved forward one journal record at a time by the very code that the gateway runs. Memory
 * holds one state an entity.
 */
export class EntityReplay {
  readonly engine: FeatureEngine;
  readonly catalogue: Catalogue;
  readonly #states = new Map<string, EntityState>();
  readonly #lookup = (itemId: string) => this.catalogue.get(itemId);

  constructor(engine: FeatureEngine, catalogue = new Catalogue()) {
    this.engine = engine;
    this.catalogue = catalogue;
  }

  /** Entities that have a state. */
  get entities(): number {
    return this.#states.size;
  }

  apply(fact: Fact): void {
    if (fact.kind === 'event') {
      const { event } = fact;
      for (const ref of this.engine.entities(event)) {
        const key = keyOf(ref);
        this.#states.set(key, this.engine.apply(ref, this.#states.get(key), event, this.#lookup));
      }
    } else if (fact.kind === 'item_put') this.catalogue.put(fact.item);
    else if (fact.kind === 'item_delete') this.catalogue.delete(fact.item_id);
  }

  /** The event with what it takes along of the states as they are now: of a history that comes from no journal. */
  carrying(event: TimedEvent): TimedEvent {
    return this.engine.carry(
      event,
      this.engine.carriers(event).map(({ kind, id }) => this.state(kind, id)),
    );
  }

  state(kind: EntityKind, id: string | undefined): EntityState | undefined {
    return id === undefined ? undefined : this.#states.get(keyOf({ kind, id }));
  }

  /** What a payment's vector is read from: the states of all that it names, itself included. Items are many and say nothing of fraud. */
  paymentSubject(event: TimedEvent): Subject {
    const states: Partial<Record<EntityKind, EntityState | undefined>> = {};
    for (const ref of this.engine.entities(event)) if (ref.kind !== 'item') states[ref.kind] = this.#states.get(keyOf(ref));
    return { nowMs: event.timestamp_ms, states, event };
  }
}

function keyOf({ kind, id }: EntityRef): string {
  return `${kind}:${id}`;
}
