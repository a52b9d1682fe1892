import fc from 'fast-check';
import type { EventItem, TimedEvent } from '../../contracts/event.ts';
import type { EntityRef } from '../../store/contract.ts';
import type {
  EntityState,
  EventFilter,
  Feature,
  FeatureDeclarations,
  FeatureEngine,
  ItemFacts,
  ItemLookup,
  KeyField,
  NumericField,
} from './contract.ts';
import { hash53 } from './hash.ts';
import { WINDOW_SPECS } from './tiles.ts';

/** What the tests of this room share: declarations that use every aggregate, random events, and the slow truth to compare with. */

export const T0 = 1_700_000_000_000;
export const USER: EntityRef = { kind: 'user', id: 'u' };
export const ITEM: EntityRef = { kind: 'item', id: 'i1' };
const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;

const PAY: EventFilter = { events: ['payment_attempt'] };
const FAILED: EventFilter = { events: ['payment_failed'] };
const FRAUD: EventFilter = { events: ['label', 'chargeback'], where: { field: 'is_fraud', equals: true } };
const SHOP: EventFilter = { events: ['view_item', 'purchase'] };
const LABEL: EventFilter = { events: ['label', 'chargeback'] };
const ALL_WINDOWS = ['1m', '10m', '1h', '24h', '7d', '14d', '30d', '90d'] as const;

type Recent = Extract<Feature, { aggregate: 'recent' }>;
const MEDIANS = { times: 2.5, feature: 'median', plus: 1 } as const;
/** Lists of every length: one that many events overfill, one that few do, and windows on both. */
const RECENT: readonly (readonly [string, Pick<Recent, 'statistic' | 'last' | 'window' | 'above'>])[] = [
  ['median', { statistic: 'median', last: 30 }],
  ['median_of_4', { statistic: 'median', last: 4 }],
  ['mad', { statistic: 'mad', last: 30 }],
  ['count_24h_recent', { statistic: 'count', last: 30, window: '24h' }],
  ['mean_7d', { statistic: 'mean', last: 30, window: '7d' }],
  ['sd_7d', { statistic: 'sd', last: 30, window: '7d' }],
  ['min_3', { statistic: 'min', last: 3 }],
  ['max_90d', { statistic: 'max', last: 30, window: '90d' }],
  ['large', { statistic: 'above_count', last: 30, window: '30d', above: MEDIANS }],
  ['large_rate', { statistic: 'above_rate', last: 30, above: MEDIANS }],
  ['large_first', { statistic: 'above_first', last: 30, above: MEDIANS }],
];
const OUTCOMES: readonly (readonly [string, Pick<Recent, 'statistic' | 'last' | 'window'>])[] = [
  ['fraud_of_3', { statistic: 'above_count', last: 3 }],
  ['fraud_rate', { statistic: 'above_rate', last: 12, window: '30d' }],
  ['fraud_first', { statistic: 'above_first', last: 12, window: '30d' }],
  ['fraud_run', { statistic: 'above_run', last: 12 }],
  ['fraud_run_start', { statistic: 'above_run_start', last: 12 }],
  ['honest_since', { statistic: 'below_run', last: 12 }],
];
/** The longest list that is kept of each field. */
const KEPT = { amount: 31, is_fraud: 13 } as const;

