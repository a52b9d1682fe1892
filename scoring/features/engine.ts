import { GatehouseError } from '../../contracts/errors.ts';
import type { TimedEvent } from '../../contracts/event.ts';
import type { EntityKind, EntityRef } from '../../store/contract.ts';
import { applyEvent, entitiesOf } from './apply.ts';
import { Carrier } from './carried.ts';
import { decodeState, encodeState, stateCodec } from './codec.ts';
import type { EntityState, FeatureDeclarations, FeatureEngine, HistoryEntry } from './contract.ts';
import { explainFeature } from './explain.ts';
import { parseHistory } from './history-codec.ts';
import { SetProgram, type StateOf } from './program.ts';
import { compileSchemas, emptySchema, type KindSchema } from './schema.ts';
import { setHash } from './set-hash.ts';
import { State } from './state.ts';
import { validateDeclarations } from './validate.ts';

/**
 * The engine for these declarations. Throws `config_invalid` where they are wrong. Compiling takes a few milliseconds: make one engine and
 * keep it. Its scratch buffers are shared by its calls, which are all synchronous.
 */
export function createFeatureEngine(declarations: FeatureDeclarations): FeatureEngine {
  validateDeclarations(declarations);
  const schemas = new Map<EntityKind, KindSchema>(compileSchemas(declarations));
  const sets = new Map(
    Object.entries(declarations.sets).map(([name, features]) => [
      name,
      { features, program: new SetProgram(features, schemas), hash: setHash(features, declarations) },
    ]),
  );
  const entities = (event: TimedEvent): EntityRef[] => entitiesOf(schemas, event);
  const { carried } = declarations;
  const carrier = carried && new Carrier(carried, declarations.sets[carried.set]!, schemas, entities);

  /** A kind that nothing is declared of still has a (bare) state, always of the same schema. */
  const schemaOf = (kind: EntityKind): KindSchema => {
    const schema = schemas.get(kind) ?? emptySchema(kind);
    schemas.set(kind, schema);
    return schema;
  };

  const setOf = (name: string) => {
    const set = sets.get(name);
    if (!set) throw new GatehouseError('bundle_incompatible', `there is no feature set "${name}"; declared are ${[...sets.keys()].join(', ')}`);
    return set;
  };

  /** The state in this engine's own shape. One made by an engine with other declarations (a cache that outlived a swap) is carried over. */
  const own = (state: EntityState): State => {
    if (!(state instanceof State)) throw new Error('this state was not made by the feature engine');
    return schemas.get(state.kind) === state.schema ? state : decodeState(schemaOf, encodeState(state));
  };
  const ownOrNone = (state: EntityState | undefined): State | undefined => (state === undefined ? undefined : own(state));

  /** The engine's own list, oldest first. */
  const entriesOf = (state: EntityState | undefined, name: string): readonly HistoryEntry[] => {
    const known = ownOrNone(state);
    const index = known ? known.schema.histories.findIndex((history) => history.name === name) : -1;
    const list = known?.histories[index];
    if (!known || !list) return [];
    parseHistory(list, known.schema.histories[index]!.itemsMax);
    return list.entries;
  };

  return {
    declarations,
    codec: stateCodec(schemaOf),
    names: (set) => setOf(set).program.names,
    contextKeys: (set) => setOf(set).program.contextKeys,
    hash: (set) => setOf(set).hash,
    explain(set, index, value) {
      const feature = setOf(set).features[index];
      if (!feature) throw new RangeError(`set ${set} has no feature ${index}`);
      return explainFeature(feature, value);
    },
    entities,
    carriers: (event) => carrier?.carriers(event) ?? [],
    carry(event, states) {
      const carriers = carrier?.carriers(event) ?? [];
      return carrier === undefined || carriers.length === 0 ? event : carrier.carry(event, carriers, states.map(ownOrNone));
    },
    apply(ref, state, event, items) {
      const target = state === undefined ? new State(schemaOf(ref.kind)) : own(state);
      if (target.kind !== ref.kind) throw new Error(`a state of a ${target.kind} was handed in for a ${ref.kind}`);
      applyEvent(ref, target, event, items);
      return target;
    },
    vector(set, subject, context, out, offset) {
      const stateOf: StateOf = (kind) => ownOrNone(subject.states[kind]);
      setOf(set).program.row(subject, stateOf, context, out, offset);
    },
    vectors(set, subject, candidates, out) {
      const stateOf: StateOf = (kind) => ownOrNone(subject.states[kind]);
      setOf(set).program.rows(subject, stateOf, candidates, (candidate) => ownOrNone(candidate.state), out);
    },
    itemNumbers: (set) => setOf(set).program.itemNumbers(set),
    readItem(set, state, nowMs, out, offset) {
      setOf(set).program.readItem(ownOrNone(state), nowMs, out, offset);
    },
    rows(set, subject, candidates, out) {
      const stateOf: StateOf = (kind) => ownOrNone(subject.states[kind]);
      setOf(set).program.columnRows(subject, stateOf, candidates, out);
    },
    eachInHistory(state, name, visit) {
      const entries = entriesOf(state, name);
      for (let i = entries.length - 1; i >= 0; i--) visit(entries[i]!);
    },
    history: (state, name) =>
      entriesOf(state, name)
        .map((entry): HistoryEntry => ({ ...entry }))
        .reverse(),
  };
}
