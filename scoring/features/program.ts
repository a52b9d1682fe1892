import { GatehouseError } from '../../contracts/errors.ts';
import type { EntityKind } from '../../store/contract.ts';
import { dayPart } from './calendar.ts';
import {
  type Candidate,
  type CandidateColumns,
  FACTS,
  type Feature,
  type ItemNumbers,
  type KeyField,
  type PlaceField,
  type Subject,
} from './contract.ts';
import { DerivedSteps, inputsOf } from './derived.ts';
import { hash53 } from './hash.ts';
import { type KindReader, KindReaderBuilder } from './reader.ts';
import { columnName, columnsOf, type KindSchema, type TopSpec, topOf } from './schema.ts';
import { ShareTable } from './share.ts';
import type { State } from './state.ts';
import { itemAgeDays, type SubjectField, subjectValue } from './subject.ts';
import { UNITS_PER_ONE } from './tiles.ts';

type Op = 'slot' | 'units' | 'mean' | 'subject' | 'context' | 'share' | 'differs' | 'derived';
type StepGroup = Readonly<Record<Op, readonly Step[]>>;

/** One feature, ready to run: where its inputs stand. All steps have one shape, which keeps the loop over them quick. */
interface Step {
  readonly to: number;
  readonly op: Op;
  /** Where `slot`, `units` and `mean` read. */
  readonly slots: Float64Array;
  /** Place in the slots or in the context. */
  readonly at: number;
  /** The mean's count among the slots; the place of a share's table. */
  readonly by: number;
  readonly field: SubjectField;
  readonly kind: EntityKind;
  /** What a share is of. */
  readonly list: TopSpec | undefined;
  /** Of a share: the place of the subject's key among the program's keys. */
  readonly key: number;
  readonly left: PlaceField;
  readonly right: PlaceField;
}

export type StateOf = (kind: EntityKind) => State | undefined;

const NO_CONTEXT: ArrayLike<number> = [];
/** No event's hash: a subject without one. */
const NO_KEY = -1;
const NO_STEP = {
  slots: new Float64Array(0),
  at: 0,
  by: 0,
  field: 'amount',
  kind: 'user',
  list: undefined,
  key: 0,
  left: 'country',
  right: 'country',
} as const;

/**
 * A feature set, compiled: readers that fill slots, then one step a feature over doubles; the result is rounded to float32 last.
 * The steps that depend on the candidate (item state, item facts, context, and what is derived of these) stand apart, so that ranking runs the others once.
 */
export class SetProgram {
  readonly names: readonly string[];
  readonly contextKeys: readonly string[];
  private readonly values: Float64Array;
  private readonly columns = new Columns();
  private readonly readers = new Map<EntityKind, KindReader>();
  private readonly sharedSteps: StepGroup;
  private readonly candidateSteps: StepGroup;
  private readonly sharedDerived: DerivedSteps;
  private readonly candidateDerived: DerivedSteps;
  private readonly itemShareSteps: readonly Step[];
  private readonly needsOwnKey: boolean;
  /** The fields that shares are asked of, and the hashes of the subject's values of them; NaN where it has none. */
  private readonly keyFields: readonly KeyField[];
  private readonly keys: Float64Array;
  /** By the `by` of a share's step. */
  private readonly shares: readonly ShareTable[];

