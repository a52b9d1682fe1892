import { loadOnnx } from '../../../scoring/models/onnx.ts';
import { binary } from '../../onnx/autodiff/arithmetic.ts';
import { concatNode } from '../../onnx/autodiff/layout.ts';
import { Tape, type Value } from '../../onnx/autodiff/tape.ts';
import { TRAINING_THREADS } from './step.ts';

/** How raw features become what a network can learn from. Written into the served graph, so that the gateway sends features as they are. */
export interface Standardiser {
  readonly mean: Float32Array;
  /** 1 / standard deviation; 0 for a feature that never varied, which is thereby ignored. */
  readonly inverseDeviation: Float32Array;
  /** Features that training saw missing: each has a second input that says so. */
  readonly withMissing: readonly number[];
}

/** Standardised values are cut here: one absurd amount must not outweigh all else, and infinity must not become NaN. */
const DEVIATIONS_MAX = 10;
/** Rows prepared in one call: a few megabytes. */
const ROWS_AT_ONCE = 8192;

/** Mean and deviation of what is present; infinite values are left out too. `rows` is row-major n x f. */
export function fitStandardiser(rows: Float32Array, n: number, f: number): Standardiser {
  const mean = new Float32Array(f);
  const inverseDeviation = new Float32Array(f);
  const withMissing: number[] = [];
  for (let feature = 0; feature < f; feature++) {
    let [count, centre, squares, missing] = [0, 0, 0, 0];
    for (let row = 0; row < n; row++) {
      const x = rows[row * f + feature]!;
      if (Number.isNaN(x)) missing++;
      if (!Number.isFinite(x)) continue;
      // Welford: exact for large means, which timestamps and amounts have.
      const offset = x - centre;
      centre += offset / ++count;
      squares += offset * (x - centre);
    }
    const deviation = count > 0 ? Math.sqrt(squares / count) : 0;
    mean[feature] = centre;
    inverseDeviation[feature] = deviation > Math.abs(centre) * 1e-6 && Number.isFinite(1 / Math.fround(deviation)) ? 1 / deviation : 0;
    if (missing > 0) withMissing.push(feature);
  }
  return { mean, inverseDeviation, withMissing };
}

export function preparedWidth({ mean, withMissing }: Standardiser): number {
  return mean.length + withMissing.length;
}

/** Features [n, f] with NaN for missing, to standardised ones [n, f + withMissing]; always finite. Not recorded: nothing here is learned. */
export function prepare(features: Value, { mean, inverseDeviation, withMissing }: Standardiser): Value {
  const { tape, shape } = features;
  const f = mean.length;
  const scaled = binary('Mul', binary('Sub', features, tape.constant('mean', mean, [f])), tape.constant('inverse_deviation', inverseDeviation, [f]));
  // Asked again, because infinity times the 0 of a feature that never varied is NaN as well.
  const present = tape.node('Where', [tape.node('IsNaN', [scaled], shape), tape.scalar(0), scaled], shape);
  const values = tape.node('Clip', [present, tape.scalar(-DEVIATIONS_MAX), tape.scalar(DEVIATIONS_MAX)], shape);
  if (withMissing.length === 0) return values;
  const flags = tape.node('Cast', [tape.node('IsNaN', [features], shape)], shape, { to: { i: 1 } });
  const chosen = tape.node('Gather', [flags, tape.graph.ints(...withMissing)], [shape[0]!, withMissing.length], { axis: { i: 1 } });
  return concatNode([values, chosen], 1);
}

/** All rows prepared by the very graph that is served, so that the two cannot differ. */
export async function prepareRows(rows: Float32Array, n: number, standardiser: Standardiser): Promise<Float32Array> {
  const f = standardiser.mean.length;
  const width = preparedWidth(standardiser);
  const tape = new Tape('prepare');
  tape.output('prepared', prepare(tape.input('features', ['n', f]), standardiser));
  const model = await loadOnnx(tape.graph.toBytes(), { intraOpThreads: TRAINING_THREADS });
  const out = new Float32Array(n * width);
  for (let from = 0; from < n; from += ROWS_AT_ONCE) {
    const count = Math.min(ROWS_AT_ONCE, n - from);
    const { prepared } = await model.run({ features: { data: rows.subarray(from * f, (from + count) * f), dims: [count, f] } });
    out.set(prepared!.data as Float32Array, from * width);
  }
  await model.release();
  return out;
}