function features(entity: 'user' | 'item'): Feature[] {
  const text = '{value}';
  return [
    ...ALL_WINDOWS.map((window): Feature => ({ name: `count_${window}`, text, aggregate: 'count', entity, window, ...SHOP })),
    ...ALL_WINDOWS.map((window): Feature => ({ name: `pay_${window}`, text, aggregate: 'sum', entity, window, of: 'amount', ...PAY })),
    { name: 'sum_price', text, aggregate: 'sum', entity, window: '7d', of: 'price', ...SHOP },
    { name: 'mean_price', text, aggregate: 'mean', entity, window: '1h', of: 'price', ...SHOP },
    { name: 'mean_amount', text, aggregate: 'mean', entity, window: '30d', of: 'amount', ...SHOP },
    { name: 'min_quantity', text, aggregate: 'min', entity, window: '24h', of: 'quantity', ...SHOP },
    { name: 'max_amount', text, aggregate: 'max', entity, window: '90d', of: 'amount', ...PAY },
    { name: 'min_amount', text, aggregate: 'min', entity, window: '90d', of: 'amount', ...PAY },
    { name: 'failed', text, aggregate: 'count', entity, window: '24h', ...FAILED },
    { name: 'frauds', text, aggregate: 'count', entity, window: '90d', ...FRAUD },
    { name: 'cards_10m', text, aggregate: 'distinct', entity, window: '10m', of: 'card_id', ...PAY },
    { name: 'cards_30d', text, aggregate: 'distinct', entity, window: '30d', of: 'card_id', ...PAY },
    { name: 'categories', text, aggregate: 'distinct', entity, window: '7d', of: 'category', ...SHOP },
    { name: 'last_amount', text, aggregate: 'last', entity, of: 'amount', ...PAY },
    { name: 'first', text, aggregate: 'time_since', entity, edge: 'first', ...PAY },
    { name: 'previous', text, aggregate: 'time_since', entity, edge: 'last', ...PAY },
    { name: 'method', text, aggregate: 'share', entity, of: 'payment_method', ...PAY },
    { name: 'day_part', text, aggregate: 'share', entity, of: 'day_part', ...PAY },
    ...RECENT.map(([name, rest]): Feature => ({ name, text, aggregate: 'recent', entity, of: 'amount', ...PAY, ...rest })),
    ...OUTCOMES.map(([name, rest]): Feature => ({ name, text, aggregate: 'recent', entity, of: 'is_fraud', above: 0, ...LABEL, ...rest })),
    { name: 'ratio', text, aggregate: 'ratio', numerator: 'pay_1h', denominator: 'pay_30d' },
    { name: 'ratio_plus', text, aggregate: 'ratio', numerator: 'last_amount', denominator: 'median', plus: 1 },
    { name: 'z', text, aggregate: 'zscore', value: 'last_amount', center: 'mean_7d', scale: 'sd_7d', plus: 1 },
  ];
}

export const DECLARATIONS: FeatureDeclarations = {
  version: 1,
  histories: [{ name: 'seen', entity: 'user', itemsMax: 5, ...SHOP }],
  sets: { user: features('user'), item: features('item') },
};

const FACTS: Readonly<Record<string, ItemFacts>> = {
  i1: { category: 'a', brand: 'x', price: 3.3 },
  i2: { category: 'b', price: 0.1 },
  i3: { category: 'a', price: 19.99 },
  i4: {},
};
export const lookup: ItemLookup = (id) => FACTS[id];

/** Times on every scale of the windows: seconds to a few months back, and up to a day ahead of T0. */
export const atMs = fc.oneof(
  fc.integer({ min: -90_000, max: 0 }),
  fc.integer({ min: -2 * HOUR_MS, max: 0 }),
  fc.integer({ min: -9 * DAY_MS, max: 0 }),
  fc.integer({ min: -120 * DAY_MS, max: 0 }),
  fc.integer({ min: 0, max: DAY_MS }),
);

const line: fc.Arbitrary<EventItem> = fc.record(
  {
    item_id: fc.constantFrom('i1', 'i2', 'i3', 'i4'),
    quantity: fc.integer({ min: 1, max: 5 }),
    price: fc.double({ min: -10, max: 500, noNaN: true }),
  },
  { requiredKeys: ['item_id'] },
);

const event: fc.Arbitrary<Omit<TimedEvent, 'event_id'>> = fc
  .record(
    {
      name: fc.constantFrom('payment_attempt', 'payment_attempt', 'payment_failed', 'view_item', 'purchase', 'label', 'chargeback', 'page_view'),
      offsetMs: atMs,
      items: fc.array(line, { minLength: 1, maxLength: 4 }),
      value: fc.double({ min: -1e6, max: 1e6, noNaN: true }),
      card_id: fc.constantFrom('c1', 'c2', 'c3', 'c4'),
      payment_method: fc.constantFrom('card', 'wallet'),
      is_fraud: fc.boolean(),
    },
    { requiredKeys: ['name', 'offsetMs'] },
  )
  .map(({ offsetMs, ...rest }) => ({ ...rest, timestamp_ms: T0 + offsetMs, user_id: 'u' }) as Omit<TimedEvent, 'event_id'>);

