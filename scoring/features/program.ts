import type { EntityKind } from '../../store/contract.ts';
import type { Candidate, Feature, KeyField, Subject } from './contract.ts';
import { hash53 } from './hash.ts';
import { type KindReader, KindReaderBuilder } from './reader.ts';
import { columnName, columnsOf, type KindSchema, topOf } from './schema.ts';
import type { State } from './state.ts';
import { type SubjectField, subjectValue } from './subject.ts';
import { UNITS_PER_ONE } from './tiles.ts';

/** One feature, ready to run: where its inputs stand. All steps have one shape, which keeps the loop over them quick. */
interface Step {
  readonly to: number;
  readonly op: 'slot' | 'units' | 'mean' | 'ratio' | 'subject' | 'context' | 'share';
  /** Where `slot`, `units` and `mean` read. */
  readonly slots: Float64Array;
  /** Place in the slots, of the numerator among the values, in the context, or of the list among the entity's lists. */
  readonly at: number;
  /** The mean's count among the slots, or the denominator among the values. */
  readonly by: number;
  readonly field: SubjectField;
  readonly kind: EntityKind;
  readonly of: KeyField;
}

export type StateOf = (kind: EntityKind) => State | undefined;

const NO_CONTEXT: ArrayLike<number> = [];
const NO_STEP = { slots: new Float64Array(0), at: 0, by: 0, field: 'amount', kind: 'user', of: 'user_id' } as const;

/**
 * A feature set, compiled: readers that fill slots, then one step a feature over doubles; the result is rounded to float32 last.
 * The steps that depend on the candidate (item state, item facts, context, and ratios of these) stand apart, so that ranking runs the others once.
 */
export class SetProgram {
  readonly names: readonly string[];
  readonly contextKeys: readonly string[];
  private readonly values: Float64Array;
  private readonly readers = new Map<EntityKind, KindReader>();
  private readonly sharedSteps: readonly Step[];
  private readonly candidateSteps: readonly Step[];
  private readonly candidateFeatures: readonly number[];
  private readonly needsOwnKey: boolean;
  /** Shares by key text, by candidate step: candidates of one ranking have few categories. */
  private readonly shareCache: readonly Map<string, number>[];

