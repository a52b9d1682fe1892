import type { Alert } from '../contracts/push.ts';
import type { FeatureDeclarations, Window } from '../scoring/features/contract.ts';
import { stateKey } from '../scoring/features/set-hash.ts';
import { WINDOW_SPECS } from '../scoring/features/tiles.ts';
import type { DocChange, Store } from '../store/contract.ts';
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

/** A feature that is counted in states. */
interface Counted {
  readonly name: string;
  readonly key: string;
  readonly windowMs: number;
}

function countedIn({ sets }: FeatureDeclarations): Counted[] {
  return Object.entries(sets).flatMap(([set, all]) =>
    all.flatMap((feature) => {
      const key = stateKey(feature);
      const window = 'window' in feature && feature.window ? feature.window : FILLING_MS;
      return key === undefined ? [] : [{ name: `${set}.${feature.name}`, key, windowMs: WINDOW_SPECS[window].windowMs }];
    }),
  );
}

/** What is known of the features after their states were made anew from events since `sinceMs`, 0 for all that there were. */
export function countedSince(declarations: FeatureDeclarations, sinceMs: number): DocChange {
  return { collection: COLLECTION, id: DOCUMENT, value: Object.fromEntries(countedIn(declarations).map(({ key }) => [key, sinceMs])) };
}

/** Features that events since `sinceMs` do not fill at `nowMs`, by name. */
export function notFilled(declarations: FeatureDeclarations, sinceMs: number, nowMs: number): string[] {
  return countedIn(declarations)
    .filter(({ windowMs }) => nowMs < sinceMs + windowMs)
    .map(({ name }) => name);
}

export interface FeatureChangeOptions {
  readonly store: Pick<Store<never>, 'doc' | 'write' | 'bounds' | 'raise'>;
  readonly declarations: FeatureDeclarations;
  readonly log: Log;
  readonly metrics: Pick<Metrics, 'gauge'>;
  readonly now: () => number;
}

/**
 * Compares what is declared with what this store's states were counted for. What is new starts empty, until `gatehouse rebuild` makes the states anew. So it is said, in
 * the log, as an alert and as a warning for as long as the feature's window has not passed. Answers what is still filling, a sentence or none. Rejects with the store's errors.
 */
export async function openFeatureChange({ store, declarations, log, metrics, now }: FeatureChangeOptions): Promise<() => readonly string[]> {
  const features = countedIn(declarations);
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
    log.warn({ features: names }, 'these features were not declared before: they start empty, until `gatehouse rebuild` counts the journal for them');
    await store.raise(alertOf(names, now()));
  }
  return () => {
    const names = filling();
    metrics.gauge('featuresFilling').set(names.length);
    return names.length === 0
      ? []
      : [`features that were declared later than the first events are still filling (\`gatehouse rebuild\` fills them): ${listed(names)}`];
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
      'A model that is trained now sees fuller values than the gateway has until their windows have passed. `gatehouse rebuild` counts the journal for them while the gateway is stopped.',
    ],
  };
}

/** The first of them, and how many more there are. */
export function listed(names: readonly string[]): string {
  const more = names.length - NAMED_MAX;
  return names.slice(0, NAMED_MAX).join(', ') + (more > 0 ? ` and ${more} more` : '');
}
