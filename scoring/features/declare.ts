import type { EntityKind } from '../../store/contract.ts';
import type { EventFilter, Feature, KeyField, NumericField, Window } from './contract.ts';

type RecentWhat = Pick<Extract<Feature, { aggregate: 'recent' }>, 'statistic' | 'last' | 'window' | 'above'>;

/** Short forms for the default declarations. A text is a sentence with `{value}` in it. */

export function count(name: string, entity: EntityKind, window: Window, filter: EventFilter, text: string): Feature {
  return { name, text, aggregate: 'count', entity, window, ...filter };
}

export function total(
  aggregate: 'sum' | 'mean' | 'min' | 'max',
  name: string,
  entity: EntityKind,
  window: Window,
  of: NumericField,
  filter: EventFilter,
  text: string,
): Feature {
  return { name, text, aggregate, entity, window, of, ...filter };
}

export function distinct(name: string, entity: EntityKind, window: Window, of: KeyField, filter: EventFilter, text: string): Feature {
  return { name, text, aggregate: 'distinct', entity, window, of, ...filter };
}

export function since(name: string, entity: EntityKind, edge: 'first' | 'last', filter: EventFilter, text: string): Feature {
  return { name, text, aggregate: 'time_since', entity, edge, ...filter };
}

/** The newest value of a field. */
export function last(name: string, entity: EntityKind, of: NumericField, filter: EventFilter, text: string): Feature {
  return { name, text, aggregate: 'last', entity, of, ...filter };
}

export function share(name: string, entity: EntityKind, of: KeyField, filter: EventFilter, text: string): Feature {
  return { name, text, aggregate: 'share', entity, of, ...filter };
}

/** numerator / (denominator + plus). */
export function ratio(name: string, numerator: string, denominator: string, text: string, plus = 0): Feature {
  return { name, text, aggregate: 'ratio', numerator, denominator, ...(plus === 0 ? {} : { plus }) };
}

/** A statistic of the newest values of a field. */
export function recent(name: string, entity: EntityKind, of: NumericField, filter: EventFilter, text: string, what: RecentWhat): Feature {
  return { name, text, aggregate: 'recent', entity, of, ...filter, ...what };
}

/** (value - center) / (scale + 1): the one keeps what hardly varies from making everything an outlier. */
export function zscore(name: string, value: string, center: string, scale: string, text: string): Feature {
  return { name, text, aggregate: 'zscore', value, center, scale, plus: 1 };
}

export function subject(name: string, field: Extract<Feature, { aggregate: 'subject' }>['field'], text: string): Feature {
  return { name, text, aggregate: 'subject', field };
}

export function context(key: string, text: string): Feature {
  return { name: key, text, aggregate: 'context', key };
}
