import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { decode } from '@msgpack/msgpack';
import { Compile } from 'typebox/compile';
import {
  type BundleManifest,
  type ContentFile,
  DriftReferenceFile,
  type ItemFoldInFile,
  type ModelAdapter,
  type NeighboursFile,
  type PopularityFile,
  type SessionSearchName,
  type TensorShape,
} from '../../contracts/bundle.ts';
import { GatehouseError } from '../../contracts/errors.ts';
import { APPEAL_METRIC } from '../../contracts/examined.ts';
import { Handles } from '../../contracts/handles.ts';
import type { TreeEnsemble } from '../../contracts/trees.ts';
import type { ProfileSearch, SessionSearch, SnapshotManifest, VectorIndex } from '../../index/contract.ts';
import type { FeatureEngine } from '../features/contract.ts';
import { type ContentModel, contentModelOf } from '../recommend/content-vector.ts';
import { type FoldInRefusal, ItemFoldIn } from '../recommend/item-fold-in.ts';
import { itemFoldInOf } from '../recommend/item-fold-in-model.ts';
import { LookAlikes, SessionNeighbours } from '../recommend/numbered.ts';
import type { RecommendModels } from '../recommend/pipeline.ts';
import { type ContentSpace, NeighbourTable, PopularityTable } from '../recommend/retrieval.ts';
import type { DriftReference } from '../risk/drift.ts';
import type { AnomalyModel, FraudModel } from '../risk/pipeline.ts';
import { type AdaptedModel, adaptModel, checkTensors, loadRefusal, probabilityOf, requireMeaning } from './adapter.ts';
import { shareOf } from './anomaly.ts';
import { MicroBatcher } from './batcher.ts';
import { calibrator } from './calibration.ts';
import { createForest } from './forest.ts';
import { createNextItem } from './next-item.ts';
import { loadOnnx, type OnnxModel, type TensorInfo } from './onnx.ts';
import { floats } from './outputs.ts';
import { compareTrees, probeRows } from './probes.ts';
import { createShap, expectedValue } from './treeshap.ts';
import { createUserTower } from './user-tower.ts';
import { verifyBundle } from './verify.ts';

export interface LoadedBundle {
  readonly manifest: BundleManifest;
  readonly recommend: RecommendModels;
  readonly userIndex: VectorIndex | undefined;
  readonly fraud: FraudModel | undefined;
  readonly anomaly: AnomalyModel | undefined;
  /**
   * Runs every model on plain, extreme and missing values, and the fraud model on the edges of its trees. Throws `bundle_probe_failed` on a wrong
   * shape, a value that is not finite, and trees that are not the model's.
   */
  probe(): Promise<void>;
  release(): Promise<void>;
}

export interface OpenContent extends ContentSpace {
  close(): Promise<void>;
}

/** The bundle's item index, ready to take updates. */
export interface OpenItems {
  readonly index: VectorIndex;
  /** Told of each item that it could not take. */
  readonly refused: (reason: FoldInRefusal) => void;
  /** Begins to follow the catalogue and what people do. What happened up to the journal's `offset` training knew. */
  serve(foldIn: ItemFoldIn, offset: number): void;
  close(): Promise<void>;
}

export interface BundleDeps {
  readonly engine: FeatureEngine;
  readonly readIndex: (dir: string, manifest: SnapshotManifest, options: { readonly handles?: Handles }) => Promise<VectorIndex>;
  readonly readProfiles: (dir: string, file: string) => Promise<ProfileSearch>;
  readonly readSessions: (dir: string, file: string, search: SessionSearchName | undefined) => Promise<SessionSearch>;
  /**
   * Begins to open the catalogue's content by the model, of which `id` is the hash; what it returns is closed when the bundle is released. Absent: there is
   * no catalogue to serve.
   */
  readonly openContent?: (model: ContentModel, id: string) => OpenContent;
  /** Opens the item index of a bundle that can place new items in it; what it returns is closed when the bundle is released. Absent: it is read as it is. */
  readonly openItems?: (dir: string, manifest: SnapshotManifest) => Promise<OpenItems>;
  /** The catalogue's, where the bundle is to recommend from it; its own where absent. */
  readonly handles?: Handles;
}

