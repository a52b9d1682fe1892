import { DOUBLE_BYTES, doubleAt, HASH_BYTES, hashAt, numberOf, varintAt, varintBytes } from './bytes.ts';
import type { RecentStatistic } from './contract.ts';
import { COUNT, OLDEST_MS, type TopSpec } from './schema.ts';
import { medianOfFirst } from './select.ts';
import type { State } from './state.ts';
import { UNITS_PER_ONE } from './tiles.ts';

/**
 * The values of one list as a subject sees them: those not later than `nowMs`, its own left out, oldest first (ties by the hash of the event's
 * id, as the list is kept). Filled once a request, then asked once a feature.
 */
export class RecentValues {
  private values = new Float64Array(0);
  private times = new Float64Array(0);
  private nowMs = 0;
  /** -1 while there is no state at all. */
  private count = -1;
  /** What was found last: of the values from which place on (-1: none). */
  private meanOf = -1;
  private mean = 0;
  private medianOf = -1;
  private median = 0;
  private aboveOf = -1;
  private threshold = 0;
  private aboves = 0;
  private first = -1;
  private newest = -1;

  load(state: State | undefined, { at, section, entriesMax }: TopSpec, nowMs: number, ownKey: number): void {
    this.nowMs = nowMs;
    this.count = state === undefined ? -1 : 0;
    this.meanOf = -1;
    this.medianOf = -1;
    this.aboveOf = -1;
    if (state === undefined) return;
    if (this.values.length < entriesMax) {
      this.values = new Float64Array(entriesMax);
      this.times = new Float64Array(entriesMax);
    }
    const { values, times } = this;
    const ownByte = ownKey & 255;
    const entries = state.numbers[at + COUNT]!;
    let count = 0;
    let atMs = state.numbers[at + OLDEST_MS]!;
    const { bytes } = state;
    let from = state.sectionFrom(section);
    for (let i = 0; i < entries; i++) {
      if (i > 0) {
        const step = varintAt(bytes, from);
        atMs += step;
        from += varintBytes(step);
      }
      if (atMs > nowMs) break;
      // A hash is read where its first byte is the own one's: of two hundred seldom more than that one.
      const isOwn = bytes[from] === ownByte && hashAt(bytes, from) === ownKey;
      const varint = varintAt(bytes, from + HASH_BYTES);
      from += HASH_BYTES + varintBytes(varint);
      let units = numberOf(varint);
      if (varint === 0) {
        units = doubleAt(bytes, from);
        from += DOUBLE_BYTES;
      }
      if (isOwn) continue;
      times[count] = atMs;
      values[count++] = units / UNITS_PER_ONE;
    }
    this.count = count;
  }

  /** Of the newest `last` values that are younger than `windowMs`. A set asks for many of the same values: what one has found the next one uses. */
  statistic(statistic: RecentStatistic, last: number, windowMs: number, threshold: number): number {
    const { count, values } = this;
    if (count < 0) return Number.NaN;
    const from = this.firstAfter(this.nowMs - windowMs, Math.max(0, count - last));
    switch (statistic) {
      case 'count':
        return count - from;
      case 'mean':
        return from === count ? Number.NaN : this.meanFrom(from);
      case 'sd':
        return from === count ? Number.NaN : deviation(values, from, count, this.meanFrom(from));
      case 'median':
        return from === count ? Number.NaN : this.medianFrom(from);
      case 'mad':
        return from === count ? Number.NaN : medianDistance(values, from, count, this.medianFrom(from));
      case 'min':
      case 'max': {
        let value = from === count ? Number.NaN : values[from]!;
        for (let i = from + 1; i < count; i++) if (statistic === 'min' ? values[i]! < value : values[i]! > value) value = values[i]!;
        return value;
      }
      default:
        // A threshold that is missing makes everything that hangs on it missing.
        return Number.isNaN(threshold) ? Number.NaN : this.above(statistic, from, threshold);
    }
  }

  /** The first value from place `from` on that is later than `afterMs`. */
  private firstAfter(afterMs: number, from: number): number {
    const { times } = this;
    let low = from;
    let high = this.count;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (times[middle]! <= afterMs) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  private meanFrom(from: number): number {
    if (this.meanOf !== from) {
      let sum = 0;
      for (let i = from; i < this.count; i++) sum += this.values[i]!;
      this.meanOf = from;
      this.mean = sum / (this.count - from);
    }
    return this.mean;
  }

  private medianFrom(from: number): number {
    if (this.medianOf !== from) {
      this.medianOf = from;
      this.median = medianOf(this.values, from, this.count);
    }
    return this.median;
  }

  private above(statistic: RecentStatistic, from: number, threshold: number): number {
    const { values, times, count, nowMs } = this;
    if (this.aboveOf !== from || this.threshold !== threshold) this.findAbove(from, threshold);
    const { aboves, first, newest } = this;
    if (statistic === 'above_count') return aboves;
    if (statistic === 'above_rate') return first < 0 ? Number.NaN : aboves / (count - first);
    if (statistic === 'above_first') return first < 0 ? Number.NaN : (nowMs - times[first]!) / 1000;
    if (statistic === 'below_run') return newest < 0 ? Number.NaN : count - 1 - newest;
    if (newest < count - 1) return statistic === 'above_run' ? 0 : Number.NaN;
    let start = count;
    while (start > from && values[start - 1]! > threshold) start--;
    if (statistic === 'above_run') return count - start;
    return start === count ? Number.NaN : (nowMs - times[start]!) / 1000;
  }

  private findAbove(from: number, threshold: number): void {
    const { values, count } = this;
    let [aboves, first, newest] = [0, -1, -1];
    for (let i = from; i < count; i++) {
      if (values[i]! <= threshold) continue;
      aboves++;
      if (first < 0) first = i;
      newest = i;
    }
    this.aboveOf = from;
    this.threshold = threshold;
    this.aboves = aboves;
    this.first = first;
    this.newest = newest;
  }
}

let scratch = new Float64Array(0);

function deviation(values: Float64Array, from: number, to: number, mean: number): number {
  let squares = 0;
  for (let i = from; i < to; i++) squares += (values[i]! - mean) * (values[i]! - mean);
  return Math.sqrt(squares / (to - from));
}

function medianOf(values: Float64Array, from: number, to: number): number {
  if (scratch.length < to - from) scratch = new Float64Array(values.length);
  for (let i = from; i < to; i++) scratch[i - from] = values[i]!;
  return medianOfFirst(scratch, to - from);
}

function medianDistance(values: Float64Array, from: number, to: number, median: number): number {
  for (let i = from; i < to; i++) scratch[i - from] = Math.abs(values[i]! - median);
  return medianOfFirst(scratch, to - from);
}
