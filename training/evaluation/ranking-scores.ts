import { mean, ndcgAt, recallAt } from './metrics.ts';

export interface Means {
  readonly hitRate: number;
  readonly recall: number;
  readonly ndcg: number;
  readonly mrr: number;
}

/** Collects what rankings of one task were worth, list by list. */
export class RankingScores {
  readonly #cut: number;
  readonly #lists = new Map<string, { hit: number[]; recall: number[]; ndcg: number[]; reciprocal: number[] }>();

  constructor(cut: number) {
    this.#cut = cut;
  }

  /** `wanted` is not empty. A list that is longer than the cut counts up to there. */
  add(ranking: string, ranked: readonly string[], wanted: ReadonlySet<string>): void {
    const list = this.#lists.get(ranking) ?? { hit: [], recall: [], ndcg: [], reciprocal: [] };
    this.#lists.set(ranking, list);
    const first = ranked.findIndex((id) => wanted.has(id));
    const isHit = first >= 0 && first < this.#cut;
    list.hit.push(isHit ? 1 : 0);
    list.reciprocal.push(isHit ? 1 / (first + 1) : 0);
    list.recall.push(recallAt(this.#cut, ranked, wanted));
    list.ndcg.push(ndcgAt(this.#cut, ranked, wanted));
  }

  means(): Record<string, Means> {
    return Object.fromEntries(
      [...this.#lists].map(([ranking, { hit, recall, ndcg, reciprocal }]) => [
        ranking,
        { hitRate: mean(hit), recall: mean(recall), ndcg: mean(ndcg), mrr: mean(reciprocal) },
      ]),
    );
  }
}
