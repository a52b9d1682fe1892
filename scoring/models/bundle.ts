import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { decode } from '@msgpack/msgpack';
import type { BundleManifest, NeighboursFile, PopularityFile, TensorShape } from '../../contracts/bundle.ts';
import { GatehouseError } from '../../contracts/errors.ts';
import type { TreeEnsemble } from '../../contracts/trees.ts';
import type { SnapshotManifest, VectorIndex } from '../../index/contract.ts';
import type { FeatureEngine } from '../features/contract.ts';
import type { RecommendModels } from '../recommend/pipeline.ts';
import { NeighbourTable, PopularityTable } from '../recommend/retrieval.ts';
import type { FraudModel } from '../risk/pipeline.ts';
import { MicroBatcher } from './batcher.ts';
import { calibrator } from './calibration.ts';
import { loadOnnx, type OnnxModel, type Tensor } from './onnx.ts';
import { createShap } from './treeshap.ts';
import { verifyBundle } from './verify.ts';

/** History items given to the user tower: the heaviest ones. 356 is what the two bounded histories can hold; the vector hardly moves past 100. */
const FOLD_ITEMS_MAX = 128;

export interface LoadedBundle {
  readonly manifest: BundleManifest;
  readonly recommend: RecommendModels;
  readonly userIndex: VectorIndex | undefined;
  readonly fraud: FraudModel | undefined;
  /** Runs every model on plain, extreme and missing values. Throws `bundle_probe_failed` on a wrong shape or a value that is not finite. */
  probe(): Promise<void>;
  release(): Promise<void>;
}

export interface BundleDeps {
  readonly engine: FeatureEngine;
  readonly readIndex: (dir: string, manifest: SnapshotManifest) => Promise<VectorIndex>;
}

/**
 * Verifies a bundle and loads all of it, or throws and leaves nothing behind. Throws `bundle_not_found`, `bundle_corrupt`, `snapshot_corrupt`, or
 * `bundle_incompatible` when a model wants features that this gateway does not compute.
 */
export async function loadBundle(dir: string, deps: BundleDeps): Promise<LoadedBundle> {
  const manifest = await verifyBundle(dir);
  const { models, indexes, tables } = manifest;
  const sessions: OnnxModel[] = [];
  const open = async (file: string, inputs: readonly TensorShape[], outputs: readonly TensorShape[]): Promise<OnnxModel> => {
    const session = await loadOnnx(join(dir, file));
    sessions.push(session);
    const missing = [
      ...inputs.filter(({ name }) => !session.inputs.includes(name)),
      ...outputs.filter(({ name }) => !session.outputs.includes(name)),
    ];
    if (missing.length > 0) throw new GatehouseError('bundle_incompatible', `${file} has no tensor ${missing.map(({ name }) => name).join(', ')}`);
    return session;
  };
  const release = async (): Promise<void> => {
    await Promise.all(sessions.map((session) => session.release()));
  };

  try {
    const probes: (() => Promise<void>)[] = [];
    const itemIndex = indexes.items && (await deps.readIndex(dir, snapshot(indexes.items)));
    const userIndex = indexes.users && (await deps.readIndex(dir, snapshot(indexes.users)));

    let ranker: RecommendModels['ranker'];
    if (models.ranker) {
      const { file, set, hash, inputs, outputs } = models.ranker;
      requireSet(deps.engine, file, set, hash);
      const session = await open(file, inputs, outputs);
      const width = deps.engine.names(set).length;
      const rank = async (rows: Float32Array, n: number): Promise<Float32Array> =>
        floats(file, 'score', n, await session.run({ features: { data: rows, dims: [n, width] } }));
      ranker = { rank };
      probes.push(() => probeRows(file, width, rank));
    }

    let fraud: FraudModel | undefined;
    if (models.fraud) {
      const { file, set, hash, inputs, outputs, calibration, thresholds, trees } = models.fraud;
      requireSet(deps.engine, file, set, hash);
      const session = await open(file, inputs, outputs);
      const width = deps.engine.names(set).length;
      const run = async (rows: Float32Array, n: number): Promise<Float32Array> =>
        floats(file, 'probability', n, await session.run({ features: { data: rows, dims: [n, width] } }));
      const batcher = new MicroBatcher(width, run);
      const ensemble = await readTrees(dir, trees, width);
      const explain = createShap(ensemble);
      fraud = {
        bundle: manifest.version,
        thresholds,
        predict: (vector) => batcher.predict(vector),
        calibrate: calibrator(calibration),
        contributions: explain,
      };
      probes.push(() => probeRows(file, width, run));
    }

    let userTower: RecommendModels['userTower'];
    if (models.user_tower) {
      const { file, factors, alpha, inputs, outputs } = models.user_tower;
      if (itemIndex?.dimensions !== factors)
        throw new GatehouseError('bundle_incompatible', `${file} has ${factors} factors, the item index ${itemIndex?.dimensions ?? 'none'}`);
      const session = await open(file, inputs, outputs);
      const fold = async (items: Float32Array, confidence: Float32Array): Promise<Float32Array> => {
        const n = confidence.length;
        const answer = await session.run({ items: { data: items, dims: [n, factors] }, confidence: { data: confidence, dims: [n] } });
        return floats(file, 'user', factors, answer);
      };
      userTower = {
        async fold(weights) {
          const rows: { weight: number; vector: Float32Array }[] = [];
          for (const [id, weight] of weights) {
            const vector = itemIndex.get(id);
            if (vector) rows.push({ weight, vector });
          }
          if (rows.length === 0) return undefined;
          if (rows.length > FOLD_ITEMS_MAX) {
            rows.sort((a, b) => b.weight - a.weight);
            rows.length = FOLD_ITEMS_MAX;
          }
          const items = new Float32Array(rows.length * factors);
          const confidence = new Float32Array(rows.length);
          for (let i = 0; i < rows.length; i++) {
            items.set(rows[i]!.vector, i * factors);
            confidence[i] = alpha * rows[i]!.weight;
          }
          return fold(items, confidence);
        },
      };
      probes.push(async () => {
        const user = await fold(new Float32Array(3 * factors).fill(0.1), new Float32Array([1, 10, 0]));
        requireFinite(file, user);
      });
    }

    const neighbours = tables.neighbours && NeighbourTable.fromFile((await readTable(dir, tables.neighbours)) as NeighboursFile);
    const popularity = tables.popularity && PopularityTable.fromFile((await readTable(dir, tables.popularity)) as PopularityFile);
    return {
      manifest,
      recommend: { itemIndex: itemIndex || undefined, userTower, neighbours: neighbours || undefined, popularity: popularity || undefined, ranker },
      userIndex: userIndex || undefined,
      fraud,
      async probe() {
        for (const probe of probes) await probe();
      },
      release,
    };
  } catch (cause) {
    await release();
    throw cause;
  }
}

