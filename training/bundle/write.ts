import { encode } from '@msgpack/msgpack';
import type {
  AnomalyScale,
  BundleFile,
  BundleManifest,
  Calibration,
  ContentFile,
  ItemFoldInFile,
  NeighboursFile,
  PopularityFile,
  RiskThresholds,
  SessionSearchName,
} from '../../contracts/bundle.ts';
import { Handles } from '../../contracts/handles.ts';
import type { Tree, TreeEnsemble } from '../../contracts/trees.ts';
import type { VectorIndex } from '../../index/contract.ts';
import type { ProfileIndex } from '../../index/profiles.ts';
import { encodeProfiles } from '../../index/profiles-file.ts';
import type { SessionIndex } from '../../index/sessions.ts';
import { encodeSessions } from '../../index/sessions-file.ts';
import { writeSnapshot } from '../../index/snapshot.ts';
import { shareOf } from '../../scoring/models/anomaly.ts';
import { type ContentModel, contentModelOf } from '../../scoring/recommend/content-vector.ts';
import { type ItemFoldInModel, itemFoldInOf } from '../../scoring/recommend/item-fold-in-model.ts';
import { NeighbourTable, PopularityTable } from '../../scoring/recommend/retrieval.ts';
import type { DriftReference } from '../../scoring/risk/drift.ts';
import { type FusedModel, fusedToOnnx } from '../fusion.ts';
import type { IsolationModel } from '../learners/anomaly/isolationForest.ts';
import { requireParam } from '../learners/contract.ts';
import type { NextItemModel } from '../learners/neural/nextItemModel.ts';
import { nextItemToOnnx } from '../learners/neural/nextItemServing.ts';
import { foldInModel } from '../onnx/foldIn.ts';
import { isolationForestToOnnx } from '../onnx/isolationForest.ts';
import { treeEnsembleToOnnx } from '../onnx/treeEnsemble.ts';
import { publishBundle, writeManifest, writeSynced } from './publish.ts';

/** What a bundle is made of. Each model, index and table may be absent; the gateway then serves without it and says so. */
export interface BundleParts {
  readonly version: string;
  readonly created_ms: number;
  readonly trained: BundleManifest['trained'];
  /** Finite numbers: JSON has no others. */
  readonly metrics: BundleManifest['metrics'];
  /** A `binary` ensemble: its margin is the log-odds. */
  readonly fraud?: RowModel & {
    readonly calibration: Calibration;
    readonly thresholds: RiskThresholds;
    /** In the order of the set. */
    readonly reference?: DriftReference;
  };
  readonly anomaly?: {
    readonly model: IsolationModel;
    readonly set: string;
    readonly hash: string;
    readonly scale: AnomalyScale;
  };
  /** Trees, or a fused score of the candidate sources. */
  readonly ranker?: Omit<RowModel, 'model'> & { readonly model: TreeEnsemble | FusedModel };
  /** Needs `itemIndex` with the same factors. `history` names what the user's confidences are counted from. */
  readonly userTower?: {
    /** Row-major items x factors, all that training knew. */
    readonly itemFactors: Float32Array;
    readonly factors: number;
    readonly regularization: number;
    readonly alpha: number;
    readonly history: string;
  };
  readonly itemIndex?: VectorIndex;
  /** Needs `userTower`, of the same factors, and `content` where it maps from that. */
  readonly itemFoldIn?: ItemFoldInModel;
  readonly userIndex?: VectorIndex;
  /** Item i of `ids` has the neighbours `neighbours[indptr[i]..indptr[i + 1])`, positions in `ids`, the closest first. */
  readonly neighbours?: {
    readonly ids: readonly string[];
    readonly indptr: Uint32Array;
    readonly neighbours: Uint32Array;
    readonly similarities: Float32Array;
  };
  /** The most popular first; scores are scaled so that the first is 1. */
  readonly popularity?: { readonly ids: readonly string[]; readonly scores: Float32Array };
  /** Item-to-item weights, as `neighbours`. */
  readonly linear?: BundleParts['neighbours'];
  readonly profiles?: ProfileIndex;
  readonly sessions?: SessionIndex;
  /** How they are asked; `v_stan` where absent. */
  readonly sessionSearch?: SessionSearchName;
  readonly content?: ContentModel;
  /** Item i of `ids` is number i of the model. */
  readonly nextItem?: { readonly model: NextItemModel; readonly ids: readonly string[]; readonly index: VectorIndex };
  /** A page for people, HTML; made from the manifest without the report where it is a function. */
  readonly report?: string | ((manifest: BundleManifest) => string);
}

/** `hash` is the feature engine's hash of `set` when the rows were made. */
export interface RowModel {
  readonly model: TreeEnsemble;
  readonly set: string;
  readonly hash: string;
}

