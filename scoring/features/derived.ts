import type { EntityKind } from '../../store/contract.ts';
import type { Feature, RecentStatistic } from './contract.ts';
import { RecentValues } from './recent.ts';
import { type KindSchema, type TopSpec, topOf } from './schema.ts';
import type { State } from './state.ts';
import { WINDOW_SPECS } from './tiles.ts';

type RecentFeature = Extract<Feature, { aggregate: 'recent' }>;

/** One statistic of a list's newest values, ready to run: its threshold is times x (a value before it + plus), or plus alone. */
interface RecentStep {
  readonly to: number;
  /** Place in `lists`. */
  readonly list: number;
  readonly statistic: RecentStatistic;
  readonly last: number;
  readonly windowMs: number;
  readonly times: number;
  /** Place of the threshold's feature among the values, or -1. */
  readonly by: number;
  readonly plus: number;
}

interface ValueList {
  readonly kind: EntityKind;
  readonly spec: TopSpec;
  readonly values: RecentValues;
}

/** (value - center) / (scale + plus) over values before it; `center` is -1 for a plain quotient. */
interface QuotientStep {
  readonly to: number;
  readonly at: number;
  readonly center: number;
  readonly by: number;
  readonly plus: number;
}

/**
 * The steps that read other features' values: statistics with thresholds, then quotients. Each sort runs in the order of its declarations. `wanted` says
 * which of the set's features are meant; a list is loaded once however many of them read it.
 */
export class DerivedSteps {
  private readonly lists: ValueList[] = [];
  private readonly itemLists: readonly ValueList[];
  private readonly recent: readonly RecentStep[];
  private readonly quotients: readonly QuotientStep[];

  constructor(features: readonly Feature[], schemas: ReadonlyMap<EntityKind, KindSchema>, wanted: (index: number) => boolean) {
    const place = new Map(features.map(({ name }, i) => [name, i]));
    const recent: RecentStep[] = [];
    const quotients: QuotientStep[] = [];
    features.forEach((feature, to) => {
      if (!wanted(to)) return;
      if (feature.aggregate === 'recent') recent.push({ to, list: this.listOf(feature, schemas), ...thresholdOf(feature, place) });
      if (feature.aggregate === 'ratio')
        quotients.push({ to, at: place.get(feature.numerator)!, center: -1, by: place.get(feature.denominator)!, plus: feature.plus ?? 0 });
      if (feature.aggregate === 'zscore') {
        const { value, center, scale, plus } = feature;
        quotients.push({ to, at: place.get(value)!, center: place.get(center)!, by: place.get(scale)!, plus });
      }
    });
    this.recent = recent;
    this.quotients = quotients;
    this.itemLists = this.lists.filter(({ kind }) => kind === 'item');
  }

  private listOf(feature: RecentFeature, schemas: ReadonlyMap<EntityKind, KindSchema>): number {
    const name = topOf(feature)?.name;
    const spec = schemas.get(feature.entity)?.tops.find((top) => top.name === name);
    if (!spec) throw new Error(`${feature.name} has no list`);
    const known = this.lists.findIndex((list) => list.spec === spec);
    return known >= 0 ? known : this.lists.push({ kind: feature.entity, spec, values: new RecentValues() }) - 1;
  }

  /** Takes the lists of the subject's entities, or of the candidate item alone. */
  load(stateOf: (kind: EntityKind) => State | undefined, nowMs: number, ownKey: number, itemOnly = false): void {
    for (const { kind, spec, values } of itemOnly ? this.itemLists : this.lists) values.load(stateOf(kind), spec, nowMs, ownKey);
  }

  run(values: Float64Array): void {
    for (const { to, list, statistic, last, windowMs, times, by, plus } of this.recent) {
      const threshold = by < 0 ? plus : times * (values[by]! + plus);
      values[to] = this.lists[list]!.values.statistic(statistic, last, windowMs, threshold);
    }
    for (const { to, at, center, by, plus } of this.quotients) {
      const above = center < 0 ? values[at]! : values[at]! - values[center]!;
      const below = values[by]! + plus;
      values[to] = below === 0 ? Number.NaN : above / below;
    }
  }

  /** `run` for `n` candidates: value i of candidate c stands at `columns[i * n + c]`. */
  runColumns(columns: Float64Array, n: number): void {
    for (const { to, list, statistic, last, windowMs, times, by, plus } of this.recent) {
      const { values } = this.lists[list]!;
      for (let c = 0; c < n; c++) {
        const threshold = by < 0 ? plus : times * (columns[by * n + c]! + plus);
        columns[to * n + c] = values.statistic(statistic, last, windowMs, threshold);
      }
    }
    for (const { to, at, center, by, plus } of this.quotients) {
      for (let c = 0; c < n; c++) {
        const above = center < 0 ? columns[at * n + c]! : columns[at * n + c]! - columns[center * n + c]!;
        const below = columns[by * n + c]! + plus;
        columns[to * n + c] = below === 0 ? Number.NaN : above / below;
      }
    }
  }

  /** Whether a list of the candidate item is among those that are read. */
  get readsItems(): boolean {
    return this.itemLists.length > 0;
  }
}

function thresholdOf({ statistic, last, window, above }: RecentFeature, place: ReadonlyMap<string, number>): Omit<RecentStep, 'to' | 'list'> {
  const common = { statistic, last, windowMs: window === undefined ? Number.POSITIVE_INFINITY : WINDOW_SPECS[window].windowMs };
  if (above === undefined || typeof above === 'number') return { ...common, times: 1, by: -1, plus: above ?? 0 };
  return { ...common, times: above.times, by: place.get(above.feature)!, plus: above.plus };
}

/** The features of the same set whose values a feature is computed from. */
export function inputsOf(feature: Feature): readonly string[] {
  if (feature.aggregate === 'ratio') return [feature.numerator, feature.denominator];
  if (feature.aggregate === 'zscore') return [feature.value, feature.center, feature.scale];
  if (feature.aggregate === 'recent' && typeof feature.above === 'object') return [feature.above.feature];
  return [];
}

/** The feature and those of its set that it is computed from, in the order of the set. */
export function withInputs(features: readonly Feature[], name: string): readonly Feature[] {
  const wanted = new Set([name]);
  // A feature reads features declared before it.
  for (const feature of [...features].reverse()) if (wanted.has(feature.name)) for (const input of inputsOf(feature)) wanted.add(input);
  return features.filter((feature) => wanted.has(feature.name));
}