  constructor(features: readonly Feature[], schemas: ReadonlyMap<EntityKind, KindSchema>) {
    this.names = features.map(({ name }) => name);
    this.contextKeys = [...new Set(features.flatMap((feature) => (feature.aggregate === 'context' ? [feature.key] : [])))];
    this.values = new Float64Array(features.length);
    this.needsOwnKey = features.some((feature) => topOf(feature)?.role === 'recent' || feature.aggregate === 'recent');
    this.keyFields = [...new Set(features.flatMap((feature) => (feature.aggregate === 'share' ? [feature.of] : [])))];
    this.keys = new Float64Array(this.keyFields.length);
    const steps = this.compile(features, schemas);
    const dependent = new Set<number>();
    for (const [i, feature] of features.entries()) {
      const inputs = inputsOf(feature).map((name) => this.names.indexOf(name));
      if (dependsOnCandidate(feature) || inputs.some((input) => dependent.has(input))) dependent.add(i);
    }
    this.sharedSteps = byOp(steps.filter((_, i) => !dependent.has(i)));
    this.candidateSteps = byOp(steps.filter((_, i) => dependent.has(i)));
    this.sharedDerived = new DerivedSteps(features, schemas, (i) => !dependent.has(i));
    this.candidateDerived = new DerivedSteps(features, schemas, (i) => dependent.has(i));
    this.itemShareSteps = this.candidateSteps.share.filter(({ kind }) => kind === 'item');
    this.shares = features.flatMap((feature) => (feature.aggregate === 'share' ? [new ShareTable()] : []));
  }

  private compile(features: readonly Feature[], schemas: ReadonlyMap<EntityKind, KindSchema>): Step[] {
    const builders = new Map<EntityKind, { builder: KindReaderBuilder; lists: number }>();
    const listOf = new Map<Feature, number>();
    for (const feature of features) {
      if (!isRead(feature)) continue;
      const schema = schemaOf(schemas, feature.entity);
      const known = builders.get(feature.entity) ?? { builder: new KindReaderBuilder(schema), lists: 0 };
      builders.set(feature.entity, known);
      const columns = 'events' in feature ? columnsOf(feature).map(({ op, field }) => columnName(feature, op, field)) : [];
      known.builder.want(feature, columns);
      if (topOf(feature)) listOf.set(feature, known.lists++);
    }
    const built = new Map([...builders].map(([kind, { builder }]) => [kind, builder.build()]));
    for (const [kind, { reader }] of built) this.readers.set(kind, reader);
    let shares = 0;
    return features.map((feature, to): Step => {
      switch (feature.aggregate) {
        case 'ratio':
        case 'zscore':
        case 'recent':
          return { ...NO_STEP, to, op: 'derived' };
        case 'differs':
          return { ...NO_STEP, to, op: 'differs', left: feature.left, right: feature.right };
        case 'subject':
          return { ...NO_STEP, to, op: 'subject', field: feature.field };
        case 'context':
          return { ...NO_STEP, to, op: 'context', at: this.contextKeys.indexOf(feature.key) };
        case 'share': {
          const name = topOf(feature)?.name;
          const list = schemaOf(schemas, feature.entity).tops.find((spec) => spec.name === name);
          if (!list) throw new Error(`${feature.name} has no list`);
          return { ...NO_STEP, to, op: 'share', kind: feature.entity, list, by: shares++, key: this.keyFields.indexOf(feature.of) };
        }
      }
      const kind = built.get(feature.entity);
      if (!kind) throw new Error(`no reader for ${feature.entity}`);
      const { slots } = kind.reader;
      const list = listOf.get(feature);
      if (list !== undefined) return { ...NO_STEP, to, op: feature.aggregate === 'last' ? 'units' : 'slot', slots, at: kind.topSlot(list) };
      if (!('window' in feature)) throw new Error(`${feature.name} has neither a window nor a list`);
      const [at, by] = columnsOf(feature).map(({ op, field }) => kind.columnSlot(feature.window, columnName(feature, op, field)));
      if (at === undefined) throw new Error(`${feature.name} has no column`);
      if (by !== undefined) return { ...NO_STEP, to, op: 'mean', slots, at, by };
      return { ...NO_STEP, to, op: feature.aggregate === 'count' ? 'slot' : 'units', slots, at };
    });
  }

