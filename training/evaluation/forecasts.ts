/** What a table of forecast errors shows for one series. NaN where a denominator is zero. */
export interface ForecastErrors {
  /** Mean absolute error over that of the seasonal naive forecast inside the training part. */
  readonly mase: number;
  /** Root of the same ratio of squared errors. */
  readonly rmsse: number;
  /** Mean of 200 |y - f| / (|y| + |f|), 0 where both are 0. */
  readonly smape: number;
  /** Sums for the pooled WAPE: of |y - f| and of |y|. */
  readonly absolute: number;
  readonly total: number;
}

/** Errors of one forecast; `train` are the values before it, `period` the lag of the naive scale. */
export function forecastErrors(train: Float64Array, actual: Float64Array, forecast: Float64Array, period: number): ForecastErrors {
  let [scale, squareScale] = [0, 0];
  for (let t = period; t < train.length; t++) {
    const change = train[t]! - train[t - period]!;
    scale += Math.abs(change);
    squareScale += change * change;
  }
  const lags = train.length - period;
  let [absolute, squares, symmetric, total] = [0, 0, 0, 0];
  for (let h = 0; h < actual.length; h++) {
    const [y, f] = [actual[h]!, forecast[h]!];
    const error = Math.abs(y - f);
    absolute += error;
    squares += error * error;
    total += Math.abs(y);
    if (error > 0) symmetric += (200 * error) / (Math.abs(y) + Math.abs(f));
  }
  const steps = actual.length;
  return {
    mase: scale > 0 ? absolute / steps / (scale / lags) : Number.NaN,
    rmsse: squareScale > 0 ? Math.sqrt(squares / steps / (squareScale / lags)) : Number.NaN,
    smape: symmetric / steps,
    absolute,
    total,
  };
}

export interface ForecastSummary {
  readonly mase: number;
  readonly medianMase: number;
  readonly rmsse: number;
  readonly smape: number;
  readonly wape: number;
}

/** Means over the series that have a denominator; WAPE over all of them together. */
export function summarise(errors: readonly ForecastErrors[]): ForecastSummary {
  const meanOf = (pick: (e: ForecastErrors) => number): number => {
    const known = errors.map(pick).filter((value) => !Number.isNaN(value));
    return known.reduce((a, b) => a + b, 0) / known.length;
  };
  const mases = Float64Array.from(errors.map(({ mase }) => mase).filter((value) => !Number.isNaN(value))).sort();
  const sum = (pick: (e: ForecastErrors) => number) => errors.reduce((all, e) => all + pick(e), 0);
  return {
    mase: meanOf(({ mase }) => mase),
    medianMase: mases.length === 0 ? Number.NaN : (mases[(mases.length - 1) >> 1]! + mases[mases.length >> 1]!) / 2,
    rmsse: meanOf(({ rmsse }) => rmsse),
    smape: meanOf(({ smape }) => smape),
    wape: sum(({ absolute }) => absolute) / sum(({ total }) => total),
  };
}
