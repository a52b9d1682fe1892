import { GatehouseError } from '../../contracts/errors.ts';
import { EVENT_NAMES } from '../../contracts/event.ts';
import { ENTITY_KINDS } from '../../store/contract.ts';
import { type EventFilter, type FeatureDeclarations, WINDOWS } from './contract.ts';
import { NUMERIC_FIELDS } from './plan.ts';

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
  'payment_method',
  'country',
  'category',
  'brand',
];
const SUBJECT_FIELDS = ['amount', 'hour', 'weekday', 'is_night', 'is_weekend', 'item_price', 'item_age_days', 'item_stock'];
const AGGREGATES = ['count', 'sum', 'mean', 'min', 'max', 'distinct', 'last', 'time_since', 'share', 'ratio', 'subject', 'context'];

/** Declarations come from files and bundles: each mistake is `config_invalid` with the place of it. */
export function validateDeclarations(declarations: FeatureDeclarations): void {
  for (const [set, features] of Object.entries(declarations.sets)) {
    check(features.length > 0 && features.length <= FEATURES_PER_SET_MAX, `set ${set}`, `needs 1 to ${FEATURES_PER_SET_MAX} features`);
    const before = new Set<string>();
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
          check(before.has(feature.numerator), where, `divides ${feature.numerator}, which is not declared before it`);
          check(before.has(feature.denominator), where, `divides by ${feature.denominator}, which is not declared before it`);
          break;
        case 'subject':
          member(SUBJECT_FIELDS, feature.field, where, 'field');
          break;
        default:
      }
      before.add(feature.name);
    }
  }
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
