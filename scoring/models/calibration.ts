import type { Calibration } from '../../contracts/bundle.ts';

/** Keeps log-odds finite where a model says exactly 0 or 1. */
const PROBABILITY_MIN = 1e-7;

/** Turns a model's raw probability into a calibrated one. */
export function calibrator(calibration: Calibration): (raw: number) => number {
  if (calibration.kind === 'platt') {
    const { a, b } = calibration;
    return (raw) => {
      const p = Math.min(1 - PROBABILITY_MIN, Math.max(PROBABILITY_MIN, raw));
      return 1 / (1 + Math.exp(-(a * Math.log(p / (1 - p)) + b)));
    };
  }
  const { x, y } = calibration;
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
