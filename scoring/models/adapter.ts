import type { ModelAdapter } from '../../contracts/bundle.ts';
import { GatehouseError } from '../../contracts/errors.ts';
import type { OnnxModel, TensorInfo } from './onnx.ts';

/** What rounding may put a probability outside of 0..1: a softmax in float32 ends a few ulps off. Beyond it the output is no probability. */
const PROBABILITY_SLACK = 1e-6;
/** Keeps log-odds finite where a model says exactly 0 or 1, as the calibration does. */
const PROBABILITY_MIN = 1e-7;

/** Tensors that a mistake about their names lists at most: enough to recognise one's own export. */
const LISTED_MAX = 12;

/** A model that others trained, as a function of the set's vectors. */
export interface AdaptedModel {
  /** One number a row of the set, as the model gave it. */
  run(rows: Float32Array, n: number): Promise<Float32Array>;
  /**
   * Occlusion: the log-odds of a vector less those with one feature alone at its reference value, for each feature of the set. Zero for what the
   * model does not read. Undefined without a reference. One run of as many rows as the model has features, and one.
   */
  readonly occlusion: ((vector: Float32Array) => Promise<Float64Array>) | undefined;
}

/**
 * A model of `adapter` over vectors whose features are `names`. The model must have passed `checkTensors`. Throws `model_invalid` on a feature
 * that is not in the set, `bundle_probe_failed` at a run that gives too few or too many values.
 */
export function adaptModel(file: string, model: Pick<OnnxModel, 'run'>, adapter: ModelAdapter, names: readonly string[]): AdaptedModel {
  const { features, input, output, reference } = adapter;
  const positions = Int32Array.from(features, (name) => names.indexOf(name));
  const missing = features[positions.indexOf(-1)];
  if (missing !== undefined) throw invalid(`${file} reads ${missing}, which the feature set does not have`);
  if (new Set(features).size !== features.length) throw invalid(`${file} reads a feature twice`);
  if (reference && reference.length !== features.length)
    throw invalid(`${file} has ${reference.length} reference values for ${features.length} features`);
  const width = names.length;
  const columns = positions.length;

  const runColumns = async (data: Float32Array, n: number): Promise<Float32Array> => {
    const answer = await model.run({ [input]: { data, dims: [n, columns] } }, [output]);
    return column(file, adapter, answer[output]?.data, n);
  };
  const occlude = async (vector: Float32Array, usual: Float32Array): Promise<Float64Array> => {
    const rows = occludedRows(gather(vector, 1, width, positions), usual);
    const outputs = await runColumns(rows, columns + 1);
    const logOdds = Float64Array.from(outputs, (value) => logOddsOf(adapter, value));
    const contributions = new Float64Array(width);
    positions.forEach((position, i) => {
      contributions[position] = logOdds[0]! - logOdds[i + 1]!;
    });
    return contributions;
  };
  const usual = reference && Float32Array.from(reference, (value) => value ?? Number.NaN);
  return {
    run: (rows, n) => runColumns(gather(rows, n, width, positions), n),
    occlusion: usual && ((vector) => occlude(vector, usual)),
  };
}

/** The model's columns out of n vectors of the set. */
function gather(rows: Float32Array, n: number, width: number, positions: Int32Array): Float32Array {
  const columns = positions.length;
  const out = new Float32Array(n * columns);
  for (let row = 0; row < n; row++) {
    for (let i = 0; i < columns; i++) out[row * columns + i] = rows[row * width + positions[i]!]!;
  }
  return out;
}

/** The row itself, then one row a column in which that column alone has its reference value. */
function occludedRows(row: Float32Array, usual: Float32Array): Float32Array {
  const columns = row.length;
  const rows = new Float32Array((columns + 1) * columns);
  for (let at = 0; at < rows.length; at += columns) rows.set(row, at);
  for (let i = 0; i < columns; i++) rows[(i + 1) * columns + i] = usual[i]!;
  return rows;
}

/** One column of the n x K values of an output. */
function column(file: string, adapter: ModelAdapter, data: unknown, n: number): Float32Array {
  const { output } = adapter;
  if (!(data instanceof Float32Array)) throw new GatehouseError('bundle_probe_failed', `${file}: output ${output} is not float32`);
  const columns = data.length / n;
  if (!Number.isInteger(columns) || columns === 0)
    throw new GatehouseError('bundle_probe_failed', `${file}: output ${output} has ${data.length} values for ${n} rows`);
  const at = columnOf(file, adapter, columns);
  if (columns === 1) return data;
  return Float32Array.from({ length: n }, (_, row) => data[row * columns + at]!);
}

/** Which of so many columns counts. Throws `model_invalid`. */
function columnOf(file: string, { output, column, meaning }: ModelAdapter, columns: number): number {
  if (column !== undefined) {
    if (column >= columns) throw invalid(`${file}: output ${output} has ${columns} columns, there is no column ${column} (they count from 0)`);
    return column;
  }
  if (columns === 1) return 0;
  if (columns === 2 && meaning === 'probability') return 1;
  throw invalid(`${file}: output ${output} has ${columns} columns: say in "column" which one counts, from 0`);
}

