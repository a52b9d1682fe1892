/** Axis arithmetic: a range of values, and round numbers to mark it with. */
export type Range = readonly [min: number, max: number];

/** The range of the finite values; [0, 1] where there are none, widened where there is but one. */
export function rangeOf(values: Iterable<number>): Range {
  let min = Number.POSITIVE_INFINITY;
  let max = Number.NEGATIVE_INFINITY;
  for (const value of values) {
    if (!Number.isFinite(value)) continue;
    if (value < min) min = value;
    if (value > max) max = value;
  }
  if (min > max) return [0, 1];
  if (min < max) return [min, max];
  const margin = min === 0 ? 1 : Math.abs(min) / 2;
  return [min - margin, max + margin];
}

/** Round numbers (1, 2, 5 times a power of ten) inside a range, about `count` of them. */
export function niceTicks([min, max]: Range, count: number): number[] {
  const raw = (max - min) / Math.max(1, count);
  const power = 10 ** Math.floor(Math.log10(raw));
  const step = ([1, 2, 5, 10].find((factor) => factor * power >= raw * 0.999) ?? 10) * power;
  const ticks: number[] = [];
  for (let i = Math.ceil(min / step - 1e-9); i * step <= max + step * 1e-9; i++) ticks.push(Number((i * step).toPrecision(12)));
  return ticks;
}

/** Widen a range to the ticks around it, so that no line touches the frame. */
export function niceRange(range: Range, count: number): Range {
  const ticks = niceTicks(range, count);
  const step = ticks.length > 1 ? ticks[1]! - ticks[0]! : range[1] - range[0];
  const min = Math.floor(range[0] / step + 1e-9) * step;
  const max = Math.ceil(range[1] / step - 1e-9) * step;
  return [Number(min.toPrecision(12)), Number(max.toPrecision(12))];
}

/** A tick's label: short, without needless zeros. */
export function tickLabel(value: number): string {
  const size = Math.abs(value);
  if (size >= 1e9) return `${Number((value / 1e9).toPrecision(3))}G`;
  if (size >= 1e6) return `${Number((value / 1e6).toPrecision(3))}M`;
  if (size >= 1e4) return `${Number((value / 1e3).toPrecision(3))}k`;
  if (size !== 0 && size < 1e-3) return value.toExponential(0);
  return String(Number(value.toPrecision(4)));
}
