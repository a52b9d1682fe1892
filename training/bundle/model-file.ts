import { readFile, stat } from 'node:fs/promises';
import { basename, dirname, resolve } from 'node:path';
import { Compile } from 'typebox/compile';
import type { ModelAdapter, TensorShape } from '../../contracts/bundle.ts';
import { GatehouseError } from '../../contracts/errors.ts';
import { ModelManifest } from '../../contracts/model-manifest.ts';
import type { FeatureEngine } from '../../scoring/features/contract.ts';
import { checkTensors } from '../../scoring/models/adapter.ts';
import { calibrator } from '../../scoring/models/calibration.ts';
import { RANK_SET } from '../../scoring/recommend/pipeline.ts';
import { FRAUD_SET } from '../../scoring/risk/pipeline.ts';
import { inspectOnnx, type OnnxHeader, type OnnxValueInfo } from '../onnx/inspect.ts';
import { nearestName } from './nearest.ts';

/** A manifest is a few kilobytes: 512 features with a reference value each. */
const MANIFEST_BYTES_MAX = 1024 * 1024;
/** A model that answers within the millisecond that a call may take is far smaller; larger than this is a file picked by mistake. */
const MODEL_BYTES_MAX = 256 * 1024 * 1024;

const Manifest = Compile(ModelManifest);
/** The vectors that the gateway computes for each model. */
const SETS: Readonly<Record<ModelManifest['model'], string>> = { fraud: FRAUD_SET, ranker: RANK_SET };

/** A model that others trained, checked as far as can be without running it. */
export interface ModelFile {
  readonly manifest: ModelManifest;
  readonly bytes: Uint8Array;
  readonly set: string;
  readonly hash: string;
  readonly adapter: ModelAdapter;
  readonly inputs: TensorShape[];
  readonly outputs: TensorShape[];
}

/**
 * Reads a model manifest and the ONNX file that it names. Throws `input_unreadable` where one of them can't be read, and `model_invalid` with one
 * sentence about the first thing that is wrong with either.
 */
export async function readModelFile(path: string, engine: FeatureEngine): Promise<ModelFile> {
  const manifest = parseManifest(basename(path), await readWhole(path, MANIFEST_BYTES_MAX));
  const { set, hash } = requireSet(manifest, engine);
  requireFeatures(manifest, set, engine.names(set));
  requireFields(manifest);

  const bytes = await readWhole(resolve(dirname(path), manifest.file), MODEL_BYTES_MAX);
  const file = basename(manifest.file);
  const header = requireHeader(file, bytes);
  const adapter = adapterOf(manifest, header.inputs[0]!);
  checkTensors(file, adapter, header.inputs, header.outputs);
  const shapes = (infos: readonly OnnxValueInfo[], name: string): TensorShape[] => infos.filter((info) => info.name === name).map(shapeOf);
  return { manifest, bytes, set, hash, adapter, inputs: shapes(header.inputs, adapter.input), outputs: shapes(header.outputs, adapter.output) };
}

async function readWhole(path: string, bytesMax: number): Promise<Uint8Array> {
  try {
    const entry = await stat(path);
    if (!entry.isFile()) throw new GatehouseError('input_unreadable', `${path} is no file`);
    if (entry.size > bytesMax) throw new GatehouseError('model_invalid', `${path} has ${entry.size} bytes, ${bytesMax} are the most`);
    return await readFile(path);
  } catch (cause) {
    if (cause instanceof GatehouseError) throw cause;
    throw new GatehouseError('input_unreadable', `${path} cannot be read`, { cause });
  }
}

function parseManifest(name: string, bytes: Uint8Array): ModelManifest {
  let value: unknown;
  try {
    value = JSON.parse(new TextDecoder().decode(bytes));
  } catch (cause) {
    throw new GatehouseError('model_invalid', `${name} is not JSON; it has to be the manifest of the model, not the model`, { cause });
  }
  if (Manifest.Check(value)) return value;
  const [first] = Manifest.Errors(value);
  throw new GatehouseError('model_invalid', `${name} does not match its schema at ${first?.instancePath || '/'}: ${first?.message ?? ''}`);
}