  row(subject: Subject, stateOf: StateOf, context: ArrayLike<number>, out: Float32Array, offset: number): void {
    const ownKey = this.ownKey(subject);
    for (const [kind, reader] of this.readers) reader.read(stateOf(kind), subject.nowMs, ownKey);
    const candidate: Candidate = { item: undefined, state: undefined, context };
    this.readKeys(subject, candidate);
    this.countShares(this.sharedSteps.share, stateOf, subject.nowMs);
    this.countShares(this.candidateSteps.share, stateOf, subject.nowMs);
    this.sharedDerived.load(stateOf, subject.nowMs, ownKey);
    this.candidateDerived.load(stateOf, subject.nowMs, ownKey);
    this.run(this.sharedSteps, this.sharedDerived, subject, candidate);
    this.run(this.candidateSteps, this.candidateDerived, subject, candidate);
    this.write(out, offset);
  }

  itemNumbers(set: string): ItemNumbers {
    if (this.itemShareSteps.length > 0) {
      throw new GatehouseError('config_invalid', `the set ${set} asks for a share of an item's own list, which ranking does not keep`);
    }
    if (this.candidateDerived.readsItems) {
      throw new GatehouseError('config_invalid', `the set ${set} asks for the newest values of an item, which ranking does not keep`);
    }
    const reader = this.readers.get('item');
    return { count: reader?.slots.length ?? 0, holdMs: reader?.holdMs ?? Number.POSITIVE_INFINITY };
  }

  readItem(state: State | undefined, nowMs: number, out: Float64Array, offset: number): void {
    const reader = this.readers.get('item');
    if (!reader) return;
    reader.read(state, nowMs, NO_KEY);
    for (let i = 0; i < reader.slots.length; i++) out[offset + i] = reader.slots[i]!;
  }

  /** As `rows`, of items whose numbers were read before: one loop over all candidates a step, instead of all steps a candidate. */
  columnRows(subject: Subject, stateOf: StateOf, candidates: CandidateColumns, out: Float32Array): void {
    const data = this.computeColumns(subject, stateOf, candidates);
    const width = this.values.length;
    for (let f = 0, from = 0; f < width; f++) {
      for (let c = 0, at = f; c < candidates.count; c++, from++, at += width) out[at] = data[from]!;
    }
  }

  /** The same without turning columns into rows. */
  writeColumns(subject: Subject, stateOf: StateOf, candidates: CandidateColumns, out: Float32Array): void {
    const data = this.computeColumns(subject, stateOf, candidates);
    out.set(data.subarray(0, this.values.length * candidates.count));
  }

  private computeColumns(subject: Subject, stateOf: StateOf, candidates: CandidateColumns): Float64Array {
    this.readSubject(subject, stateOf);
    const { values, columns } = this;
    columns.load(candidates, values.length, this.readers.get('item')?.slots.length ?? 0);
    for (const group of Object.values(this.sharedSteps)) for (const { to } of group) columns.fill(to, values[to]!);
    this.runColumns(subject, candidates);
    return columns.data;
  }

  /** Everything that is the same for all candidates. */
  private readSubject(subject: Subject, stateOf: StateOf): void {
    const ownKey = this.ownKey(subject);
    for (const [kind, reader] of this.readers) if (kind !== 'item') reader.read(stateOf(kind), subject.nowMs, ownKey);
    this.countShares(this.sharedSteps.share, stateOf, subject.nowMs);
    this.countShares(this.candidateSteps.share, stateOf, subject.nowMs);
    const nobody: Candidate = { item: undefined, state: undefined, context: NO_CONTEXT };
    this.readKeys(subject, nobody);
    this.sharedDerived.load(stateOf, subject.nowMs, ownKey);
    this.candidateDerived.load(stateOf, subject.nowMs, ownKey);
    this.run(this.sharedSteps, this.sharedDerived, subject, nobody);
  }

