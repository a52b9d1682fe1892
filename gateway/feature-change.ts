import type { Alert } from '../contracts/push.ts';
import type { FeatureDeclarations, Window } from '../scoring/features/contract.ts';
import { stateKey } from '../scoring/features/set-hash.ts';
import { WINDOW_SPECS } from '../scoring/features/tiles.ts';
import type { Store } from '../store/contract.ts';
import type { Log } from './audit.ts';
import type { Metrics } from './metrics.ts';

const COLLECTION = 'features';
const DOCUMENT = 'declared';
/** How long a feature without a window (a last value, a list) is said to be filling: as long as the widest window. */
const FILLING_MS: Window = '90d';
/** Names that a sentence has; the log has all. */
const NAMED_MAX = 10;

/** What states hold, by `stateKey`: since when it is counted, 0 from the first event on. */
type Declared = Readonly<Record<string, number>>;

export interface FeatureChangeOptions {
  readonly store: Pick<Store<never>, 'doc' | 'write' | 'bounds' | 'raise'>;
  readonly declarations: FeatureDeclarations;
  readonly log: Log;
  readonly metrics: Pick<Metrics, 'gauge'>;
  readonly now: () => number;
}

/**
 * Compares what is declared with what this store's states were counted for. What is new starts empty: a state is moved forward by events that are counted
 * once, and the store has no way to put another one in its place. So it is said, in the log, as an alert and as a warning for as long as the feature's window
 * has not passed. Answers what is still filling, a sentence or none. Rejects with the store's errors.
 */
export async function openFeatureChange({ store, declarations, log, metrics, now }: FeatureChangeOptions): Promise<() => readonly string[]> {
  const features = Object.entries(declarations.sets).flatMap(([set, all]) =>
    all.flatMap((feature) => {
      const key = stateKey(feature);
      return key === undefined
        ? []
        : [
            {
              name: `${set}.${feature.name}`,
              key,
              windowMs: WINDOW_SPECS['window' in feature && feature.window ? feature.window : FILLING_MS].windowMs,
            },
          ];
    }),
  );
  const known = (await store.doc(COLLECTION, DOCUMENT)) as Declared | undefined;
  const { last } = await store.bounds();
  // A store without events has nothing that a feature could have missed; of one from before this was kept, nobody knows.
  const sinceMs = known === undefined || last < 1 ? 0 : now();
  const declared: Declared = Object.fromEntries(features.map(({ key }) => [key, known?.[key] ?? sinceMs]));
  const fresh = features.filter(({ key }) => known !== undefined && known[key] === undefined && declared[key]! > 0);
  await store.write([], [{ collection: COLLECTION, id: DOCUMENT, value: declared }]);

  const filling = (): string[] =>
    features.filter(({ key, windowMs }) => declared[key]! > 0 && now() < declared[key]! + windowMs).map(({ name }) => name);
  metrics.gauge('featuresFilling').set(filling().length);
  if (fresh.length > 0) {
    const names = fresh.map(({ name }) => name);
    log.warn({ features: names }, 'these features were not declared before: they start empty, and are not rebuilt from the journal');
    await store.raise(alertOf(names, now()));
  }
  return () => {
    const names = filling();
    metrics.gauge('featuresFilling').set(names.length);
    return names.length === 0 ? [] : [`features that were declared later than the first events are still filling: ${listed(names)}`];
  };
}

function alertOf(names: readonly string[], atMs: number): Alert {
  return {
    alert_id: `features-${atMs}`,
    kind: 'system',
    severity: 'medium',
    at_ms: atMs,
    title: `${names.length} features were not declared before and start empty`,
    reasons: [
      listed(names),
      'A model that is trained now sees fuller values than the gateway has until their windows have passed. States are not rebuilt from the journal: import it into a new data folder for full ones.',
    ],
  };
}

function listed(names: readonly string[]): string {
  const more = names.length - NAMED_MAX;
  return names.slice(0, NAMED_MAX).join(', ') + (more > 0 ? ` and ${more} more` : '');
}
