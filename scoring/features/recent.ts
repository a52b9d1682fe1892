import { Cursor } from './bytes.ts';
import type { RecentStatistic } from './contract.ts';
import { COUNT, OLDEST_MS, type TopSpec } from './schema.ts';
import { nthSmallest } from './select.ts';
import type { State } from './state.ts';
import { UNITS_PER_ONE } from './tiles.ts';

const cursor = new Cursor();

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

  load(state: State | undefined, { at, section, entriesMax }: TopSpec, nowMs: number, ownKey: number): void {
    this.nowMs = nowMs;
    this.count = state === undefined ? -1 : 0;
    if (state === undefined) return;
    if (this.values.length < entriesMax) {
      this.values = new Float64Array(entriesMax);
      this.times = new Float64Array(entriesMax);
    }
    const { values, times } = this;
    const entries = state.numbers[at + COUNT]!;
    let count = 0;
    let atMs = state.numbers[at + OLDEST_MS]!;
    cursor.open(state.bytes, state.sectionFrom(section));
    for (let i = 0; i < entries; i++) {
      if (i > 0) atMs += cursor.varint();
      if (atMs > nowMs) break;
      const key = cursor.hash();
      const units = cursor.number();
      if (key === ownKey) continue;
      times[count] = atMs;
      values[count++] = units / UNITS_PER_ONE;
    }
    this.count = count;
  }

  /** Of the newest `last` values that are younger than `windowMs`. */
  statistic(statistic: RecentStatistic, last: number, windowMs: number, threshold: number): number {
    const { count } = this;
    if (count < 0) return Number.NaN;
    let from = Math.max(0, count - last);
    while (from < count && this.times[from]! <= this.nowMs - windowMs) from++;
    if (statistic === 'count') return count - from;
    if (statistic.startsWith('above_') || statistic === 'below_run') return this.above(statistic, from, threshold);
    return from === count ? Number.NaN : this.plain(statistic, from);
  }

  private plain(statistic: RecentStatistic, from: number): number {
    const { values, count } = this;
    if (statistic === 'median') return medianOf(values, from, count);
    if (statistic === 'mad') return medianDistance(values, from, count);
    if (statistic === 'min' || statistic === 'max') {
      let value = values[from]!;
      for (let i = from + 1; i < count; i++) value = statistic === 'min' ? Math.min(value, values[i]!) : Math.max(value, values[i]!);
      return value;
    }
    let sum = 0;
    for (let i = from; i < count; i++) sum += values[i]!;
    const mean = sum / (count - from);
    if (statistic === 'mean') return mean;
    let squares = 0;
    for (let i = from; i < count; i++) squares += (values[i]! - mean) * (values[i]! - mean);
    return Math.sqrt(squares / (count - from));
  }

  /** A threshold that is missing makes everything that hangs on it missing. */
  private above(statistic: RecentStatistic, from: number, threshold: number): number {
    if (Number.isNaN(threshold)) return Number.NaN;
    const { values, times, count, nowMs } = this;
    let [above, first, newest] = [0, -1, -1];
    for (let i = from; i < count; i++) {
      if (values[i]! <= threshold) continue;
      above++;
      if (first < 0) first = i;
      newest = i;
    }
    if (statistic === 'above_count') return above;
    if (statistic === 'above_rate') return first < 0 ? Number.NaN : above / (count - first);
    if (statistic === 'above_first') return first < 0 ? Number.NaN : (nowMs - times[first]!) / 1000;
    if (statistic === 'below_run') return newest < 0 ? Number.NaN : count - 1 - newest;
    if (newest < count - 1) return statistic === 'above_run' ? 0 : Number.NaN;
    let start = count;
    while (start > from && values[start - 1]! > threshold) start--;
    if (statistic === 'above_run') return count - start;
    return start === count ? Number.NaN : (nowMs - times[start]!) / 1000;
  }
}

let scratch = new Float64Array(0);

function medianOf(values: Float64Array, from: number, to: number): number {
  if (scratch.length < to - from) scratch = new Float64Array(values.length);
  for (let i = from; i < to; i++) scratch[i - from] = values[i]!;
  return middle(to - from);
}

function medianDistance(values: Float64Array, from: number, to: number): number {
  const median = medianOf(values, from, to);
  for (let i = from; i < to; i++) scratch[i - from] = Math.abs(values[i]! - median);
  return middle(to - from);
}

/** Of the first `n` numbers of the scratch; of an even number of them, the mean of the two in the middle. */
function middle(n: number): number {
  const upper = nthSmallest(scratch, n, n >> 1);
  if (n % 2 === 1) return upper;
  // The lower half now stands before it.
  let lower = scratch[0]!;
  for (let i = 1; i < n >> 1; i++) lower = Math.max(lower, scratch[i]!);
  return (lower + upper) / 2;
}