export function events(maxLength: number): fc.Arbitrary<TimedEvent[]> {
  return fc.array(event, { maxLength }).map((list) => list.map((one, i) => ({ ...one, event_id: `e${i}` })));
}

export function applyAll(engine: FeatureEngine, ref: EntityRef, list: readonly TimedEvent[], state?: EntityState): EntityState | undefined {
  let current = state;
  for (const one of list) {
    if (engine.entities(one).some(({ kind, id }) => kind === ref.kind && id === ref.id)) current = engine.apply(ref, current, one, lookup);
  }
  return current;
}

export function vectorOf(engine: FeatureEngine, ref: EntityRef, state: EntityState | undefined, nowMs: number, own?: TimedEvent): Float32Array {
  const out = new Float32Array(engine.names(ref.kind).length);
  engine.vector(ref.kind, { nowMs, states: { [ref.kind]: state }, event: own }, [], out, 0);
  return out;
}

export function bits(values: Float32Array): string {
  return Buffer.from(values.buffer, values.byteOffset, values.byteLength).toString('hex');
}

// ---- the slow truth: every value from the plain list of events, by the rules of tiles.ts

function matches(filter: EventFilter, one: TimedEvent): boolean {
  if (!filter.events.includes(one.name)) return false;
  if (!filter.where) return true;
  return fraudOf(one) === filter.where.equals;
}

function fraudOf(one: TimedEvent): boolean | undefined {
  return one.is_fraud ?? (one.name === 'chargeback' ? true : undefined);
}

function partOf(ms: number): string {
  const at = new Date(ms);
  return `${[0, 6].includes(at.getUTCDay()) ? 'weekend' : 'weekday'} ${at.getUTCHours() < 7 ? 'night' : 'day'}`;
}

function linesOf(ref: EntityRef, one: TimedEvent): EventItem[] {
  return (one.items ?? []).filter((item) => ref.kind !== 'item' || item.item_id === ref.id);
}

function concerns(ref: EntityRef, one: TimedEvent): boolean {
  return ref.kind === 'item' ? linesOf(ref, one).length > 0 : one.user_id === ref.id;
}

/** A field's values in ten-thousandths. */
function valuesOf(ref: EntityRef, field: NumericField, one: TimedEvent): number[] {
  const priceOf = (item: EventItem) => item.price ?? lookup(item.item_id)?.price;
  const priced = linesOf(ref, one).filter((item) => priceOf(item) !== undefined);
  let plain: number[] = [];
  if (field === 'price') plain = priced.map((item) => priceOf(item)!);
  const fraud = fraudOf(one);
  if (field === 'is_fraud' && fraud !== undefined) plain = [fraud ? 1 : 0];
  if (field === 'quantity') plain = linesOf(ref, one).map((item) => item.quantity ?? 1);
  if (field === 'amount' && ref.kind !== 'item' && one.value !== undefined) plain = [one.value];
  else if (field === 'amount' && priced.length > 0) plain = [priced.reduce((sum, item) => sum + priceOf(item)! * (item.quantity ?? 1), 0)];
  return plain.map((value) => Math.round(value * 10_000) + 0);
}

function keysOf(ref: EntityRef, field: KeyField, one: TimedEvent): string[] {
  if (field === 'category' || field === 'brand') return linesOf(ref, one).flatMap((item) => lookup(item.item_id)?.[field] ?? []);
  if (field === 'item_id') return linesOf(ref, one).map((item) => item.item_id);
  if (field === 'day_part') return [partOf(one.timestamp_ms)];
  return one[field] === undefined ? [] : [one[field]];
}

