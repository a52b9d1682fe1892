import type { TimedEvent } from '../contracts/event.ts';
import type { Fact } from '../contracts/fact.ts';
import { Handles } from '../contracts/handles.ts';
import type { EntityState, FeatureEngine, Subject } from '../scoring/features/contract.ts';
import { Catalogue } from '../scoring/recommend/catalogue.ts';
import { ItemNumbersTable } from '../scoring/recommend/item-numbers.ts';
import { RANK_SET } from '../scoring/recommend/pipeline.ts';
import { Trending } from '../scoring/recommend/trending.ts';
import type { EntityKind, EntityRef } from '../store/contract.ts';

/**
 * The shop as the gateway knew it, moved forward one journal record at a time: entity states, catalogue and live popularity, by the very code that
 * the gateway runs. Memory holds one state an entity.
 */
export class Replay {
  readonly engine: FeatureEngine;
  readonly catalogue: Catalogue;
  readonly trending: Trending;
  readonly itemNumbers: ItemNumbersTable;
  readonly #states = new Map<string, EntityState>();
  readonly #lookup = (itemId: string) => this.catalogue.get(itemId);

  /** `handles`: those of the models that are asked about this shop. */
  constructor(engine: FeatureEngine, handles = new Handles()) {
    this.engine = engine;
    this.catalogue = new Catalogue(handles);
    this.trending = new Trending(handles);
    this.itemNumbers = new ItemNumbersTable(engine, RANK_SET, handles);
  }

  apply(fact: Fact): void {
    if (fact.kind === 'event') {
      const { event } = fact;
      for (const ref of this.engine.entities(event)) {
        const key = keyOf(ref);
        this.#states.set(key, this.engine.apply(ref, this.#states.get(key), event, this.#lookup));
      }
      this.trending.add(event);
      this.itemNumbers.touched(event);
    } else if (fact.kind === 'item_put') this.catalogue.put(fact.item);
    else if (fact.kind === 'item_delete') {
      this.catalogue.delete(fact.item_id);
      this.trending.delete(fact.item_id);
    }
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
