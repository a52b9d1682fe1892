import type { EntityState, FeatureEngine } from '../../scoring/features/contract.ts';
import type { EntityKind, EntityRef, Store } from '../../store/contract.ts';
import type { Restrictions } from '../restrictions.ts';
import type { ReviewDesk } from '../review/desk.ts';
import { Footprint, journalPages } from './footprint.ts';

/** States read in one go. */
const STATES_PER_READ = 256;

export interface ExportDeps {
  readonly store: Pick<Store<EntityState>, 'bounds' | 'read' | 'states'>;
  readonly engine: FeatureEngine;
  readonly reviews: Pick<ReviewDesk, 'find'>;
  readonly restrictions: Pick<Restrictions, 'of'>;
  readonly now: () => number;
}

/**
 * Everything stored of a person, as lines of JSON, some at a time: the facts in the order of the journal, the states made of them, review cases,
 * restrictions, then a line that says `end`. Goes through the journal twice, as it stood at the start. Throws `user_too_large` and the store's errors.
 */
export async function* exportLines(deps: ExportDeps, userId: string): AsyncGenerator<string> {
  const { store, reviews, restrictions, now } = deps;
  const startedMs = now();
  const { first, last } = await store.bounds();
  yield line({ type: 'user', user_id: userId, exported_ms: startedMs, journal: { first, last } });
  const footprint = new Footprint(userId);
  for await (const page of journalPages(store, last)) for (const { fact } of page) footprint.learn(fact);
  let facts = 0;
  for await (const page of journalPages(store, last)) {
    const own = page.filter(({ fact }) => footprint.owns(fact));
    facts += own.length;
    if (own.length > 0) yield own.map((record) => line({ type: 'fact', ...record })).join('');
  }
  yield* stateLines(deps, footprint);
  for (const one of reviews.find((found) => footprint.ownsCase(found))) yield line({ type: 'review_case', review_case: one });
  for (const restriction of restrictions.of(userId, footprint.transactions)) yield line({ type: 'restriction', restriction });
  yield line({ type: 'end', facts, scanned: Math.max(0, last - first + 1), took_ms: now() - startedMs });
}

async function* stateLines({ store, engine, now }: ExportDeps, { userId, sessions }: Footprint): AsyncGenerator<string> {
  const refs: EntityRef[] = [{ kind: 'user', id: userId }, ...Array.from(sessions, (id) => ({ kind: 'session' as const, id }))];
  for (let at = 0; at < refs.length; at += STATES_PER_READ) {
    const some = refs.slice(at, at + STATES_PER_READ);
    const states = await store.states(some);
    // Read at once: a state is only good until the next await.
    const lines = some.map((entity, i) => {
      const state = states[i];
      return state === undefined ? '' : line({ type: 'state', entity, ...readable(engine, state, now()) });
    });
    if (lines.some(Boolean)) yield lines.join('');
  }
}

/** A state as people can read it: its histories, and the values of the features that are made of it alone. */
function readable(engine: FeatureEngine, state: EntityState, nowMs: number): Record<string, unknown> {
  const { histories, sets } = engine.declarations;
  return {
    histories: Object.fromEntries(histories.filter(({ entity }) => entity === state.kind).map(({ name }) => [name, engine.history(state, name)])),
    features: Object.fromEntries(Object.keys(sets).map((set) => [set, featuresOf(engine, set, state, nowMs)])),
  };
}

function featuresOf(engine: FeatureEngine, set: string, state: EntityState, nowMs: number): Record<string, number | null> {
  const values = new Float32Array(engine.names(set).length);
  const states: Partial<Record<EntityKind, EntityState>> = { [state.kind]: state };
  engine.vector(set, { nowMs, states }, new Float64Array(engine.contextKeys(set).length), values, 0);
  const named: Record<string, number | null> = {};
  engine.declarations.sets[set]!.forEach((feature, i) => {
    if (!('entity' in feature) || feature.entity !== state.kind) return;
    const value = values[i]!;
    named[feature.name] = Number.isNaN(value) ? null : value;
  });
  return named;
}

function line(value: unknown): string {
  return `${JSON.stringify(value)}\n`;
}