  constructor(features: readonly Feature[], schemas: ReadonlyMap<EntityKind, KindSchema>) {
    this.names = features.map(({ name }) => name);
    this.contextKeys = [...new Set(features.flatMap((feature) => (feature.aggregate === 'context' ? [feature.key] : [])))];
    this.values = new Float64Array(features.length);
    this.needsOwnKey = features.some((feature) => topOf(feature)?.role === 'recent');
    const steps = this.compile(features, schemas);
    const dependent = new Set<number>();
    for (const [i, feature] of features.entries()) {
      if (feature.aggregate === 'ratio') {
        if (dependent.has(this.names.indexOf(feature.numerator)) || dependent.has(this.names.indexOf(feature.denominator))) dependent.add(i);
      } else if (dependsOnCandidate(feature)) dependent.add(i);
    }
    this.sharedSteps = steps.filter((_, i) => !dependent.has(i));
    this.candidateSteps = steps.filter((_, i) => dependent.has(i));
    this.candidateFeatures = [...dependent];
    this.shareCache = this.candidateSteps.map(() => new Map());
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
    return features.map((feature, to): Step => {
      switch (feature.aggregate) {
        case 'ratio':
          return { ...NO_STEP, to, op: 'ratio', at: this.names.indexOf(feature.numerator), by: this.names.indexOf(feature.denominator) };
        case 'subject':
          return { ...NO_STEP, to, op: 'subject', field: feature.field };
        case 'context':
          return { ...NO_STEP, to, op: 'context', at: this.contextKeys.indexOf(feature.key) };
        case 'share': {
          const name = topOf(feature)?.name;
          const at = schemaOf(schemas, feature.entity).tops.findIndex((spec) => spec.name === name);
          return { ...NO_STEP, to, op: 'share', kind: feature.entity, at, of: feature.of };
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
    for (const step of this.sharedSteps) this.values[step.to] = this.run(step, subject, candidate, stateOf, undefined);
    for (const step of this.candidateSteps) this.values[step.to] = this.run(step, subject, candidate, stateOf, undefined);
    for (let i = 0; i < this.values.length; i++) out[offset + i] = this.values[i]!;
  }

  rows(
    subject: Subject,
    stateOf: StateOf,
    candidates: readonly Candidate[],
    itemState: (candidate: Candidate) => State | undefined,
    out: Float32Array,
  ): void {
    const ownKey = this.ownKey(subject);
    const { values, candidateSteps, candidateFeatures, shareCache } = this;
    const itemReader = this.readers.get('item');
    for (const [kind, reader] of this.readers) if (kind !== 'item') reader.read(stateOf(kind), subject.nowMs, ownKey);
    const nobody: Candidate = { item: undefined, state: undefined, context: NO_CONTEXT };
    for (const step of this.sharedSteps) values[step.to] = this.run(step, subject, nobody, stateOf, undefined);
    for (const cache of shareCache) cache.clear();
    const width = values.length;
    const first = new Float32Array(values);
    let state: State | undefined;
    const stateOfCandidate: StateOf = (kind) => (kind === 'item' ? state : stateOf(kind));
    for (let c = 0; c < candidates.length; c++) {
      const candidate = candidates[c]!;
      state = itemState(candidate);
      itemReader?.read(state, subject.nowMs, ownKey);
      for (let i = 0; i < candidateSteps.length; i++) {
        const step = candidateSteps[i]!;
        values[step.to] = this.run(step, subject, candidate, stateOfCandidate, shareCache[i]);
      }
      const offset = c * width;
      out.set(first, offset);
      for (const i of candidateFeatures) out[offset + i] = values[i]!;
    }
  }

  private ownKey(subject: Subject): number {
    return this.needsOwnKey && subject.event ? hash53(subject.event.event_id) : -1;
  }

  private run(step: Step, subject: Subject, candidate: Candidate, stateOf: StateOf, cache: Map<string, number> | undefined): number {
    switch (step.op) {
      case 'slot':
        return step.slots[step.at]!;
      case 'units': {
        const units = step.slots[step.at]!;
        return units === Infinity || units === -Infinity ? Number.NaN : units / UNITS_PER_ONE;
      }
      case 'mean': {
        const count = step.slots[step.by]!;
        return count === 0 ? Number.NaN : step.slots[step.at]! / (count * UNITS_PER_ONE);
      }
      case 'ratio': {
        const by = this.values[step.by]!;
        return by === 0 ? Number.NaN : this.values[step.at]! / by;
      }
      case 'subject':
        return subjectValue(step.field, subject.nowMs, subject.event, candidate.item);
      case 'context':
        return candidate.context[step.at] ?? Number.NaN;
      case 'share': {
        const key = keyOf(step.of, subject, candidate);
        if (key === undefined) return Number.NaN;
        const known = step.kind === 'item' ? undefined : cache?.get(key);
        if (known !== undefined) return known;
        const share = shareOf(stateOf(step.kind), step.at, hash53(key), subject.nowMs);
        cache?.set(key, share);
        return share;
      }
    }
  }
}

/** Whether a feature's value comes out of a reader's slots. */
function isRead(feature: Feature): feature is Exclude<Feature, { aggregate: 'ratio' | 'subject' | 'context' | 'share' }> {
  return feature.aggregate !== 'ratio' && feature.aggregate !== 'subject' && feature.aggregate !== 'context' && feature.aggregate !== 'share';
}

function dependsOnCandidate(feature: Exclude<Feature, { aggregate: 'ratio' }>): boolean {
  switch (feature.aggregate) {
    case 'context':
      return true;
    case 'subject':
      return feature.field.startsWith('item_');
    case 'share':
      return feature.entity === 'item' || feature.of === 'category' || feature.of === 'brand';
    default:
      return feature.entity === 'item';
  }
}

function schemaOf(schemas: ReadonlyMap<EntityKind, KindSchema>, kind: EntityKind): KindSchema {
  const schema = schemas.get(kind);
  if (!schema) throw new Error(`no schema for ${kind}`);
  return schema;
}

/** The subject's own value: the candidate's category or brand, anything else from the subject's event. */
function keyOf(field: KeyField, { event }: Subject, { item }: Candidate): string | undefined {
  if (field === 'category' || field === 'brand') return item?.[field];
  return field === 'item_id' ? event?.items?.[0]?.item_id : event?.[field];
}

function shareOf(state: State | undefined, index: number, key: number, nowMs: number): number {
  const top = state?.tops[index];
  let seen = 0;
  let equal = 0;
  for (let i = 0; top && i < top.count; i++) {
    if (top.data[i * 2]! > nowMs) break;
    seen++;
    if (top.data[i * 2 + 1] === key) equal++;
  }
  return seen === 0 ? Number.NaN : equal / seen;
}
