import { GatehouseError } from '../../contracts/errors.ts';

/**
 * Gives a fact without a time the gateway's, in place: a copy of so many fields costs as much as to count the fact. Refuses one from further in
 * the future than clocks differ. Throws `timestamp_out_of_range`.
 */
export function settleTime<T extends { timestamp_ms?: number }>(
  value: T,
  nowMs: number,
  skewMaxMs: number,
  path: string,
): T & { timestamp_ms: number } {
  value.timestamp_ms ??= nowMs;
  const { timestamp_ms } = value;
  if (timestamp_ms > nowMs + skewMaxMs) {
    throw new GatehouseError('timestamp_out_of_range', `the time is ${Math.round((timestamp_ms - nowMs) / 1000)} s ahead of the gateway's clock`, {
      errors: [{ path, message: `more than ${skewMaxMs} ms in the future` }],
    });
  }
  return value as T & { timestamp_ms: number };
}
