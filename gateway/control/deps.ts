import type { BundleManifest } from '../../contracts/bundle.ts';
import type { TrafficResponse } from '../../contracts/control.ts';
import type { BundleEntry, Challenge } from '../../scoring/models/manager.ts';
import type { Catalogue } from '../../scoring/recommend/catalogue.ts';
import type { Store } from '../../store/contract.ts';
import type { Audit, Log } from '../audit.ts';
import type { Keyring } from '../auth/keyring.ts';
import type { StreamTokens } from '../auth/stream-tokens.ts';
import type { Config } from '../config.ts';
import type { Recommendations } from '../data/recommend.ts';
import type { EditorialLists } from '../editorial.ts';
import type { Experiments } from '../experiments/desk.ts';
import type { Metrics } from '../metrics.ts';
import type { Placements } from '../placements.ts';
import type { People } from '../privacy/people.ts';
import type { Restrictions } from '../restrictions.ts';
import type { ReviewDesk } from '../review/desk.ts';
import type { RiskDesk } from '../rules/risk-desk.ts';
import type { Assets } from './assets.ts';

/** The part of `BundleManager` that operators use. */
export interface Bundles {
  readonly current: BundleManifest | undefined;
  /** The newest first. */
  list(): Promise<readonly BundleEntry[]>;
  activate(version: string): Promise<BundleManifest>;
  rollback(): Promise<BundleManifest>;
  readonly challenge: Challenge | undefined;
  challengeBy(challenge: Challenge): Promise<Challenge>;
  endChallenge(): Promise<void>;
}

/** Everything that the control plane works on; the composition root hands it in. */
export interface ControlDeps {
  /** The gateway's own version. */
  readonly version: string;
  readonly config: Pick<Config, 'controlHost' | 'controlAllowedHosts' | 'streamUrl'>;
  /** The port that the data plane listens on; known only after it was opened where the setting is 0. */
  readonly dataPort: () => number;
  readonly store: Pick<Store<never>, 'alerts' | 'alertsPosition'>;
  readonly keyring: Pick<Keyring, 'check' | 'list' | 'create' | 'revoke'>;
  readonly streamTokens: Pick<StreamTokens, 'issue'>;
  readonly audit: Audit;
  readonly bundles: Bundles;
  readonly restrictions: Pick<Restrictions, 'list' | 'imposeByHand' | 'lift'>;
  readonly reviews: Omit<ReviewDesk, 'happened' | 'find' | 'erase' | 'close'>;
  readonly people: People;
  readonly catalogue: Pick<Catalogue, 'page' | 'size'>;
  readonly desk: Pick<RiskDesk, 'rules' | 'lists' | 'backtests'>;
  readonly editorial: Pick<EditorialLists, 'list' | 'put' | 'remove'>;
  readonly placements: Pick<Placements, 'list' | 'entry' | 'put' | 'remove'>;
  readonly inspect: Recommendations['inspect'];
  readonly experiments: Pick<Experiments, 'list' | 'create' | 'start' | 'stop' | 'result'>;
  readonly metrics: Pick<Metrics, 'render' | 'contentType' | 'counter'>;
  readonly traffic: { snapshot(): TrafficResponse };
  /** Why the gateway should not get traffic now, a sentence each; empty when it should. */
  readonly readiness: () => Promise<readonly string[]> | readonly string[];
  /** What a person should see to although the gateway serves, a sentence each. */
  readonly warnings: () => readonly string[];
  readonly assets: Assets;
  readonly log: Log;
}
