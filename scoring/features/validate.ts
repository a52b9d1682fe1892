import { GatehouseError } from '../../contracts/errors.ts';
import { EVENT_NAMES, PAYMENT_EVENTS } from '../../contracts/event.ts';
import { ENTITY_KINDS } from '../../store/contract.ts';
import { type EventFilter, type Feature, type FeatureDeclarations, WINDOWS } from './contract.ts';
import { inputsOf, withInputs } from './derived.ts';
import { NUMERIC_FIELDS } from './plan.ts';
import { RECENT_VALUES_MAX } from './tiles.ts';

/** A model of more inputs than this is a mistake; it bounds the vector of a request. */
const FEATURES_PER_SET_MAX = 1000;
/** Bounds an entity's state: a thousand items are some 20 KB. */
const HISTORY_ITEMS_MAX = 1000;

const KEY_FIELDS = [
  'user_id',
  'session_id',
  'item_id',
  'card_id',
  'device_id',
  'ip',
  'address_id',
  'merchant_id',
  'email_domain',
  'payment_method',
  'currency',
  'country',
  'day_part',
  'category',
  'brand',
];
const SUBJECT_FIELDS = ['amount', 'hour', 'weekday', 'is_night', 'is_weekend', 'item_price', 'item_age_days', 'item_stock'];
const PLACE_FIELDS = ['country', 'billing_country', 'shipping_country', 'ip_country'];
const AGGREGATES = [
  'count',
  'sum',
  'mean',
  'min',
  'max',
  'distinct',
  'last',
  'time_since',
  'share',
  'recent',
  'ratio',
  'zscore',
  'differs',
  'subject',
  'context',
];
const RECENT_STATISTICS = ['count', 'mean', 'sd', 'median', 'mad', 'min', 'max'];
/** Those that look at values over a threshold. */
const THRESHOLD_STATISTICS = ['above_count', 'above_rate', 'above_first', 'above_run', 'above_run_start', 'below_run'];
/** What is computed after all statistics, so that none can have it in its threshold. */
const LAST_COMPUTED: ReadonlySet<Feature['aggregate']> = new Set(['ratio', 'zscore']);

/** Declarations come from files and bundles: each mistake is `config_invalid` with the place of it. */
export function validateDeclarations(declarations: FeatureDeclarations): void {
  for (const [set, features] of Object.entries(declarations.sets)) {
    check(features.length > 0 && features.length <= FEATURES_PER_SET_MAX, `set ${set}`, `needs 1 to ${FEATURES_PER_SET_MAX} features`);
    const before = new Map<string, Feature>();
    for (const feature of features) {
      const where = `feature ${set}.${feature.name}`;
      check(/^[a-z][a-z0-9_]{0,63}$/.test(feature.name), where, 'needs a name of lower-case letters, digits and _');
      check(!before.has(feature.name), where, 'is declared twice');
      check(feature.text.includes('{value}'), where, 'needs a text with {value} in it');
      member(AGGREGATES, feature.aggregate, where, 'aggregate');
      if ('entity' in feature) member(ENTITY_KINDS, feature.entity, where, 'entity');
      if ('window' in feature) member(WINDOWS, feature.window, where, 'window');
      if ('events' in feature) checkFilter(feature, where);
      switch (feature.aggregate) {
        case 'sum':
        case 'mean':
        case 'min':
        case 'max':
        case 'last':
          member(NUMERIC_FIELDS, feature.of, where, 'of');
          break;
        case 'distinct':
        case 'share':
          member(KEY_FIELDS, feature.of, where, 'of');
          break;
        case 'ratio':
          check(Number.isFinite(feature.plus ?? 0), where, 'needs a finite plus');
          break;
        case 'zscore':
          check(Number.isFinite(feature.plus), where, 'needs a finite plus');
          break;
        case 'differs':
          member(PLACE_FIELDS, feature.left, where, 'left');
          member(PLACE_FIELDS, feature.right, where, 'right');
          break;
        case 'recent':
          checkRecent(feature, before, where);
          break;
        case 'subject':
          member(SUBJECT_FIELDS, feature.field, where, 'field');
          break;
        default:
      }
      for (const input of inputsOf(feature)) check(before.has(input), where, `reads ${input}, which is not declared before it`);
      before.set(feature.name, feature);
    }
  }
  checkCarried(declarations);
  const names = new Set<string>();
  for (const history of declarations.histories) {
    const where = `history ${history.entity}.${history.name}`;
    check(!names.has(where), where, 'is declared twice');
    names.add(where);
    member(ENTITY_KINDS, history.entity, where, 'entity');
    check(
      Number.isInteger(history.itemsMax) && history.itemsMax >= 1 && history.itemsMax <= HISTORY_ITEMS_MAX,
      where,
      `needs an itemsMax from 1 to ${HISTORY_ITEMS_MAX}`,
    );
    checkFilter(history, where);
  }
}

