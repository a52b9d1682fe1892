import type { EntityKind } from '../../store/contract.ts';
import type { EventFilter, Feature, FeatureDeclarations, KeyField, NumericField, Window } from './contract.ts';
import { hash32 } from './hash.ts';
import { PLAN_SLOTS, type Plan } from './plan.ts';
import { DISTINCT_KEYS_MAX, RECENT_EVENTS_MAX, SHARE_SIGHTINGS_MAX, SKEW_MS, SPARE_TILES, WINDOW_SPECS } from './tiles.ts';

/** What a column of a tile table holds. `values` is how many numbers went into a sum: an event may carry none, or one an item. */
export type ColumnOp = 'count' | 'values' | 'sum' | 'min' | 'max';

export interface Column {
  readonly name: string;
  /** Place in `KindSchema.columnKeys`; the same for this column at every level. */
  readonly ordinal: number;
  readonly op: ColumnOp;
  readonly field: NumericField | undefined;
  readonly filter: EventFilter;
}

/** One tile length of one entity kind: a table with a row a tile, its number first, then the columns. */
export interface Level {
  readonly tileMs: number;
  readonly tilesMax: number;
  readonly rowsMax: number;
  /** Rows older than the newest by more than this are dropped. */
  readonly spanTiles: number;
  readonly columns: readonly Column[];
  readonly stride: number;
  /** A row in which nothing happened. */
  readonly blank: Float64Array;
  /** Its section of a state's bytes, and where its numbers begin: see tables.ts. */
  readonly section: number;
  readonly at: number;
}

/** A bounded list of the newest things: see top.ts. */
export interface TopSpec {
  readonly name: string;
  readonly key: number;
  readonly role: 'distinct' | 'sightings' | 'recent' | 'values' | 'first';
  readonly filter: EventFilter;
  readonly of: KeyField | undefined;
  readonly field: NumericField | undefined;
  readonly width: number;
  readonly entriesMax: number;
  /** Its section of a state's bytes, and where its numbers begin: see lists.ts. */
  readonly section: number;
  readonly at: number;
}

/** What a feature says of the list that it needs; the rest is its place in the state. */
export type TopWanted = Omit<TopSpec, 'key' | 'section' | 'at'>;

export interface HistorySpec {
  readonly name: string;
  readonly key: number;
  readonly filter: EventFilter;
  readonly itemsMax: number;
}

/** Everything that one kind of entity keeps. Its order does not depend on the order of the declarations. */
export interface KindSchema {
  readonly kind: EntityKind;
  readonly levels: readonly Level[];
  readonly columnKeys: readonly number[];
  readonly ordinalOfKey: ReadonlyMap<number, number>;
  readonly tops: readonly TopSpec[];
  readonly histories: readonly HistorySpec[];
  /** Parts of a state's bytes: one a level, then one a list. */
  readonly sections: number;
  /** The numbers of a state to which nothing has happened. */
  readonly numbersAtFirst: number[];
  /** What an event does to this kind, made on first use: see plan.ts. */
  readonly plans: (Plan | null | undefined)[];
}

/** Numbers of a level before its newest row, by their place: rows in all, tile of the oldest row in the section, tile of the newest one there. */
export const ROWS = 0;
export const OLDEST_TILE = 1;
export const NEWEST_TILE = 2;
export const ROW = 3;

/** Numbers of a list, by their place: entries, time of the oldest, time and hash of the newest. */
export const COUNT = 0;
export const OLDEST_MS = 1;
export const NEWEST_MS = 2;
export const NEWEST_KEY = 3;
const TOP_NUMBERS = 4;

export function filterName(filter: EventFilter): string {
  const events = [...new Set(filter.events)].sort().join('+');
  return filter.where ? `${events}?${filter.where.field}=${filter.where.equals}` : events;
}

export function columnName(filter: EventFilter, op: ColumnOp, field: NumericField | undefined): string {
  return `${filterName(filter)}|${op}|${field ?? ''}`;
}

export function topName(role: TopSpec['role'], filter: EventFilter, what: string): string {
  return `${role}|${filterName(filter)}|${what}`;
}

/** The columns that an aggregate is computed from. */
export function columnsOf(feature: Feature): readonly { readonly op: ColumnOp; readonly field: NumericField | undefined }[] {
  switch (feature.aggregate) {
    case 'count':
      return [{ op: 'count', field: undefined }];
    case 'mean':
      return [
        { op: 'sum', field: feature.of },
        { op: 'values', field: feature.of },
      ];
    case 'sum':
    case 'min':
    case 'max':
      return [{ op: feature.aggregate, field: feature.of }];
    default:
      return [];
  }
}

/** The list that an aggregate is computed from, if it is computed from one. */
export function topOf(feature: Feature): TopWanted | undefined {
  const top = (role: TopSpec['role'], filter: EventFilter, what: string, width: number, entriesMax: number, extra: Partial<TopSpec> = {}) => ({
    name: topName(role, filter, what),
    role,
    filter: plainFilter(filter),
    of: extra.of,
    field: extra.field,
    width,
    entriesMax,
  });
  switch (feature.aggregate) {
    case 'distinct':
      return top('distinct', feature, feature.of, 2, DISTINCT_KEYS_MAX, { of: feature.of });
    case 'share':
      return top('sightings', feature, feature.of, 2, SHARE_SIGHTINGS_MAX, { of: feature.of });
    // One more than the values asked for: the subject's own is passed over.
    case 'recent':
      return top('values', feature, feature.of, 3, feature.last + 1, { field: feature.of });
    case 'last':
      return top('recent', feature, feature.of, 3, RECENT_EVENTS_MAX, { field: feature.of });
    case 'time_since':
      return feature.edge === 'first' ? top('first', feature, '', 1, 1) : top('recent', feature, '', 3, RECENT_EVENTS_MAX);
    default:
      return undefined;
  }
}