/** The tiles of a level that are kept: of all events that any feature counts at that level, the newest so many within the span. */
function keptTiles(set: readonly Feature[], ref: EntityRef, all: readonly TimedEvent[], tileMs: number): Set<number> {
  const atLevel = set.filter((f) => 'window' in f && f.aggregate !== 'distinct' && WINDOW_SPECS[f.window].tileMs === tileMs) as (Feature &
    EventFilter)[];
  const tiles = [
    ...new Set(all.filter((one) => concerns(ref, one) && atLevel.some((f) => matches(f, one))).map((one) => Math.floor(one.timestamp_ms / tileMs))),
  ];
  const widest = Math.max(...atLevel.map((f) => ('window' in f ? WINDOW_SPECS[f.window].windowMs / tileMs : 0)));
  const newest = Math.max(...tiles);
  return new Set(
    tiles
      .filter((tile) => tile >= newest - widest - Math.ceil(DAY_MS / tileMs))
      .sort((a, b) => b - a)
      .slice(0, widest + 1 + 4),
  );
}

function newestFirst(a: readonly [number, number], b: readonly [number, number]): number {
  return b[0] - a[0] || b[1] - a[1];
}

function medianOf(numbers: readonly number[]): number {
  const sorted = [...numbers].sort((a, b) => a - b);
  const half = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[half]! : (sorted[half - 1]! + sorted[half]!) / 2;
}

/** A statistic of the newest values, by plain array methods. */
function recentTruth(feature: Recent, counted: readonly TimedEvent[], ref: EntityRef, nowMs: number, threshold: number, own?: TimedEvent): number {
  const windowMs = feature.window ? WINDOW_SPECS[feature.window].windowMs : Number.POSITIVE_INFINITY;
  const kept = counted
    .flatMap((one) =>
      valuesOf(ref, feature.of, one)
        .slice(-1)
        .map((units) => ({ ms: one.timestamp_ms, hash: hash53(one.event_id), value: units / 10_000 })),
    )
    .sort((a, b) => a.ms - b.ms || a.hash - b.hash)
    .slice(-KEPT[feature.of as keyof typeof KEPT])
    .filter(({ ms, hash }) => ms <= nowMs && hash !== (own ? hash53(own.event_id) : -1))
    .slice(-feature.last)
    .filter(({ ms }) => ms > nowMs - windowMs);
  const values = kept.map(({ value }) => value);
  const isAbove = values.map((value) => value > threshold);
  const [first, newest, lastBelow] = [isAbove.indexOf(true), isAbove.lastIndexOf(true), isAbove.lastIndexOf(false)];
  const some = <T>(value: () => T): T | number => (values.length === 0 ? Number.NaN : value());
  const mean = values.reduce((a, b) => a + b, 0) / values.length;
  const secondsAgo = (index: number): number => (index < 0 || index >= kept.length ? Number.NaN : (nowMs - kept[index]!.ms) / 1000);
  if (feature.above !== undefined && Number.isNaN(threshold)) return Number.NaN;
  const results: Record<Recent['statistic'], () => number> = {
    count: () => values.length,
    mean: () => mean,
    sd: () => some(() => Math.sqrt(values.reduce((a, b) => a + (b - mean) * (b - mean), 0) / values.length)),
    median: () => some(() => medianOf(values)),
    mad: () => some(() => medianOf(values.map((value) => Math.abs(value - medianOf(values))))),
    min: () => some(() => Math.min(...values)),
    max: () => some(() => Math.max(...values)),
    above_count: () => isAbove.filter(Boolean).length,
    above_rate: () => (first < 0 ? Number.NaN : isAbove.filter(Boolean).length / (values.length - first)),
    above_first: () => secondsAgo(first),
    above_run: () => values.length - 1 - lastBelow,
    above_run_start: () => secondsAgo(lastBelow + 1),
    below_run: () => (newest < 0 ? Number.NaN : values.length - 1 - newest),
  };
  return results[feature.statistic]();
}