  rows(
    subject: Subject,
    stateOf: StateOf,
    candidates: readonly Candidate[],
    itemState: (candidate: Candidate) => State | undefined,
    out: Float32Array,
  ): void {
    const ownKey = this.ownKey(subject);
    const { candidateSteps, candidateDerived, itemShareSteps } = this;
    const itemReader = this.readers.get('item');
    this.readSubject(subject, stateOf);
    let state: State | undefined;
    const stateOfItem: StateOf = () => state;
    for (let c = 0; c < candidates.length; c++) {
      const candidate = candidates[c]!;
      state = itemState(candidate);
      itemReader?.read(state, subject.nowMs, ownKey);
      this.readKeys(subject, candidate);
      this.countShares(itemShareSteps, stateOfItem, subject.nowMs);
      candidateDerived.load(stateOfItem, subject.nowMs, ownKey, true);
      this.run(candidateSteps, candidateDerived, subject, candidate);
      this.write(out, c * this.values.length);
    }
  }

  /** A plain loop: `set` of so few numbers costs more in its call. */
  private write(out: Float32Array, offset: number): void {
    const { values } = this;
    for (let i = 0; i < values.length; i++) out[offset + i] = values[i]!;
  }

  private readKeys(subject: Subject, candidate: Candidate): void {
    for (let i = 0; i < this.keys.length; i++) {
      const key = keyOf(this.keyFields[i]!, subject, candidate);
      this.keys[i] = key === undefined ? Number.NaN : hash53(key);
    }
  }

  private countShares(steps: readonly Step[], stateOf: StateOf, nowMs: number): void {
    for (let i = 0; i < steps.length; i++) {
      const { kind, list, by } = steps[i]!;
      this.shares[by]!.count(stateOf(kind), list!, nowMs);
    }
  }

  private ownKey(subject: Subject): number {
    return this.needsOwnKey && subject.event ? hash53(subject.event.event_id) : NO_KEY;
  }

  /** One loop a sort of step: a single loop that branches on the sort took four times as long. What is derived of other values comes last. */
  private run(steps: StepGroup, derived: DerivedSteps, subject: Subject, candidate: Candidate): void {
    const { values } = this;
    for (const { to, slots, at } of steps.slot) values[to] = slots[at]!;
    for (const { to, slots, at } of steps.units) values[to] = unitsOf(slots[at]!);
    for (const { to, slots, at, by } of steps.mean) values[to] = meanOf(slots[at]!, slots[by]!);
    for (const { to, field } of steps.subject) values[to] = subjectValue(field, subject.nowMs, subject.event, candidate.item);
    for (const { to, at } of steps.context) values[to] = candidate.context[at] ?? Number.NaN;
    for (const { to, by, key } of steps.share) values[to] = this.shares[by]!.shareOf(this.keys[key]!);
    for (const { to, left, right } of steps.differs) values[to] = differs(subject.event?.[left], subject.event?.[right]);
    derived.run(values);
  }

  /** `run` for the candidates' steps, by column. */
  private runColumns(subject: Subject, { count: n, handles, items: { facts }, context }: CandidateColumns): void {
    const { data, numbers } = this.columns;
    const steps = this.candidateSteps;
    for (const { to, at } of steps.slot) for (let c = 0; c < n; c++) data[to * n + c] = numbers[at * n + c]!;
    for (const { to, at } of steps.units) {
      for (let c = 0; c < n; c++) data[to * n + c] = unitsOf(numbers[at * n + c]!);
    }
    for (const { to, at, by } of steps.mean) {
      for (let c = 0; c < n; c++) data[to * n + c] = meanOf(numbers[at * n + c]!, numbers[by * n + c]!);
    }
    for (const { to, field } of steps.subject) {
      const fact = itemFactOf(field);
      for (let c = 0; c < n; c++) data[to * n + c] = facts[handles[c]! * FACTS.width + fact]!;
      if (field === 'item_age_days') for (let c = 0; c < n; c++) data[to * n + c] = itemAgeDays(data[to * n + c]!, subject.nowMs);
    }
    for (const { to, at } of steps.context) {
      const column = context[at]!;
      for (let c = 0, own = to * n; c < n; c++, own++) data[own] = column[c]!;
    }
    for (const { to, by, key } of steps.share) {
      const field = this.keyFields[key];
      const keyAt = field === 'category' ? FACTS.categoryKey : field === 'brand' ? FACTS.brandKey : -1;
      const share = this.shares[by]!;
      for (let c = 0; c < n; c++) data[to * n + c] = share.shareOf(keyAt < 0 ? this.keys[key]! : facts[handles[c]! * FACTS.width + keyAt]!);
    }
    this.candidateDerived.runColumns(data, n);
  }
}