export interface WriteBundleOptions {
  /** Stops between two files. */
  readonly signal?: AbortSignal;
}

/**
 * Writes a bundle into `outDir/<version>`, whole or not at all (`publishBundle`): each file is fsynced, the manifest comes last. Same parts, same
 * bytes.
 *
 * Throws `bundle_exists`, `bundle_corrupt` when the parts do not make a manifest or table that the gateway would take, `store_locked` when another
 * process writes here, RangeError on a wrong part, the signal's reason, and what the disk says.
 */
export async function writeBundle(outDir: string, parts: BundleParts, options: WriteBundleOptions = {}): Promise<BundleManifest> {
  return publishBundle(outDir, parts.version, (dir) => writeFiles(dir, parts, options.signal), options.signal);
}

async function writeFiles(dir: string, parts: BundleParts, signal: AbortSignal | undefined): Promise<BundleManifest> {
  const files: BundleFile[] = [];
  const put = async (name: string, bytes: Uint8Array | string): Promise<string> => {
    signal?.throwIfAborted();
    files.push(await writeSynced(dir, name, bytes));
    return name;
  };
  const putIndex = async (name: string, index: VectorIndex): Promise<NonNullable<BundleManifest['indexes']['items']>> => {
    signal?.throwIfAborted();
    const snapshot = await writeSnapshot(index, dir, { name });
    files.push(...snapshot.files);
    return { ...snapshot, files: [...snapshot.files] };
  };

  const models: BundleManifest['models'] = {};
  if (parts.fraud) models.fraud = await putFraud(parts.fraud, put);
  if (parts.anomaly) models.anomaly = await putAnomaly(parts.anomaly, put);
  if (parts.ranker) models.ranker = await putRanker(parts.ranker, put);
  if (parts.userTower) models.user_tower = await putUserTower(parts.userTower, parts.itemIndex, put);
  if (parts.nextItem) models.next_item = await putNextItem(parts.nextItem, put);
  const indexes: BundleManifest['indexes'] = {};
  if (parts.itemIndex) indexes.items = await putIndex('items', parts.itemIndex);
  if (parts.userIndex) indexes.users = await putIndex('users', parts.userIndex);
  if (parts.nextItem) indexes.next_items = await putIndex('next_items', parts.nextItem.index);
  const tables: BundleManifest['tables'] = {};
  if (parts.neighbours) tables.neighbours = await put('neighbours.msgpack', neighboursBytes(parts.neighbours));
  if (parts.popularity) tables.popularity = await put('popularity.msgpack', popularityBytes(parts.popularity));
  if (parts.linear) tables.linear = await put('linear.msgpack', neighboursBytes(parts.linear));
  if (parts.profiles) tables.profiles = await put('profiles.msgpack', encodeProfiles(parts.profiles));
  if (parts.sessions) tables.sessions = await put('sessions.bin', encodeSessions(parts.sessions));
  if (parts.content) tables.content = await put('content.msgpack', contentBytes(parts.content));
  if (parts.itemFoldIn) tables.item_fold_in = await put('item_fold_in.msgpack', itemFoldInBytes(parts.itemFoldIn));

  const { version, created_ms, trained, metrics, report } = parts;
  const manifest: BundleManifest = { format: 'gatehouse-bundle-1', version, created_ms, trained, models, indexes, tables, files, metrics };
  if (parts.sessions && parts.sessionSearch) manifest.session_search = parts.sessionSearch;
  if (report !== undefined) manifest.report = await put('report.html', typeof report === 'string' ? report : report(manifest));
  signal?.throwIfAborted();
  return writeManifest(dir, manifest);
}

type Put = (name: string, bytes: Uint8Array | string) => Promise<string>;

async function putFraud(part: NonNullable<BundleParts['fraud']>, put: Put): Promise<NonNullable<BundleManifest['models']['fraud']>> {
  const { model, set, hash, calibration, thresholds, reference } = part;
  requireParam(model.objective === 'binary', `the fraud model gives probabilities: its objective must be binary, not ${model.objective}`);
  const file = await put('fraud.onnx', treeEnsembleToOnnx(model));
  const trees = await put('fraud.trees.json', JSON.stringify(plainTrees(model)));
  const drift = reference && { reference: await put('fraud.reference.json', JSON.stringify(reference)) };
  const outputs = ['score', 'probability'].map((name) => ({ name, shape: [-1, 1] }));
  return { file, inputs: rowInputs(model), outputs, set, hash, calibration, thresholds, trees, ...drift };
}

