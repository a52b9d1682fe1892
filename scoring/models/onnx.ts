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
   * Computes all outputs. Blocks the event loop meanwhile, so keep a batch small. Rejects with onnxruntime's own error on a
   * wrong name, shape or type: what a bundle accepts was checked when it was loaded.
   */
  run(feeds: Record<string, Tensor>): Promise<Record<string, Tensor>>;
  /** Frees the native memory; `run` rejects from then on. */
  release(): Promise<void>;
}

export interface OnnxOptions {
  /** Threads inside one operator. One is best for serving: a request never waits for another thread to wake. */
  intraOpThreads?: number;
}

/** onnxruntime's numbers: 3 = errors only. Warnings would be printed on the service's stderr. */
const LOG_SEVERITY_ERROR = 3;

/** Loads a model from a path or from bytes. Throws `bundle_corrupt` when onnxruntime cannot read it. */
export async function loadOnnx(model: string | Uint8Array, options: OnnxOptions = {}): Promise<OnnxModel> {
  const settings: InferenceSession.SessionOptions = {
    intraOpNumThreads: options.intraOpThreads ?? 1,
    interOpNumThreads: 1,
    executionMode: 'sequential',
    logSeverityLevel: LOG_SEVERITY_ERROR,
  };
  let session: InferenceSession;
  try {
    session = typeof model === 'string' ? await InferenceSession.create(model, settings) : await InferenceSession.create(model, settings);
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new GatehouseError('bundle_corrupt', `onnxruntime cannot load the model: ${reason}`, { cause });
  }
  let released = false;
  return {
    inputs: session.inputNames,
    outputs: session.outputNames,
    inputInfo: session.inputMetadata.map(infoOf),
    outputInfo: session.outputMetadata.map(infoOf),
    async run(feeds) {
      if (released) throw new Error('the model was released');
      const given: Record<string, OrtTensor> = {};
      for (const name in feeds) given[name] = toOrt(feeds[name]!);
      const results = await session.run(given);
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