function requireSet(manifest: ModelManifest, engine: FeatureEngine): { readonly set: string; readonly hash: string } {
  const set = SETS[manifest.model];
  if (manifest.set !== undefined && manifest.set !== set)
    throw new GatehouseError('model_invalid', `the ${manifest.model} model is given vectors of the feature set ${set}, not ${manifest.set}`);
  const hash = engine.hash(set);
  if (manifest.hash !== undefined && manifest.hash !== hash) {
    const [theirs, ours] = [manifest.hash.slice(0, 12), hash.slice(0, 12)];
    throw new GatehouseError(
      'model_invalid',
      `the model was trained on feature set ${set} ${theirs}, this gateway computes ${ours}: export the rows again`,
    );
  }
  return { set, hash };
}

function requireFeatures({ features, reference }: ModelManifest, set: string, names: readonly string[]): void {
  const known = new Set(names);
  for (const name of [...features, ...Object.keys(reference ?? {})]) {
    if (!known.has(name))
      throw new GatehouseError('model_invalid', `there is no feature ${name} in the set ${set}; the nearest is ${nearestName(name, names)}`);
  }
  const twice = features.find((name, i) => features.indexOf(name) !== i);
  if (twice !== undefined) throw new GatehouseError('model_invalid', `the feature ${twice} is named twice`);
  if (!reference) return;
  const without = features.find((name) => !Object.hasOwn(reference, name));
  if (without !== undefined)
    throw new GatehouseError('model_invalid', `the reference has no value for ${without}: it needs one for each feature, null for missing`);
}

/** What has no meaning for a ranker, and what a fraud model cannot do without. */
function requireFields(manifest: ModelManifest): void {
  const { model, meaning, calibration } = manifest;
  if (model === 'fraud') {
    if (meaning === 'score')
      throw new GatehouseError(
        'model_invalid',
        'a fraud model has to give a probability or log_odds: call a score log_odds and give a platt calibration for it',
      );
    requireCalibration(calibration);
    return;
  }
  for (const field of ['calibration', 'thresholds', 'reference'] as const)
    if (manifest[field] !== undefined) throw new GatehouseError('model_invalid', `a ranker has no ${field}: it only sorts`);
}

function requireCalibration(calibration: ModelManifest['calibration']): void {
  if (!calibration) return;
  try {
    calibrator(calibration);
  } catch (cause) {
    throw new GatehouseError('model_invalid', cause instanceof GatehouseError ? cause.detail : String(cause), { cause });
  }
}

function requireHeader(file: string, bytes: Uint8Array): OnnxHeader {
  const header = inspectOnnx(bytes);
  if (!header) throw new GatehouseError('model_invalid', `${file} is no ONNX model`);
  if (header.externalData !== undefined)
    throw new GatehouseError('model_invalid', `${file} keeps its weights in ${header.externalData}: export it as one file (external_data=False)`);
  if (header.inputs.length === 0) throw new GatehouseError('model_invalid', `${file} has no input`);
  return header;
}

function adapterOf(manifest: ModelManifest, input: OnnxValueInfo): ModelAdapter {
  const { features, output, column, meaning, reference, origin } = manifest;
  return {
    features,
    input: manifest.input ?? input.name,
    output,
    ...(column === undefined ? {} : { column }),
    meaning,
    ...(reference && { reference: features.map((name) => reference[name]!) }),
    ...(origin === undefined ? {} : { origin }),
  };
}

/** -1 stands for a size that is open. */
function shapeOf({ name, dims }: OnnxValueInfo): TensorShape {
  return { name, shape: dims.map((dim) => (typeof dim === 'number' && dim >= 0 ? dim : -1)) };
}