async function putAnomaly(
  { model, set, hash, scale }: NonNullable<BundleParts['anomaly']>,
  put: Put,
): Promise<NonNullable<BundleManifest['models']['anomaly']>> {
  // The reader's own check: what it would refuse must not be written.
  shareOf('anomaly.onnx', scale);
  const file = await put('anomaly.onnx', isolationForestToOnnx(model));
  return { file, inputs: rowInputs(model), outputs: [{ name: 'score', shape: [-1, 1] }], set, hash, scale };
}

async function putRanker(
  { model, set, hash }: NonNullable<BundleParts['ranker']>,
  put: Put,
): Promise<NonNullable<BundleManifest['models']['ranker']>> {
  const described = { inputs: rowInputs(model), outputs: [{ name: 'score', shape: [-1, 1] }], set, hash };
  if ('terms' in model) return { file: await put('ranker.onnx', fusedToOnnx(model)), ...described };
  const file = await put('ranker.onnx', treeEnsembleToOnnx(model));
  return { file, ...described, trees: await put('ranker.trees.json', JSON.stringify(plainTrees(model))) };
}

/** Without what a learner keeps beside the trees: gains, losses. */
function plainTrees({ objective, featureCount, base, trees }: TreeEnsemble): TreeEnsemble {
  const plain = ({ feature, threshold, left, right, missingLeft, value, cover }: Tree): Tree => ({
    feature,
    threshold,
    left,
    right,
    missingLeft,
    value,
    cover,
  });
  return { objective, featureCount, base, trees: trees.map(plain) };
}

function rowInputs(model: Pick<TreeEnsemble, 'featureCount'>): { name: string; shape: number[] }[] {
  return [{ name: 'features', shape: [-1, model.featureCount] }];
}

async function putUserTower(
  part: NonNullable<BundleParts['userTower']>,
  itemIndex: VectorIndex | undefined,
  put: Put,
): Promise<NonNullable<BundleManifest['models']['user_tower']>> {
  const { itemFactors, factors, regularization, alpha, history } = part;
  requireParam(itemIndex?.dimensions === factors, `a user tower of ${factors} factors needs an item index of as many dimensions`);
  return {
    file: await put('user_tower.onnx', foldInModel({ itemFactors, factors, regularization })),
    inputs: [
      { name: 'items', shape: [-1, factors] },
      { name: 'confidence', shape: [-1] },
    ],
    outputs: [{ name: 'user', shape: [1, factors] }],
    factors,
    alpha,
    history,
  };
}

async function putNextItem(
  { model, ids, index }: NonNullable<BundleParts['nextItem']>,
  put: Put,
): Promise<NonNullable<BundleManifest['models']['next_item']>> {
  requireParam(ids.length === model.items, `a next item model of ${model.items} items needs as many ids, not ${ids.length}`);
  requireParam(index.dimensions === model.width + 1, `a next item model of width ${model.width} needs an index of ${model.width + 1} dimensions`);
  return {
    file: await put('next_item.onnx', nextItemToOnnx(model)),
    inputs: [{ name: 'items', shape: [-1, model.lengthMax] }],
    outputs: [{ name: 'query', shape: [-1, index.dimensions] }],
    length_max: model.lengthMax,
    ids: await put('next_item.ids.msgpack', encode(ids)),
  };
}

function neighboursBytes({ ids, indptr, neighbours, similarities }: NonNullable<BundleParts['neighbours']>): Uint8Array {
  const file: NeighboursFile = { ids, indptr: bytesOf(indptr), neighbours: bytesOf(neighbours), similarities: bytesOf(similarities) };
  // The reader's own check: what it would refuse must not be written.
  NeighbourTable.fromFile(file, new Handles());
  return encode(file);
}

function popularityBytes({ ids, scores }: NonNullable<BundleParts['popularity']>): Uint8Array {
  const file: PopularityFile = { ids, scores: bytesOf(scores) };
  PopularityTable.fromFile(file, new Handles());
  return encode(file);
}

export function contentBytes({ dimensions, idf, idfUnseen }: ContentModel): Uint8Array {
  const file: ContentFile = { dimensions, idf: bytesOf(idf), idf_unseen: idfUnseen };
  contentModelOf(file);
  return encode(file);
}

function itemFoldInBytes({ factors, regularization, alpha, acts, userGram, contentMap }: ItemFoldInModel): Uint8Array {
  const content = contentMap && { dimensions: contentMap.dimensions, weights: bytesOf(contentMap.weights), r2: contentMap.r2 };
  const file: ItemFoldInFile = { factors, regularization, alpha, acts, user_gram: bytesOf(userGram), ...(content && { content }) };
  itemFoldInOf(file);
  return encode(file);
}

/** Every platform of onnxruntime-node is little-endian, so memory is what the file wants. */
function bytesOf({ buffer, byteOffset, byteLength }: Uint32Array | Float32Array | Float64Array): Uint8Array {
  return new Uint8Array(buffer, byteOffset, byteLength);
}