function plainFilter(filter: EventFilter): EventFilter {
  return filter.where ? { events: filter.events, where: filter.where } : { events: filter.events };
}

class KindBuilder {
  readonly levels = new Map<number, { tilesMax: number; columns: Map<string, Omit<Column, 'ordinal'>> }>();
  readonly tops = new Map<string, TopWanted>();
  readonly histories = new Map<string, HistorySpec>();

  column(window: Window, filter: EventFilter, op: ColumnOp, field: NumericField | undefined): void {
    const { tileMs, windowMs } = WINDOW_SPECS[window];
    const level = this.levels.get(tileMs) ?? { tilesMax: 0, columns: new Map() };
    this.levels.set(tileMs, level);
    level.tilesMax = Math.max(level.tilesMax, windowMs / tileMs);
    const name = columnName(filter, op, field);
    level.columns.set(name, { name, op, field, filter: plainFilter(filter) });
  }

  /** Features that ask for more or fewer of the same values share the longest list. */
  top(top: TopWanted): void {
    const known = this.tops.get(top.name);
    if (!known || known.entriesMax < top.entriesMax) this.tops.set(top.name, top);
  }

  build(kind: EntityKind): KindSchema {
    const names = [...new Set([...this.levels.values()].flatMap((level) => [...level.columns.keys()]))].sort();
    const histories = [...this.histories.values()].sort((a, b) => (a.name < b.name ? -1 : 1));
    const sections = this.levels.size + this.tops.size;
    // The ends of the sections stand first.
    let numbers = sections;
    const place = (count: number): number => {
      numbers += count;
      return numbers - count;
    };
    const columnKeys = names.map(hash32);
    const levels = [...this.levels.entries()]
      .sort(([a], [b]) => a - b)
      .map(([tileMs, { tilesMax, columns }], section): Level => {
        const sorted = [...columns.values()]
          .map((column) => ({ ...column, ordinal: names.indexOf(column.name) }))
          .sort((a, b) => a.ordinal - b.ordinal);
        const blank = Float64Array.from([0, ...sorted.map(({ op }) => (op === 'min' ? Infinity : op === 'max' ? -Infinity : 0))]);
        return {
          tileMs,
          tilesMax,
          rowsMax: tilesMax + 1 + SPARE_TILES,
          spanTiles: tilesMax + Math.ceil(SKEW_MS / tileMs),
          columns: sorted,
          stride: blank.length,
          blank,
          section,
          at: place(ROW + blank.length),
        };
      });
    const tops = [...this.tops.values()]
      .sort((a, b) => (a.name < b.name ? -1 : 1))
      .map((top, i): TopSpec => ({ ...top, key: hash32(top.name), section: levels.length + i, at: place(TOP_NUMBERS) }));
    for (const keys of [columnKeys, tops.map((top) => top.key), histories.map((history) => history.key)]) {
      if (new Set(keys).size !== keys.length) throw new Error(`two stored columns of ${kind} have the same 32-bit key`);
    }
    // Begun with a fraction, the array is one of doubles from the start.
    const numbersAtFirst = Array.from({ length: numbers }, () => 0.5).fill(0);
    for (const { at, blank } of levels) for (const [c, value] of blank.entries()) numbersAtFirst[at + ROW + c] = value;
    return {
      kind,
      levels,
      columnKeys,
      ordinalOfKey: new Map(columnKeys.map((key, i) => [key, i])),
      tops,
      histories,
      sections,
      numbersAtFirst,
      plans: new Array(PLAN_SLOTS).fill(undefined),
    };
  }
}

/** The smallest state that answers every declared feature and history, by entity kind. Kinds that nothing asks for are absent. */
export function compileSchemas(declarations: FeatureDeclarations): ReadonlyMap<EntityKind, KindSchema> {
  const builders = new Map<EntityKind, KindBuilder>();
  const builderOf = (kind: EntityKind): KindBuilder => {
    const builder = builders.get(kind) ?? new KindBuilder();
    builders.set(kind, builder);
    return builder;
  };
  for (const feature of Object.values(declarations.sets).flat()) {
    if (!('entity' in feature)) continue;
    const builder = builderOf(feature.entity);
    const top = topOf(feature);
    if (top) builder.top(top);
    else if ('window' in feature) for (const { op, field } of columnsOf(feature)) builder.column(feature.window, feature, op, field);
  }
  for (const { name, entity, itemsMax, ...filter } of declarations.histories) {
    const key = hash32(`history|${name}|${filterName(filter)}`);
    builderOf(entity).histories.set(name, { name, key, filter: plainFilter(filter), itemsMax });
  }
  return new Map([...builders].map(([kind, builder]) => [kind, builder.build(kind)]));
}

/** Of a kind that nothing is declared of: it remembers nothing. */
export function emptySchema(kind: EntityKind): KindSchema {
  return new KindBuilder().build(kind);
}
