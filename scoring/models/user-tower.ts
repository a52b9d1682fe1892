import type { VectorIndex } from '../../index/contract.ts';
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
 * The user side of ALS over an item index: `session` maps factors of items and their confidences (alpha x weight) to the user's vector. The gateway
 * and the trainer both make candidates with it, so that the ranker learns from the vectors that it will meet. `factors` is the index's width.
 */
export function createUserTower(session: OnnxModel, itemIndex: VectorIndex, factors: number, alpha: number): ProbedUserTower {
  const run = async (items: Float32Array, confidence: Float32Array): Promise<Float32Array> => {
    const n = confidence.length;
    const answer = await session.run({ items: { data: items, dims: [n, factors] }, confidence: { data: confidence, dims: [n] } });
    return floats(NAME, 'user', factors, answer);
  };
  return {
    async fold(weights) {
      const rows = heaviest(weights, itemIndex);
      if (rows.length === 0) return undefined;
      const items = new Float32Array(rows.length * factors);
      const confidence = new Float32Array(rows.length);
      for (let i = 0; i < rows.length; i++) {
        items.set(rows[i]!.vector, i * factors);
        confidence[i] = alpha * rows[i]!.weight;
      }
      return run(items, confidence);
    },
    async probe() {
      requireFinite(NAME, await run(new Float32Array(3 * factors).fill(0.1), new Float32Array([1, 10, 0])));
    },
  };
}

/** The items that the index knows, at most FOLD_ITEMS_MAX of them; among equals the ones named first. */
function heaviest(weights: ReadonlyMap<string, number>, itemIndex: VectorIndex): { weight: number; vector: Float32Array }[] {
  const rows: { weight: number; vector: Float32Array }[] = [];
  for (const [id, weight] of weights) {
    const vector = itemIndex.get(id);
    if (vector) rows.push({ weight, vector });
  }
  if (rows.length <= FOLD_ITEMS_MAX) return rows;
  rows.sort((a, b) => b.weight - a.weight);
  return rows.slice(0, FOLD_ITEMS_MAX);
}