/** One feature's value (a double) from the list of events. */
export function truth(
  set: readonly Feature[],
  feature: Feature,
  ref: EntityRef,
  all: readonly TimedEvent[],
  nowMs: number,
  own?: TimedEvent,
): number {
  if (feature.aggregate === 'ratio') {
    const [a, b] = [feature.numerator, feature.denominator].map((name) => truth(set, set.find((f) => f.name === name)!, ref, all, nowMs, own));
    const divisor = b! + (feature.plus ?? 0);
    return divisor === 0 ? Number.NaN : a! / divisor;
  }
  if (feature.aggregate === 'zscore') {
    const [value, center, scale] = [feature.value, feature.center, feature.scale].map((name) =>
      truth(set, set.find((f) => f.name === name)!, ref, all, nowMs, own),
    );
    const divisor = scale! + feature.plus;
    return divisor === 0 ? Number.NaN : (value! - center!) / divisor;
  }
  if (!('events' in feature)) throw new Error('not an aggregate of events');
  const known = all.some((one) => concerns(ref, one) && set.some((f) => 'events' in f && matches(f, one)));
  if (!known) return Number.NaN;
  const counted = all.filter((one) => concerns(ref, one) && matches(feature, one));
  switch (feature.aggregate) {
    case 'recent': {
      const above = feature.above;
      const threshold =
        typeof above === 'object'
          ? above.times * (truth(set, set.find((f) => f.name === above.feature)!, ref, all, nowMs, own) + above.plus)
          : (above ?? 0);
      return recentTruth(feature, counted, ref, nowMs, threshold, own);
    }
    case 'distinct':
    case 'share': {
      const sightings = counted.flatMap((one) => keysOf(ref, feature.of, one).map((key) => [one.timestamp_ms, hash53(key)] as const));
      if (feature.aggregate === 'share') {
        const key = own && keysOf(ref, feature.of, own)[0];
        if (key === undefined) return Number.NaN;
        const recent = [...sightings]
          .sort(newestFirst)
          .slice(0, 50)
          .filter(([seenMs]) => seenMs <= nowMs);
        return recent.length === 0 ? Number.NaN : recent.filter(([, hash]) => hash === hash53(key)).length / recent.length;
      }
      const last = new Map<number, number>();
      for (const [seenMs, hash] of sightings) last.set(hash, Math.max(seenMs, last.get(hash) ?? 0));
      const kept = [...last]
        .map(([hash, seenMs]) => [seenMs, hash] as const)
        .sort(newestFirst)
        .slice(0, 64);
      return kept.filter(([seenMs]) => seenMs <= nowMs && seenMs > nowMs - WINDOW_SPECS[feature.window].windowMs).length;
    }
    case 'time_since':
    case 'last': {
      if (feature.aggregate === 'time_since' && feature.edge === 'first') {
        const first = Math.min(...counted.map((one) => one.timestamp_ms));
        return counted.length > 0 && first <= nowMs ? (nowMs - first) / 1000 : Number.NaN;
      }
      const of = feature.aggregate === 'last' ? feature.of : undefined;
      const withValue = counted.filter((one) => of === undefined || valuesOf(ref, of, one).length > 0);
      const newest = withValue.map((one) => [one.timestamp_ms, hash53(one.event_id), one] as const).sort((a, b) => b[0] - a[0] || b[1] - a[1]);
      const found = newest.slice(0, 2).find(([time, , one]) => time <= nowMs && one.event_id !== own?.event_id);
      if (!found) return Number.NaN;
      return of === undefined ? (nowMs - found[0]) / 1000 : valuesOf(ref, of, found[2]).at(-1)! / 10_000;
    }
    default: {
      const { tileMs, windowMs } = WINDOW_SPECS[feature.window];
      const kept = keptTiles(set, ref, all, tileMs);
      const current = Math.floor(nowMs / tileMs);
      const inWindow = counted.filter(({ timestamp_ms }) => {
        const tile = Math.floor(timestamp_ms / tileMs);
        return kept.has(tile) && tile <= current && tile >= current - windowMs / tileMs;
      });
      if (feature.aggregate === 'count') return inWindow.length;
      const numbers = inWindow.flatMap((one) => valuesOf(ref, feature.of, one));
      const sum = numbers.reduce((a, b) => a + b, 0);
      if (feature.aggregate === 'sum') return sum / 10_000;
      if (numbers.length === 0) return Number.NaN;
      if (feature.aggregate === 'mean') return sum / (numbers.length * 10_000);
      return (feature.aggregate === 'min' ? Math.min(...numbers) : Math.max(...numbers)) / 10_000;
    }
  }
}
