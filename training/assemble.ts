import { Handles } from '../contracts/handles.ts';
import type { VectorIndex } from '../index/contract.ts';
import { createHnswIndex } from '../index/hnsw.ts';
import { ProfileIndex } from '../index/profiles.ts';
import { sessionSearch } from '../index/readers.ts';
import { SessionIndex } from '../index/sessions.ts';
import { createNextItem } from '../scoring/models/next-item.ts';
import { loadOnnx, type OnnxModel } from '../scoring/models/onnx.ts';
import { createUserTower } from '../scoring/models/user-tower.ts';
import type { ContentModel } from '../scoring/recommend/content-vector.ts';
import { ItemFoldIn } from '../scoring/recommend/item-fold-in.ts';
import { LookAlikes, SessionNeighbours } from '../scoring/recommend/numbered.ts';
import { NeighbourTable, PopularityTable, type RetrievalModels } from '../scoring/recommend/retrieval.ts';
import { itemVectors, nextItemToOnnx } from './learners/neural/nextItemServing.ts';
import { foldInModel } from './onnx/foldIn.ts';
import type { LearnedRetrieval } from './retrieval.ts';

export interface FittedRetrieval extends LearnedRetrieval {
  readonly itemIndex: VectorIndex;
  /** Users by their vectors, for look-alikes. */
  readonly userIndex: VectorIndex;
  readonly profileIndex: ProfileIndex;
  readonly sessionIndex: SessionIndex | undefined;
  readonly nextItemIndex: VectorIndex | undefined;
  /** As the gateway has them from the bundle. */
  readonly models: RetrievalModels;
  release(): Promise<void>;
}

/** The indexes and models that serve what was learned, about the items of `handles`. */
export async function assembleRetrieval(
  learned: LearnedRetrieval,
  content: ContentModel | undefined,
  seed: number,
  handles: Handles,
): Promise<FittedRetrieval> {
  const { itemIds, itemFactors, userIds, userFactors, factors, regularization, alpha, neighbours, linear, popularity, nextItem } = learned;
  const itemIndex = indexOf(itemIds, itemFactors, factors, 'ip', seed, handles);
  const userIndex = indexOf(userIds, userFactors, factors, 'cosine', seed, new Handles());
  const profileIndex = new ProfileIndex(learned.profiles);
  const sessionIndex = learned.sessions && new SessionIndex(learned.sessions);
  const opened: OnnxModel[] = [];
  const open = async (model: Uint8Array): Promise<OnnxModel> => {
    opened.push(await loadOnnx(model));
    return opened.at(-1)!;
  };
  const session = await open(foldInModel({ itemFactors, factors, regularization }));
  const towerOf = (vectors: Pick<VectorIndex, 'copyTo'>) => createUserTower(session, vectors, factors, alpha);
  const foldIn = new ItemFoldIn({ model: learned.itemFoldIn, content, index: itemIndex, towerOf });
  const nextItemIndex = nextItem && indexOf(nextItem.ids, itemVectors(nextItem.model), nextItem.model.width + 1, 'ip', seed, handles);
  const expected =
    nextItem &&
    nextItemIndex &&
    createNextItem(await open(nextItemToOnnx(nextItem.model)), nextItemIndex, nextItem.ids, nextItem.model.lengthMax, handles);
  return {
    ...learned,
    itemIndex,
    userIndex,
    profileIndex,
    sessionIndex,
    nextItemIndex,
    models: {
      itemIndex,
      foldIn,
      userTower: towerOf(foldIn),
      neighbours: new NeighbourTable(handles, itemIds, neighbours.indptr, neighbours.neighbours, neighbours.similarities),
      linear: linear && new NeighbourTable(handles, itemIds, linear.indptr, linear.neighbours, linear.similarities),
      lookAlikes: new LookAlikes(handles, profileIndex),
      sessionNeighbours: sessionIndex && new SessionNeighbours(handles, sessionSearch(sessionIndex, learned.sessionSearch)),
      nextItem: expected,
      popularity: new PopularityTable(handles, popularity.ids, popularity.scores),
    },
    async release() {
      for (const model of opened) await model.release();
    },
  };
}

function indexOf(
  ids: readonly string[],
  vectors: Float32Array,
  dimensions: number,
  metric: 'ip' | 'cosine',
  seed: number,
  handles: Handles,
): VectorIndex {
  const index = createHnswIndex({ dimensions, metric, seed, handles, capacityInitial: Math.max(1, ids.length) });
  ids.forEach((id, i) => {
    index.upsert(id, vectors.slice(i * dimensions, (i + 1) * dimensions));
  });
  return index;
}
