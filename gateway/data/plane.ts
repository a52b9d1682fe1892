import type { TimedEvent } from '../../contracts/event.ts';
import type { EntityState, FeatureEngine } from '../../scoring/features/contract.ts';
import type { BundleManager } from '../../scoring/models/manager.ts';
import type { RateTable } from '../../scoring/rates.ts';
import type { Catalogue } from '../../scoring/recommend/catalogue.ts';
import type { ClickCounts } from '../../scoring/recommend/explore/click-counts.ts';
import type { ItemNumbersTable } from '../../scoring/recommend/item-numbers.ts';
import type { EditorialPicks } from '../../scoring/recommend/pipeline.ts';
import type { RetrievalModels } from '../../scoring/recommend/retrieval.ts';
import type { Trending } from '../../scoring/recommend/trending.ts';
import type { VisitorCountries } from '../../scoring/recommend/visitor-countries.ts';
import type { Store } from '../../store/contract.ts';
import type { Log } from '../audit.ts';
import type { Keyring } from '../auth/keyring.ts';
import type { StreamTokens } from '../auth/stream-tokens.ts';
import type { Config } from '../config.ts';
import type { Experiments } from '../experiments/desk.ts';
import type { ItemIndexes } from '../item-indexes.ts';
import type { Metrics } from '../metrics.ts';
import type { Admission } from '../overload/admission.ts';
import type { Placements } from '../placements.ts';
import type { Restrictions } from '../restrictions.ts';
import type { RiskDesk } from '../rules/risk-desk.ts';
import type { Watch } from '../watch.ts';

/** Everything that the data plane's handlers work on; the composition root hands it in. */
export interface DataDeps {
  readonly config: Config;
  readonly store: Store<EntityState>;
  readonly engine: FeatureEngine;
  readonly catalogue: Catalogue;
  readonly trending: Trending;
  /** What ranking needs of the items' states: told of each event that an item is in. */
  readonly itemNumbers: ItemNumbersTable;
  readonly clicks: ClickCounts;
  /** Where visitors were last. */
  readonly countries: VisitorCountries;
  /** Told of each event once it is counted. */
  readonly items: Pick<ItemIndexes, 'acted'>;
  readonly editorial: EditorialPicks;
  /** What a shop without a bundle answers from. */
  readonly untrained?: RetrievalModels | undefined;
  readonly bundles: Pick<BundleManager, 'lease'>;
  readonly restrictions: Pick<Restrictions, 'standing' | 'impose'>;
  /** Its book is read at each request: a change swaps it whole. */
  readonly desk: Pick<RiskDesk, 'book' | 'observe'>;
  /** Undefined: amounts are taken as they come. */
  readonly rates: RateTable | undefined;
  readonly experiments: Pick<Experiments, 'trialOf'>;
  readonly placements: Pick<Placements, 'get' | 'fallback'>;
  readonly keyring: Pick<Keyring, 'check'>;
  readonly streamTokens: Pick<StreamTokens, 'issue'>;
  readonly admission: Admission;
  readonly metrics: Metrics;
  readonly log: Log;
  /** Told of each later event on a payment (`PAYMENT_EVENTS`), once, when it is counted, with the answer that the payment got, if it is still known. */
  readonly onPaymentEvent: (event: TimedEvent, answer: Uint8Array | undefined) => void;
  /** Told of each new decision with the vector that it saw. */
  readonly watch: Pick<Watch, 'scored'>;
  /** Milliseconds since 1970. */
  readonly now: () => number;
}
