import type { TimedEvent } from '../../contracts/event.ts';
import type { EntityKind, EntityRef } from '../../store/contract.ts';
import type { Carried, Feature } from './contract.ts';
import { withInputs } from './derived.ts';
import { matches } from './plan.ts';
import { SetProgram, type StateOf } from './program.ts';
import type { KindSchema } from './schema.ts';
import type { State } from './state.ts';

/** Computes what events take along: the one feature and its inputs, of the states of the event's own entities. */
export class Carrier {
  readonly #declared: Carried;
  readonly #entities: (event: TimedEvent) => EntityRef[];
  readonly #program: SetProgram;
  readonly #kinds: ReadonlySet<EntityKind>;
  readonly #values: Float32Array;

  /** `entities` are those that an event counts for. */
  constructor(
    declared: Carried,
    features: readonly Feature[],
    schemas: ReadonlyMap<EntityKind, KindSchema>,
    entities: (event: TimedEvent) => EntityRef[],
  ) {
    const needed = withInputs(features, declared.feature);
    this.#declared = declared;
    this.#entities = entities;
    this.#program = new SetProgram(needed, schemas);
    this.#kinds = new Set(needed.flatMap((feature) => ('entity' in feature ? [feature.entity] : [])));
    this.#values = new Float32Array(needed.length);
  }

  carriers(event: TimedEvent): EntityRef[] {
    return matches(this.#declared, event) ? this.#entities(event).filter(({ kind }) => this.#kinds.has(kind)) : [];
  }

  carry(event: TimedEvent, carriers: readonly EntityRef[], states: readonly (State | undefined)[]): TimedEvent {
    const stateOf: StateOf = (kind) => states[carriers.findIndex((ref) => ref.kind === kind)];
    this.#program.row({ nowMs: event.timestamp_ms, states: {}, event }, stateOf, [], this.#values, 0);
    const carried = this.#values.at(-1)!;
    return Number.isNaN(carried) ? event : { ...event, carried };
  }
}
