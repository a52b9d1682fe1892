import { NO_HANDLE } from '../../contracts/handles.ts';
import type { ItemExplanation, RankContribution, RecommendedItem } from '../../contracts/recommend.ts';
import type { FeatureEngine } from '../features/contract.ts';
import { blendTerms, type Gathering } from './candidates/gather.ts';
import type { CandidateSet } from './candidates/set.ts';
import type { Catalogue } from './catalogue.ts';
import type { Adjustment } from './merchandise.ts';
import type { TouchedItems } from './touched.ts';

/** The exact Shapley values of a ranker's trees: `base` and the contributions of a row together are its score. */
export interface RankShap {
  readonly base: number;
  contributions(row: Float32Array): ArrayLike<number>;
}

/** Who scored the candidates: the ranker with its rows, or nobody and the blend stands in. */
export interface Scorer {
  readonly by: ItemExplanation['by'];
  readonly shap: RankShap | undefined;
  row(position: number): Float32Array;
}

/** Explains items of one answer, between its selection and the next use of its working memory. */
export function createExplainer(
  engine: FeatureEngine,
  set: string,
): (candidates: CandidateSet, position: number, score: number, scorer: Scorer, adjustments?: readonly Adjustment[]) => ItemExplanation {
  const names = engine.names(set);

  const ofRanker = (row: Float32Array, contributions: ArrayLike<number>): RankContribution[] =>
    names.map((feature, i) => ({
      feature,
      value: Number.isFinite(row[i]!) ? row[i]! : null,
      text: engine.explain(set, i, row[i]!),
      contribution: contributions[i]!,
    }));
  const ofBlend = (candidates: CandidateSet, position: number): RankContribution[] =>
    blendTerms(candidates).flatMap(({ key, weight }) => {
      const value = candidates.column(key)[position]!;
      // Not every column is a feature of the ranker.
      const at = names.indexOf(key);
      const text = at < 0 ? `${key} ${value}` : engine.explain(set, at, value);
      return value > 0 ? [{ feature: key, value, text, contribution: weight * value }] : [];
    });

  return (candidates, position, score, { by, shap, row }, adjustments) => {
    const told = { by, model_score: score, ...(adjustments && { adjustments: [...adjustments] }) };
    if (by === 'blend') return { ...told, base: 0, contributions: strongest(ofBlend(candidates, position)) };
    if (shap === undefined) return told;
    return { ...told, base: shap.base, contributions: strongest(ofRanker(row(position), shap.contributions(row(position)))) };
  };
}

function strongest(contributions: readonly RankContribution[]): RankContribution[] {
  return contributions.filter(({ contribution }) => contribution !== 0).sort((a, b) => Math.abs(b.contribution) - Math.abs(a.contribution));
}

/** The sentence for the shopper. `item` is the one on the page. */
export function reasonOf(
  catalogue: Catalogue,
  { set, purchases, popularIn }: Pick<Gathering, 'set' | 'purchases' | 'popularIn'>,
  i: number,
  item: number,
): RecommendedItem['reason'] {
  if (set.isFrom(i, 'buy_again')) return 'Because you bought it before';
  const seed = set.seeds[i]!;
  if (seed !== NO_HANDLE) {
    const title = titleOf(catalogue, seed);
    if (seed === item) return `Goes with ${title}`;
    return `Because you ${holds(purchases, seed) ? 'bought' : 'viewed'} ${title}`;
  }
  const similar = set.similar[i]!;
  if (similar !== NO_HANDLE) return `Similar to ${titleOf(catalogue, similar)}`;
  if (set.isFrom(i, 'editorial')) return 'Chosen by our editors';
  if (set.isFrom(i, 'user_vector')) return 'Picked for you';
  if (set.isFrom(i, 'look_alike')) return 'Shoppers like you want it';
  if (set.isFrom(i, 'linear')) return 'Goes with what you chose before';
  if (set.isFrom(i, 'session_neighbours') || set.isFrom(i, 'next_item')) return 'Often looked at next';
  if (set.isFrom(i, 'new')) return 'New in this shop';
  if (set.isFrom(i, 'popular')) return popularIn?.top.includes(set.handles[i]!) ? `Popular in ${popularIn.name}` : 'Popular right now';
  return 'Recommended by this shop';
}

function titleOf(catalogue: Catalogue, handle: number): string {
  return catalogue.at(handle)?.title ?? catalogue.handles.idOf(handle);
}

function holds({ handles, length }: TouchedItems, item: number): boolean {
  for (let i = 0; i < length; i++) if (handles[i] === item) return true;
  return false;
}
