import type { VectorIndex } from '../../index/contract.ts';
import type { HandleMap } from '../recommend/handle-map.ts';
import type { UserTower } from '../recommend/retrieval.ts';
import type { OnnxModel } from './onnx.ts';
import { floats, requireFinite } from './outputs.ts';

/** History items given to the user tower: the heaviest ones. 356 is what the two bounded histories can hold; the vector hardly moves past 100. */
const FOLD_ITEMS_MAX = 128;
const NAME = 'the user tower';

export interface ProbedUserTower extends UserTower {
  /** Folds three made-up items. Throws `bundle_probe_failed` on a wrong shape or a value that is not finite. */
  probe(): Promise<void>;
}

/**
 * The user side of ALS over vectors of items: `session` maps factors of items and their confidences (alpha x weight) to the user's vector. The gateway
 * and the trainer both make candidates with it, so that the ranker learns from the vectors that it will meet. `factors` is their width.
 */
export function createUserTower(session: OnnxModel, items: Pick<VectorIndex, 'copyTo'>, factors: number, alpha: number): ProbedUserTower {
  const run = async (vectors: Float32Array, confidence: Float32Array): Promise<Float32Array> => {
    const n = confidence.length;
    const answer = await session.run({ items: { data: vectors, dims: [n, factors] }, confidence: { data: confidence, dims: [n] } });
    return floats(NAME, 'user', factors, answer);
  };
  return {
    async fold(touched) {
      const order = heaviest(touched);
      const vectors = new Float32Array(Math.min(order.length, FOLD_ITEMS_MAX) * factors);
      const confidence = new Float32Array(Math.min(order.length, FOLD_ITEMS_MAX));
      let known = 0;
      for (let i = 0; i < order.length && known < FOLD_ITEMS_MAX; i++) {
        const at = order[i]!;
        if (items.copyTo(touched.handleAt(at), vectors, known * factors)) confidence[known++] = alpha * touched.scores[at]!;
      }
      return known === 0 ? undefined : run(vectors.subarray(0, known * factors), confidence.subarray(0, known));
    },
    async probe() {
      requireFinite(NAME, await run(new Float32Array(3 * factors).fill(0.1), new Float32Array([1, 10, 0])));
    },
  };
}

/** Positions of the touched items; the heaviest first where there are too many of them, among equals the ones named first. */
function heaviest(touched: HandleMap): Int32Array {
  const order = new Int32Array(touched.count);
  for (let at = 0; at < order.length; at++) order[at] = at;
  return order.length <= FOLD_ITEMS_MAX ? order : order.sort((a, b) => touched.scores[b]! - touched.scores[a]! || a - b);
}
