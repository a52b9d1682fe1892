import type { OnnxValue } from 'onnxruntime-node';
import { InferenceSession, Tensor as OrtTensor } from 'onnxruntime-node';
import { GatehouseError } from '../../contracts/errors.ts';

/** The element types that Gatehouse's models take and give. */
export interface Tensor {
  data: Float32Array | BigInt64Array | Int32Array;
  dims: readonly number[];
}

/** What a model declares about one of its inputs or outputs. A dimension that the caller chooses is a name. */
export interface TensorInfo {
  readonly name: string;
  readonly type: string;
  readonly dims: readonly (number | string)[];
}

export interface OnnxModel {
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
  readonly inputInfo: readonly TensorInfo[];
  readonly outputInfo: readonly TensorInfo[];
  /**
   * Computes all outputs, or those that `outputs` names. Blocks the event loop meanwhile, so keep a batch small. Rejects with onnxruntime's own
   * error on a wrong name, shape or type: what a bundle accepts was checked when it was loaded.
   */
  run(feeds: Record<string, Tensor>, outputs?: readonly string[]): Promise<Record<string, Tensor>>;
  /** Frees the native memory; `run` rejects from then on. */
  release(): Promise<void>;
}

export interface OnnxOptions {
  /** Threads inside one operator. One is best for serving: a request never waits for another thread to wake. */
  intraOpThreads?: number;
}

/** onnxruntime's numbers: 3 = errors only. Warnings would be printed on the service's stderr. */
const LOG_SEVERITY_ERROR = 3;

/** Memory of the caller that a run reads or writes in place. */
export interface OnnxBuffer {
  readonly data: Float32Array | Float64Array | Int32Array | BigInt64Array | Uint8Array;
  readonly dims: readonly number[];
}

/** A model tied to buffers: what the caller writes into them between two runs is what the next run reads. */
export interface BoundOnnx {
  /** Reads every input buffer, overwrites every output buffer. Blocks the event loop meanwhile. */
  run(): Promise<void>;
  /** Frees the native memory; `run` rejects from then on. */
  release(): Promise<void>;
}

/** Loads a model from a path or from bytes. Throws `bundle_corrupt` when onnxruntime cannot read it. */
export async function loadOnnx(model: string | Uint8Array, options: OnnxOptions = {}): Promise<OnnxModel> {
  const session = await openSession(model, options);
  let released = false;
  return {
    inputs: session.inputNames,
    outputs: session.outputNames,
    inputInfo: session.inputMetadata.map(infoOf),
    outputInfo: session.outputMetadata.map(infoOf),
    async run(feeds, outputs = session.outputNames) {
      if (released) throw new Error('the model was released');
      const given: Record<string, OrtTensor> = {};
      for (const name in feeds) given[name] = toOrt(feeds[name]!);
      const results = await session.run(given, outputs);
      const answer: Record<string, Tensor> = {};
      for (const name in results) answer[name] = fromOrt(name, results[name]!);
      return answer;
    },
    async release() {
      if (released) return;
      released = true;
      await session.release();
    },
  };
}

/**
 * Loads a model once for many runs over the same buffers, as training does: nothing is allocated or wrapped in a step. Every buffer must be
 * fed or written by the name it has in `inputs` or `outputs`; Uint8Array stands for bool. Throws `bundle_corrupt` like `loadOnnx`.
 */
export async function bindOnnx(
  model: Uint8Array,
  inputs: Readonly<Record<string, OnnxBuffer>>,
  outputs: Readonly<Record<string, OnnxBuffer>>,
  options: OnnxOptions = {},
): Promise<BoundOnnx> {
  const feeds = wrapAll(inputs);
  const fetches = wrapAll(outputs);
  const session = await openSession(model, options);
  let released = false;
  return {
    async run() {
      if (released) throw new Error('the model was released');
      await session.run(feeds, fetches);
    },
    async release() {
      if (released) return;
      released = true;
      await session.release();
    },
  };
}

async function openSession(model: string | Uint8Array, options: OnnxOptions): Promise<InferenceSession> {
  const settings: InferenceSession.SessionOptions = {
    intraOpNumThreads: options.intraOpThreads ?? 1,
    interOpNumThreads: 1,
    executionMode: 'sequential',
    logSeverityLevel: LOG_SEVERITY_ERROR,
  };
  try {
    return typeof model === 'string' ? await InferenceSession.create(model, settings) : await InferenceSession.create(model, settings);
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new GatehouseError('bundle_corrupt', `onnxruntime cannot load the model: ${reason}`, { cause });
  }
}

function wrapAll(buffers: Readonly<Record<string, OnnxBuffer>>): Record<string, OrtTensor> {
  const wrapped: Record<string, OrtTensor> = {};
  for (const [name, { data, dims }] of Object.entries(buffers)) {
    if (data instanceof Float64Array) wrapped[name] = new OrtTensor('float64', data, dims);
    else if (data instanceof Uint8Array) wrapped[name] = new OrtTensor('bool', data, dims);
    else wrapped[name] = toOrt({ data, dims });
  }
  return wrapped;
}

function toOrt({ data, dims }: Tensor): OrtTensor {
  if (data instanceof Float32Array) return new OrtTensor('float32', data, dims);
  return data instanceof BigInt64Array ? new OrtTensor('int64', data, dims) : new OrtTensor('int32', data, dims);
}

function fromOrt(name: string, value: OnnxValue): Tensor {
  const { data, dims } = value as OrtTensor;
  if (data instanceof Float32Array || data instanceof BigInt64Array || data instanceof Int32Array) return { data, dims };
  throw new Error(`output ${name} is neither float32, int32 nor int64`);
}

function infoOf(meta: InferenceSession.ValueMetadata): TensorInfo {
  return meta.isTensor ? { name: meta.name, type: meta.type, dims: meta.shape } : { name: meta.name, type: 'non-tensor', dims: [] };
}
