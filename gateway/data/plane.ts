import type { EntityState, FeatureEngine } from '../../scoring/features/contract.ts';
import type { BundleManager } from '../../scoring/models/manager.ts';
import type { Catalogue } from '../../scoring/recommend/catalogue.ts';
import type { Placement } from '../../scoring/recommend/placements.ts';
import type { Trending } from '../../scoring/recommend/trending.ts';
import type { Store } from '../../store/contract.ts';
import type { Log } from '../audit.ts';
import type { Keyring } from '../auth/keyring.ts';
import type { StreamTokens } from '../auth/stream-tokens.ts';
import type { Config } from '../config.ts';
import type { Metrics } from '../metrics.ts';
import type { Admission } from '../overload/admission.ts';
import type { RiskDesk } from '../rules/risk-desk.ts';

/** Everything that the data plane's handlers work on; the composition root hands it in. */
export interface DataDeps {
  readonly config: Config;
  readonly store: Store<EntityState>;
  readonly engine: FeatureEngine;
  readonly catalogue: Catalogue;
  readonly trending: Trending;
  readonly bundles: Pick<BundleManager, 'lease'>;
  /** Its book is read at each request: a change swaps it whole. */
  readonly desk: Pick<RiskDesk, 'book' | 'observe'>;
  readonly placements: ReadonlyMap<string, Placement>;
  readonly keyring: Pick<Keyring, 'check'>;
  readonly streamTokens: Pick<StreamTokens, 'issue'>;
  readonly admission: Admission;
  readonly metrics: Metrics;
  readonly log: Log;
  /** Milliseconds since 1970. */
  readonly now: () => number;
}