/** An output as a probability; NaN where it is none, so that one bad row does not fail the others of its batch. */
export function probabilityOf({ meaning }: ModelAdapter, value: number): number {
  if (meaning === 'log_odds') return 1 / (1 + Math.exp(-value));
  if (!(value >= -PROBABILITY_SLACK && value <= 1 + PROBABILITY_SLACK)) return Number.NaN;
  return Math.min(1, Math.max(0, value));
}

function logOddsOf(adapter: ModelAdapter, value: number): number {
  if (adapter.meaning === 'log_odds') return value;
  const p = Math.min(1 - PROBABILITY_MIN, Math.max(PROBABILITY_MIN, probabilityOf(adapter, value)));
  return Math.log(p / (1 - p));
}

/** Says what is wrong with outputs of probe rows, if anything is. Throws `bundle_probe_failed`. */
export function requireMeaning(file: string, adapter: ModelAdapter, values: Float32Array): void {
  for (const value of values) {
    if (Number.isNaN(value))
      throw new GatehouseError(
        'bundle_probe_failed',
        `${file} gave NaN: any feature may be missing (NaN), so put an imputer inside the exported graph`,
      );
    if (!Number.isFinite(value)) throw new GatehouseError('bundle_probe_failed', `${file} gave ${value}`);
    if (adapter.meaning === 'probability' && Number.isNaN(probabilityOf(adapter, value)))
      throw new GatehouseError('bundle_probe_failed', `${file} gave ${value}, which is no probability: is it a log-odds? ("meaning": "log_odds")`);
  }
}

/** A tensor's type in onnxruntime's words, or for anything else what kind of value it is. */
type Declared = Pick<TensorInfo, 'name' | 'type' | 'dims'>;

/**
 * A model can be fed and read as its adapter says: one float32 input [rows, features] with an open number of rows, and a float32 output with one
 * number a row. Throws `model_invalid` with what to do about it. Sizes that the file leaves open show in the probe.
 */
export function checkTensors(file: string, adapter: ModelAdapter, inputs: readonly Declared[], outputs: readonly Declared[]): void {
  const columns = adapter.features.length;
  if (inputs.length > 1) {
    const names = listOf(inputs);
    throw invalid(`${file} takes ${inputs.length} inputs (${names}): export it with one float32 input [rows, ${columns}], all features side by side`);
  }
  const input = named(file, 'input', adapter.input, inputs);
  requireFloat32(file, 'input', input);
  const [rows, width] = input.dims;
  if (input.dims.length !== 2) throw invalid(`${file}: input ${input.name} is [${input.dims}], it has to be [rows, ${columns}]`);
  if (isSize(rows)) throw invalid(`${file}: input ${input.name} takes exactly ${rows} rows: export it with an open (dynamic) first dimension`);
  if (isSize(width) && width !== columns) throw invalid(`${file}: input ${input.name} takes ${width} features, the manifest names ${columns}`);

  const output = named(file, 'output', adapter.output, outputs);
  requireFloat32(file, 'output', output);
  if (output.dims.length > 2) throw invalid(`${file}: output ${output.name} is [${output.dims}], it has to be [rows] or [rows, columns]`);
  const last = output.dims.length === 2 ? output.dims[1] : 1;
  if (output.dims.length > 0 && isSize(last)) columnOf(file, adapter, last);
}

/** A size that the file fixes. Open ones have a name, or none. */
function isSize(dim: number | string | undefined): dim is number {
  return typeof dim === 'number' && dim >= 0;
}

function named(file: string, kind: 'input' | 'output', name: string, declared: readonly Declared[]): Declared {
  const found = declared.find((info) => info.name === name);
  if (!found) throw invalid(`${file} has no ${kind} ${name}; it has ${listOf(declared)}`);
  return found;
}

function requireFloat32(file: string, kind: 'input' | 'output', { name, type }: Declared): void {
  if (type === 'float32') return;
  if (type === 'non-tensor' || type.startsWith('sequence') || type.startsWith('map')) {
    const what = type === 'non-tensor' ? 'no tensor' : `a ${type}`;
    throw invalid(`${file}: ${kind} ${name} is ${what}: export with zipmap=False, so that probabilities come as one float32 tensor`);
  }
  const advice =
    kind === 'input'
      ? 'export with a float32 input (FloatTensorType in skl2onnx and onnxmltools, .float() in PyTorch)'
      : 'export with a float32 output';
  throw invalid(`${file}: ${kind} ${name} is ${type}: ${advice}`);
}

function listOf(declared: readonly Declared[]): string {
  const listed = declared.slice(0, LISTED_MAX).map(({ name, type, dims }) => `${name} (${type} [${dims}])`);
  return [...listed, ...(declared.length > LISTED_MAX ? [`${declared.length - LISTED_MAX} more`] : [])].join(', ');
}

/** What a model threw when it was loaded, in words that an exporter can act on. */
export function loadRefusal(file: string, cause: unknown): unknown {
  if (!(cause instanceof GatehouseError) || cause.code !== 'bundle_corrupt') return cause;
  const opset = /Opset (\d+) is under development.*domain (\S+) is till opset (\d+)/s.exec(cause.detail);
  const detail = opset
    ? `${file} is written for opset ${opset[1]} of ${opset[2]}, this gateway runs up to ${opset[3]}: export with a lower target_opset`
    : `${file}: ${cause.detail.split('\n')[0]}`;
  return new GatehouseError('model_invalid', detail, { cause });
}

function invalid(detail: string): GatehouseError {
  return new GatehouseError('model_invalid', detail);
}