function checkRecent(feature: Extract<Feature, { aggregate: 'recent' }>, before: ReadonlyMap<string, Feature>, where: string): void {
  const { of, statistic, last, above } = feature;
  member(NUMERIC_FIELDS, of, where, 'of');
  member([...RECENT_STATISTICS, ...THRESHOLD_STATISTICS], statistic, where, 'statistic');
  check(Number.isInteger(last) && last >= 1 && last <= RECENT_VALUES_MAX, where, `needs a last from 1 to ${RECENT_VALUES_MAX}`);
  check(
    THRESHOLD_STATISTICS.includes(statistic) === (above !== undefined),
    where,
    'has a threshold where its statistic needs none, or none where it does',
  );
  if (typeof above !== 'object') {
    check(Number.isFinite(above ?? 0), where, 'needs a finite threshold');
    return;
  }
  check(Number.isFinite(above.times) && Number.isFinite(above.plus), where, 'needs a finite threshold');
  const { aggregate } = before.get(above.feature) ?? {};
  check(
    aggregate === undefined || !LAST_COMPUTED.has(aggregate),
    where,
    `has the ${aggregate} ${above.feature} in its threshold, which is computed later`,
  );
}

function checkCarried({ carried, sets }: FeatureDeclarations): void {
  const ofCarried = (features: readonly Feature[]): Feature | undefined => features.find((feature) => 'of' in feature && feature.of === 'carried');
  if (carried === undefined) {
    const reader = ofCarried(Object.values(sets).flat());
    check(reader === undefined, `feature ${reader?.name}`, 'is of what events carry, and nothing is declared as carried');
    return;
  }
  const { set, feature, ...filter } = carried;
  check(sets[set]?.some(({ name }) => name === feature) === true, 'carried', `is ${set}.${feature}, which is not declared`);
  checkFilter(filter, 'carried');
  // They are few, and their way in looks the payment up anyway: no other event pays for it.
  for (const name of filter.events)
    check(PAYMENT_EVENTS.has(name), 'carried', `is of ${name}, which is no event about a payment that was made before`);
  // Else a number would be made of numbers like it, and what it says would depend on how far back the journal goes.
  const reader = ofCarried(withInputs(sets[set]!, feature));
  check(reader === undefined, 'carried', `reads what is carried, by ${reader?.name}`);
}

function checkFilter(filter: EventFilter, where: string): void {
  check(filter.events.length > 0, where, 'needs at least one event');
  for (const event of filter.events) member(EVENT_NAMES, event, where, 'event');
  if (filter.where) member(['is_fraud'], filter.where.field, where, 'where.field');
}

function member(known: readonly string[], value: string, where: string, what: string): void {
  check(known.includes(value), where, `has an unknown ${what}: ${value}`);
}

function check(holds: boolean, where: string, problem: string): void {
  if (!holds) throw new GatehouseError('config_invalid', `${where} ${problem}`);
}