/**
 * Verifies a bundle and loads all of it, or throws and leaves nothing behind. Throws `bundle_not_found`, `bundle_corrupt`, `snapshot_corrupt`, or
 * `bundle_incompatible` when a model wants features that this gateway does not compute, or `model_invalid` when one that others trained cannot be
 * fed and read as its adapter says.
 */
export async function loadBundle(dir: string, deps: BundleDeps): Promise<LoadedBundle> {
  const manifest = await verifyBundle(dir);
  const { models, indexes, tables } = manifest;
  const handles = deps.handles ?? new Handles();
  const sessions: OnnxModel[] = [];
  const open = async (file: string, inputs: readonly TensorShape[], outputs: readonly TensorShape[]): Promise<OnnxModel> => {
    const session = await loadOnnx(join(dir, file));
    sessions.push(session);
    requireShapes(file, inputs, session.inputInfo);
    requireShapes(file, outputs, session.outputInfo);
    return session;
  };
  let content: OpenContent | undefined;
  let items: OpenItems | undefined;
  let isReleased = false;
  const release = async (): Promise<void> => {
    isReleased = true;
    await content?.close();
    await items?.close();
    await Promise.all(sessions.map((session) => session.release()));
  };

  try {
    const probes: [file: string, probe: () => Promise<void>][] = [];
    const foldInModel = tables.item_fold_in && itemFoldInOf((await readTable(dir, tables.item_fold_in)) as ItemFoldInFile | null);
    const contentModel = tables.content && contentModelOf((await readTable(dir, tables.content)) as ContentFile | null);
    if (foldInModel && indexes.items) items = await deps.openItems?.(dir, snapshot(indexes.items));
    const itemIndex = items?.index ?? (indexes.items && (await deps.readIndex(dir, snapshot(indexes.items), { handles })));
    const userIndex = indexes.users && (await deps.readIndex(dir, snapshot(indexes.users), {}));

    const openAdapted = async (model: RowModel, adapter: ModelAdapter): Promise<AdaptedModel> => {
      const { file, set, hash } = model;
      const names = requireHash(deps.engine, file, set, hash);
      // Its tensors are checked with sentences of their own: whoever exported the model has to understand what is wrong with it.
      const session = await open(file, [], []).catch((cause: unknown) => {
        throw loadRefusal(file, cause);
      });
      checkTensors(file, adapter, session.inputInfo, session.outputInfo);
      return adaptModel(file, session, adapter, names);
    };

    let ranker: RecommendModels['ranker'];
    if (models.ranker?.adapter) {
      const { file, set, adapter } = models.ranker;
      const { run } = await openAdapted(models.ranker, adapter);
      const width = deps.engine.names(set).length;
      ranker = { rank: (columns, n) => run(rowsOf(columns, n, width), n) };
      probes.push([file, () => probeRows(file, width, run, (values) => requireMeaning(file, adapter, values))]);
    } else if (models.ranker) {
      const { file, set, hash, inputs, outputs, trees } = models.ranker;
      const width = requireSet(deps.engine, file, set, hash, inputs);
      const session = await open(file, inputs, outputs);
      const run = async (rows: Float32Array, n: number): Promise<Float32Array> =>
        floats(file, 'score', n, await session.run({ features: { data: rows, dims: [n, width] } }));
      const ensemble = trees === undefined ? undefined : await readTrees(dir, trees, width);
      const shap = ensemble && { base: expectedValue(ensemble), contributions: createShap(ensemble) };
      // The trees say the same as the model, as the probe sees to, in a fraction of its time.
      const forest = ensemble && createForest(ensemble);
      const byTrees = async (columns: Float32Array, n: number): Promise<Float32Array> => {
        if (isReleased) throw new Error('the model was released');
        return forest!(columns, n);
      };
      ranker = { rank: forest ? byTrees : (columns, n) => run(rowsOf(columns, n, width), n), ...(shap && { shap }) };
      probes.push([file, () => probeRows(file, width, run)]);
      if (trees !== undefined && ensemble) {
        probes.push([trees, () => compareTrees(trees, ensemble, async (rows, n) => ({ score: await run(rows, n) }))]);
        if (forest) probes.push([trees, () => compareTrees(trees, ensemble, async (rows, n) => ({ score: forest(columnsOf(rows, n, width), n) }))]);
      }
    }

    let fraud: FraudModel | undefined;
    if (models.fraud?.adapter) {
      const { file, set, adapter, calibration, thresholds } = models.fraud;
      if (adapter.meaning === 'score') throw new GatehouseError('model_invalid', `${file} gives a score, a fraud model has to give a probability`);
      const width = deps.engine.names(set).length;
      const { run, occlusion } = await openAdapted(models.fraud, adapter);
      const batcher = new MicroBatcher(width, async (rows, n) => (await run(rows, n)).map((value) => probabilityOf(adapter, value)));
      fraud = {
        bundle: manifest.version,
        thresholds,
        predict: (vector) => batcher.predict(vector),
        calibrate: calibrator(calibration),
        ...(occlusion && { contributions: occlusion, method: 'occlusion' }),
      };
      probes.push([file, () => probeRows(file, width, run, (values) => requireMeaning(file, adapter, values))]);
    } else if (models.fraud) {
      const { file, set, hash, inputs, outputs, calibration, thresholds, trees, reference } = models.fraud;
      const width = requireSet(deps.engine, file, set, hash, inputs);
      const session = await open(file, inputs, outputs);
      const run = async (rows: Float32Array, n: number) => {
        const answer = await session.run({ features: { data: rows, dims: [n, width] } });
        return { probability: floats(file, 'probability', n, answer), score: floats(file, 'score', n, answer) };
      };
      // Serving asks for what it needs: every output is a tensor and a copy more.
      const probability = async (rows: Float32Array, n: number): Promise<Float32Array> =>
        floats(file, 'probability', n, await session.run({ features: { data: rows, dims: [n, width] } }, ['probability']));
      const batcher = new MicroBatcher(width, probability);
      const ensemble = trees === undefined ? undefined : await readTrees(dir, trees, width);
      fraud = {
        bundle: manifest.version,
        thresholds,
        predict: (vector) => batcher.predict(vector),
        calibrate: calibrator(calibration),
        ...(ensemble && { contributions: createShap(ensemble) }),
        ...(reference !== undefined && { reference: await readReference(dir, reference, deps.engine.names(set)) }),
      };
      probes.push([file, () => probeRows(file, width, probability)]);
      if (trees !== undefined && ensemble) probes.push([trees, () => compareTrees(trees, ensemble, run)]);
    }

    let anomaly: AnomalyModel | undefined;
    if (models.anomaly) {
      const { file, set, hash, inputs, outputs, scale } = models.anomaly;
      const width = requireSet(deps.engine, file, set, hash, inputs);
      const session = await open(file, inputs, outputs);
      const run = async (rows: Float32Array, n: number): Promise<Float32Array> =>
        floats(file, 'score', n, await session.run({ features: { data: rows, dims: [n, width] } }));
      const batcher = new MicroBatcher(width, run);
      const share = shareOf(file, scale);
      anomaly = { share: async (vector) => share(await batcher.predict(vector)) };
      probes.push([file, () => probeRows(file, width, run)]);
    }

    let userTower: RecommendModels['userTower'];
    let foldIn: ItemFoldIn | undefined;
    if (models.user_tower) {
      const { file, factors, alpha, inputs, outputs } = models.user_tower;
      if (itemIndex?.dimensions !== factors)
        throw new GatehouseError('bundle_incompatible', `${file} has ${factors} factors, the item index ${itemIndex?.dimensions ?? 'none'}`);
      const session = await open(file, inputs, outputs);
      if (foldInModel) {
        if (foldInModel.factors !== factors)
          throw new GatehouseError('bundle_incompatible', `${tables.item_fold_in} is of ${foldInModel.factors} factors, ${file} of ${factors}`);
        if (foldInModel.contentMap && contentModel && foldInModel.contentMap.dimensions !== contentModel.dimensions)
          throw new GatehouseError('bundle_incompatible', `${tables.item_fold_in} and ${tables.content} are of different vectors`);
        const towerOf = (vectors: Pick<VectorIndex, 'copyTo'>) => createUserTower(session, vectors, factors, alpha);
        foldIn = new ItemFoldIn({
          model: foldInModel,
          content: contentModel || undefined,
          index: itemIndex,
          towerOf,
          onRefused: items?.refused,
        });
      }
      const tower = createUserTower(session, foldIn ?? itemIndex, factors, alpha);
      userTower = tower;
      probes.push([file, () => tower.probe()]);
    }

    let nextItem: RecommendModels['nextItem'];
    if (models.next_item) {
      const { file, length_max, ids, outputs } = models.next_item;
      if (!indexes.next_items) throw new GatehouseError('bundle_incompatible', `${file} has no index of its items`);
      const index = await deps.readIndex(dir, snapshot(indexes.next_items), { handles });
      const session = await open(file, [], outputs);
      requireClicks(file, session.inputInfo, length_max);
      const model = createNextItem(session, index, requireIds(ids, await readTable(dir, ids)), length_max, handles);
      nextItem = model;
      probes.push([file, () => model.probe()]);
    }

    const lookAlikes = tables.profiles && new LookAlikes(handles, await deps.readProfiles(dir, tables.profiles));
    const sessionNeighbours =
      tables.sessions && new SessionNeighbours(handles, await deps.readSessions(dir, tables.sessions, manifest.session_search));
    const linear = tables.linear && NeighbourTable.fromFile((await readTable(dir, tables.linear)) as NeighboursFile, handles);
    const neighbours = tables.neighbours && NeighbourTable.fromFile((await readTable(dir, tables.neighbours)) as NeighboursFile, handles);
    const popularity = tables.popularity && PopularityTable.fromFile((await readTable(dir, tables.popularity)) as PopularityFile, handles);
    content = contentModel ? deps.openContent?.(contentModel, hashOf(manifest, tables.content)) : undefined;
    if (foldIn) items?.serve(foldIn, manifest.trained.journal_offset);
    return {
      manifest,
      recommend: {
        itemIndex: itemIndex || undefined,
        foldIn,
        userTower,
        neighbours: neighbours || undefined,
        linear: linear || undefined,
        lookAlikes: lookAlikes || undefined,
        sessionNeighbours: sessionNeighbours || undefined,
        nextItem,
        content,
        popularity: popularity || undefined,
        ranker,
        appealWeight: manifest.metrics[APPEAL_METRIC],
      },
      userIndex: userIndex || undefined,
      fraud,
      anomaly,
      async probe() {
        for (const [file, probe] of probes) {
          try {
            await probe();
          } catch (cause) {
            throw probeFailed(file, cause);
          }
        }
      },
      release,
    };
  } catch (cause) {
    await release();
    throw cause;
  }
}