/** Drops the optional fields that are undefined: the manifest's schema and the index contract differ only in that. */
function snapshot(entry: NonNullable<BundleManifest['indexes']['items']>): SnapshotManifest {
  const { m, efConstruction, sphere, ...rest } = entry;
  return {
    ...rest,
    ...(m === undefined ? {} : { m }),
    ...(efConstruction === undefined ? {} : { efConstruction }),
    ...(sphere === undefined ? {} : { sphere }),
  };
}

function requireSet(engine: FeatureEngine, file: string, set: string, hash: string): void {
  const own = engine.hash(set);
  if (own !== hash) {
    throw new GatehouseError(
      'bundle_incompatible',
      `${file} was trained on feature set ${set} ${hash.slice(0, 12)}, this gateway computes ${own.slice(0, 12)}`,
    );
  }
}

function floats(file: string, output: string, length: number, answer: Record<string, Tensor>): Float32Array {
  const data = answer[output]?.data;
  if (!(data instanceof Float32Array) || data.length !== length) {
    throw new GatehouseError('bundle_probe_failed', `${file}: output ${output} has ${data?.length ?? 'no'} values instead of ${length}`);
  }
  return data;
}

function requireFinite(file: string, values: Float32Array): void {
  for (const value of values) if (!Number.isFinite(value)) throw new GatehouseError('bundle_probe_failed', `${file} gave ${value}`);
}

/** Rows of zeros, ones, large and missing values: what a live request can bring. */
async function probeRows(file: string, width: number, run: (rows: Float32Array, n: number) => Promise<Float32Array>): Promise<void> {
  const fills = [0, 1, -1, 1e6, -1e6, Number.NaN];
  const rows = new Float32Array(fills.length * width);
  fills.forEach((fill, i) => {
    rows.fill(fill, i * width, (i + 1) * width);
  });
  try {
    requireFinite(file, await run(rows, fills.length));
  } catch (cause) {
    if (cause instanceof GatehouseError) throw cause;
    throw new GatehouseError('bundle_probe_failed', `${file}: ${cause instanceof Error ? cause.message : String(cause)}`, { cause });
  }
}

async function readTable(dir: string, file: string): Promise<unknown> {
  try {
    return decode(await readFile(join(dir, file)));
  } catch (cause) {
    throw new GatehouseError('bundle_corrupt', `${file} is not readable`, { cause });
  }
}

async function readTrees(dir: string, file: string, width: number): Promise<TreeEnsemble> {
  let ensemble: TreeEnsemble;
  try {
    ensemble = JSON.parse(await readFile(join(dir, file), 'utf8')) as TreeEnsemble;
  } catch (cause) {
    throw new GatehouseError('bundle_corrupt', `${file} is not readable`, { cause });
  }
  if (ensemble.featureCount !== width)
    throw new GatehouseError('bundle_incompatible', `${file} has ${ensemble.featureCount} features instead of ${width}`);
  return ensemble;
}
