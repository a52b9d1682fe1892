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
import { loadOnnx, type OnnxModel } from './onnx.ts';
import { floats, requireFinite } from './outputs.ts';
import { createShap } from './treeshap.ts';
import { createUserTower } from './user-tower.ts';
import { verifyBundle } from './verify.ts';

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
      const tower = createUserTower(session, itemIndex, factors, alpha);
      userTower = tower;
      probes.push(() => tower.probe());
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