/** The hash of a file that was verified. */
function hashOf({ files, version }: BundleManifest, name: string | undefined): string {
  const file = files.find((entry) => entry.name === name);
  if (!file) throw new Error(`${version} was verified without ${name}`);
  return file.sha256;
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

/** Rows side by side as columns, and back: feature f of row r of n at f * n + r. */
function columnsOf(rows: Float32Array, n: number, width: number): Float32Array {
  const columns = new Float32Array(n * width);
  for (let row = 0; row < n; row++) for (let f = 0; f < width; f++) columns[f * n + row] = rows[row * width + f]!;
  return columns;
}

function rowsOf(columns: Float32Array, n: number, width: number): Float32Array {
  return columnsOf(columns, width, n);
}

type RowModel = NonNullable<BundleManifest['models']['ranker']>;

/** The model's feature set is what the engine computes. Returns the set's names. */
function requireHash(engine: FeatureEngine, file: string, set: string, hash: string): readonly string[] {
  const own = engine.hash(set);
  if (own !== hash) {
    throw new GatehouseError(
      'bundle_incompatible',
      `${file} was trained on feature set ${set} ${hash.slice(0, 12)}, this gateway computes ${own.slice(0, 12)}: name the features file that it was trained with in GATEHOUSE_FEATURES_FILE, or train a bundle on the features of now (gatehouse train)`,
    );
  }
  return engine.names(set);
}

/** The model's features are those that the engine computes, as many and in the same order. Returns how many. */
function requireSet(engine: FeatureEngine, file: string, set: string, hash: string, inputs: readonly TensorShape[]): number {
  const width = requireHash(engine, file, set, hash).length;
  const declared = inputs.find(({ name }) => name === 'features')?.shape;
  if (declared?.[1] !== width)
    throw new GatehouseError('bundle_incompatible', `${file} takes features [${declared ?? ''}], feature set ${set} has ${width}`);
  return width;
}

/** The model has the tensors that the manifest says. A size that either leaves open fits any. */
function requireShapes(file: string, wanted: readonly TensorShape[], found: readonly TensorInfo[]): void {
  for (const { name, shape } of wanted) {
    const info = found.find((tensor) => tensor.name === name);
    if (!info) throw new GatehouseError('bundle_incompatible', `${file} has no tensor ${name}`);
    const { type, dims } = info;
    // Exporters may leave out an output's shape: the probe then sees what comes.
    const fits =
      dims.length === 0 || (dims.length === shape.length && shape.every((size, i) => size < 0 || !(Number(dims[i]) >= 0) || dims[i] === size));
    if (type !== 'float32' || !fits)
      throw new GatehouseError('bundle_incompatible', `${file}: ${name} is ${type} [${dims}], the manifest says float32 [${shape}]`);
  }
}

/** The model takes item numbers: `items`, int64, so many of a visit. */
function requireClicks(file: string, found: readonly TensorInfo[], lengthMax: number): void {
  const info = found.find(({ name }) => name === 'items');
  if (info?.type !== 'int64' || info.dims.length !== 2 || info.dims[1] !== lengthMax)
    throw new GatehouseError(
      'bundle_incompatible',
      `${file}: items is ${info?.type} [${info?.dims ?? ''}], the manifest says int64 [-1,${lengthMax}]`,
    );
}

function requireIds(file: string, value: unknown): readonly string[] {
  if (!Array.isArray(value) || !value.every((id) => typeof id === 'string'))
    throw new GatehouseError('bundle_corrupt', `${file} is not a list of ids`);
  return value;
}

/** What a model threw while it was probed, with a code. */
function probeFailed(file: string, cause: unknown): GatehouseError {
  if (cause instanceof GatehouseError) return cause;
  return new GatehouseError('bundle_probe_failed', `${file}: ${cause instanceof Error ? cause.message : String(cause)}`, { cause });
}

async function readTable(dir: string, file: string): Promise<unknown> {
  try {
    return decode(await readFile(join(dir, file)));
  } catch (cause) {
    throw new GatehouseError('bundle_corrupt', `${file} is not readable`, { cause });
  }
}

const checkReference = Compile(DriftReferenceFile);

/** Throws `bundle_corrupt` when it is no reference, or not one of these features. */
async function readReference(dir: string, file: string, names: readonly string[]): Promise<DriftReference> {
  let reference: unknown;
  try {
    reference = JSON.parse(await readFile(join(dir, file), 'utf8'));
  } catch (cause) {
    throw new GatehouseError('bundle_corrupt', `${file} is not readable`, { cause });
  }
  const problem = (): string | undefined => {
    if (!checkReference.Check(reference)) return 'is no drift reference';
    if (reference.features.map(({ name }) => name).join() !== names.join()) return 'is of other features';
    const bent = [...reference.features, reference.score].find(
      ({ edges, shares }) => shares.length !== edges.length + 2 || edges.some((edge, i) => i > 0 && edge <= edges[i - 1]!),
    );
    return bent && `has bins of ${bent.name} that are none`;
  };
  const wrong = problem();
  if (wrong !== undefined) throw new GatehouseError('bundle_corrupt', `${file} ${wrong}`);
  return reference as DriftReference;
}

async function readTrees(dir: string, file: string, width: number): Promise<TreeEnsemble> {
  let ensemble: TreeEnsemble | null;
  try {
    ensemble = JSON.parse(await readFile(join(dir, file), 'utf8')) as TreeEnsemble | null;
  } catch (cause) {
    throw new GatehouseError('bundle_corrupt', `${file} is not readable`, { cause });
  }
  if (ensemble?.featureCount !== width)
    throw new GatehouseError('bundle_incompatible', `${file} has ${ensemble?.featureCount ?? 'no'} features instead of ${width}`);
  return ensemble;
}