/** A column a feature, and one a number of the item's state, each as long as there are candidates. Used again from request to request. */
class Columns {
  data = new Float64Array(0);
  numbers = new Float64Array(0);
  private count = 0;

  load({ count, handles, itemNumbers }: CandidateColumns, features: number, perItem: number): void {
    this.count = count;
    if (this.data.length < features * count) this.data = new Float64Array(features * count);
    if (this.numbers.length < perItem * count) this.numbers = new Float64Array(perItem * count);
    for (let c = 0; c < count; c++) {
      const from = handles[c]! * perItem;
      for (let i = 0; i < perItem; i++) this.numbers[i * count + c] = itemNumbers[from + i]!;
    }
  }

  fill(column: number, value: number): void {
    this.data.fill(value, column * this.count, (column + 1) * this.count);
  }
}

/** Where the fact stands that a subject's field of the item is read of. */
function itemFactOf(field: SubjectField): number {
  switch (field) {
    case 'item_price':
      return FACTS.price;
    case 'item_stock':
      return FACTS.stock;
    case 'item_age_days':
      return FACTS.createdMs;
    default:
      throw new Error(`${field} is nothing of an item`);
  }
}

function unitsOf(units: number): number {
  return units === Infinity || units === -Infinity ? Number.NaN : units / UNITS_PER_ONE;
}

function meanOf(sum: number, count: number): number {
  return count === 0 ? Number.NaN : sum / (count * UNITS_PER_ONE);
}

function byOp(steps: readonly Step[]): StepGroup {
  const group: Record<Op, Step[]> = { slot: [], units: [], mean: [], subject: [], context: [], share: [], differs: [], derived: [] };
  for (const step of steps) group[step.op].push(step);
  return group;
}

/** A feature whose value comes out of a reader's slots. */
type ReadFeature = Exclude<Feature, { aggregate: 'ratio' | 'zscore' | 'recent' | 'differs' | 'subject' | 'context' | 'share' }>;

const NOT_READ: ReadonlySet<Feature['aggregate']> = new Set(['ratio', 'zscore', 'recent', 'differs', 'subject', 'context', 'share']);

function isRead(feature: Feature): feature is ReadFeature {
  return !NOT_READ.has(feature.aggregate);
}

function dependsOnCandidate(feature: Feature): boolean {
  switch (feature.aggregate) {
    case 'context':
      return true;
    case 'subject':
      return feature.field.startsWith('item_');
    case 'share':
      return feature.entity === 'item' || feature.of === 'category' || feature.of === 'brand';
    default:
      return 'entity' in feature && feature.entity === 'item';
  }
}

/** NaN where either is unknown. */
function differs(left: string | undefined, right: string | undefined): number {
  return left === undefined || right === undefined ? Number.NaN : left === right ? 0 : 1;
}

function schemaOf(schemas: ReadonlyMap<EntityKind, KindSchema>, kind: EntityKind): KindSchema {
  const schema = schemas.get(kind);
  if (!schema) throw new Error(`no schema for ${kind}`);
  return schema;
}

/** The subject's own value: the candidate's category or brand, anything else from the subject's event. */
function keyOf(field: KeyField, { event }: Subject, { item }: Candidate): string | undefined {
  if (field === 'category' || field === 'brand') return item?.[field];
  if (field === 'day_part') return event && dayPart(event.timestamp_ms);
  return field === 'item_id' ? event?.items?.[0]?.item_id : event?.[field];
}
