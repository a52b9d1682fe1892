import { GatehouseError } from '../../contracts/errors.ts';
import type { Tensor } from './onnx.ts';

/** One output of a model, checked to be `length` float32 values. Throws `bundle_probe_failed`. */
export function floats(file: string, output: string, length: number, answer: Record<string, Tensor>): Float32Array {
  const data = answer[output]?.data;
  if (!(data instanceof Float32Array) || data.length !== length) {
    throw new GatehouseError('bundle_probe_failed', `${file}: output ${output} has ${data?.length ?? 'no'} values instead of ${length}`);
  }
  return data;
}

/** Throws `bundle_probe_failed` on NaN and infinity. */
export function requireFinite(file: string, values: Float32Array): void {
  for (const value of values) if (!Number.isFinite(value)) throw new GatehouseError('bundle_probe_failed', `${file} gave ${value}`);
}
