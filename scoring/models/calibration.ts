import type { Calibration } from '../../contracts/bundle.ts';
import { GatehouseError } from '../../contracts/errors.ts';

/** Keeps log-odds finite where a model says exactly 0 or 1. */
const PROBABILITY_MIN = 1e-7;

/**
 * Turns a model's raw probability into a calibrated one, in [0, 1] and never falling where the raw one rises. Throws `bundle_corrupt` for a
 * calibration that would do otherwise.
 */
export function calibrator(calibration: Calibration): (raw: number) => number {
  if (calibration.kind === 'platt') {
    const { a, b } = calibration;
    mustBe(a >= 0 && Number.isFinite(a) && Number.isFinite(b), `its slope is ${a}, its offset ${b}`);
    return (raw) => {
      const p = Math.min(1 - PROBABILITY_MIN, Math.max(PROBABILITY_MIN, raw));
      return 1 / (1 + Math.exp(-(a * Math.log(p / (1 - p)) + b)));
    };
  }
  const { x, y } = calibration;
  mustBe(x.length === y.length, `it has ${x.length} knots and ${y.length} values`);
  for (let i = 0; i < x.length; i++) {
    mustBe(y[i]! >= 0 && y[i]! <= 1, `the value ${y[i]} is no probability`);
    mustBe(i === 0 || (x[i - 1]! <= x[i]! && y[i - 1]! <= y[i]!), `it falls at knot ${i}`);
  }
  return (raw) => {
    // Between two knots the line joins them; outside, the end knots hold.
    if (x.length === 0) return raw;
    let low = 0;
    let high = x.length - 1;
    if (raw <= x[0]!) return y[0]!;
    if (raw >= x[high]!) return y[high]!;
    while (high - low > 1) {
      const middle = (low + high) >> 1;
      if (x[middle]! <= raw) low = middle;
      else high = middle;
    }
    const width = x[high]! - x[low]!;
    return width > 0 ? y[low]! + ((raw - x[low]!) / width) * (y[high]! - y[low]!) : y[high]!;
  };
}

function mustBe(condition: boolean, detail: string): asserts condition {
  if (!condition) throw new GatehouseError('bundle_corrupt', `the calibration is not sound: ${detail}`);
}
