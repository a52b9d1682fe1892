import { LEAF, type Tree } from '../contracts/trees.ts';
import { clicksOf } from './click-groups.ts';
import type { FusedModel } from './fusion.ts';
import type { GbdtModel } from './learners/gbdt/fit.ts';
import type { ListRows } from './list-rows.ts';
import type { PlaceCurves } from './position-bias.ts';
import type { RankerRows, RowScorer } from './ranker-rows.ts';

const APPEAL = 'appeal';
/** Fewer clicks say too little of two numbers. */
const CLICKS_MIN = 80;
/** Newton's steps; the likelihood is concave, and five are enough. */
const STEPS_MAX = 20;
const SETTLED = 1e-6;
/**
 * Appeal knows nobody's taste: its spread among the candidates of a question is never more than this share of the scores'. Lists tell of items that a
 * ranking put there, and ask for more than is good for all: on a log of the simulated shop (seed 3) for three times the score's unit, where one was best.
 */
const SHARE_MAX = 0.6;
/** Appeal is told in steps of a quarter from a fifth to five times what was expected. */
const STEPS_FROM = 0.2;
const STEP = 1.25;
const STEPS = 15;

/** What a period gave to measure with. */
interface Period {
  readonly rows: RankerRows;
  readonly lists: ListRows;
}

/** A click's candidates: what was clicked on is the first. */
interface Choice {
  readonly score: readonly number[];
  readonly appeal: readonly number[];
  readonly offset: readonly number[];
}

/**
 * How much the logarithm of an item's appeal has to be added to a ranking's scores for them to tell what is clicked on in lists: what a ranking learned
 * from what shoppers touch is full of what they were shown most. A click is a choice among what stood in its list, as likely as its place is looked at
 * times the exponential of the sum (a conditional logit, the place as an offset). Both weights are the likeliest ones under a normal prior, each by the
 * spread of its number in the lists. 0 where lists, clicks or the feature are missing, or appeal tells nothing.
 *
 * The period must be one that the scores did not learn from.
 */
export function appealWeight({ lists, rows }: Period, curves: PlaceCurves, names: readonly string[], scoreOf: RowScorer): number {
  const column = names.indexOf(APPEAL);
  const clicks = column < 0 ? [] : clicksOf([lists], curves);
  if (clicks.length < CLICKS_MIN) return 0;
  const width = names.length;
  const scored = new Map<Float32Array, ArrayLike<number>>();
  const choices = clicks.map(({ from, rows, clicked, offsets }): Choice => {
    const scores = scored.get(from) ?? scoreOf(from);
    scored.set(from, scores);
    const order = [...rows.keys()].sort((a, b) => Number(rows[b] === clicked) - Number(rows[a] === clicked));
    return {
      score: order.map((i) => scores[rows[i]!]!),
      appeal: order.map((i) => Math.log(from[rows[i]! * width + column]!)),
      offset: order.map((i) => offsets[i]!),
    };
  });
  const [scoreSpread, appealSpread] = [spreadOf(choices, 'score'), spreadOf(choices, APPEAL)];
  if (!(scoreSpread > 0 && appealSpread > 0)) return 0;
  const [score, appeal] = likeliest(choices, scoreSpread, appealSpread);
  if (appeal <= 0) return 0;
  const most =
    (SHARE_MAX * rows.spreadOf(scoreOf)) /
    rows.spreadOf((told) => Float64Array.from({ length: told.length / width }, (_, i) => Math.log(told[i * width + column]!)));
  const asked = ((appeal / score) * scoreSpread) / appealSpread;
  if (!Number.isFinite(most)) return 0;
  return score > 0 ? Math.min(most, asked) : most;
}

/** Standard deviation within a choice. */
function spreadOf(choices: readonly Choice[], of: 'score' | 'appeal'): number {
  let [squares, n] = [0, 0];
  for (const { [of]: values } of choices) {
    const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
    for (const value of values) squares += (value - mean) ** 2;
    n += values.length - 1;
  }
  return Math.sqrt(squares / n);
}

/** The weights of score and appeal, each in its spread. */
function likeliest(choices: readonly Choice[], scoreSpread: number, appealSpread: number): [number, number] {
  let [u, v] = [0, 0];
  for (let step = 0; step < STEPS_MAX; step++) {
    // The prior: its gradient and curvature.
    let [gu, gv, huu, huv, hvv] = [-u, -v, 1, 0, 1];
    for (const { score, appeal, offset } of choices) {
      const logits = score.map((s, i) => offset[i]! + (u * s) / scoreSpread + (v * appeal[i]!) / appealSpread);
      const most = Math.max(...logits);
      const weights = logits.map((logit) => Math.exp(logit - most));
      const all = weights.reduce((sum, weight) => sum + weight, 0);
      let [ms, ma, ss, sa, aa] = [0, 0, 0, 0, 0];
      for (let i = 0; i < weights.length; i++) {
        const [p, s, a] = [weights[i]! / all, score[i]! / scoreSpread, appeal[i]! / appealSpread];
        ms += p * s;
        ma += p * a;
        ss += p * s * s;
        sa += p * s * a;
        aa += p * a * a;
      }
      gu += score[0]! / scoreSpread - ms;
      gv += appeal[0]! / appealSpread - ma;
      huu += ss - ms * ms;
      huv += sa - ms * ma;
      hvv += aa - ma * ma;
    }
    const determinant = huu * hvv - huv * huv;
    const [du, dv] = [(hvv * gu - huv * gv) / determinant, (huu * gv - huv * gu) / determinant];
    u += du;
    v += dv;
    if (Math.abs(du) + Math.abs(dv) < SETTLED) break;
  }
  return [u, v];
}

/** The model with `weight` times the logarithm of appeal added to its scores; itself where that is 0. `rows`: what it was learned from. */
export function withAppeal(model: GbdtModel | FusedModel, names: readonly string[], weight: number, rows: Float32Array): GbdtModel | FusedModel {
  const column = names.indexOf(APPEAL);
  if (weight === 0) return model;
  if ('terms' in model) return { ...model, terms: [...model.terms, { column, feature: APPEAL, kind: 'log', weight }] };
  return { ...model, trees: [...model.trees, stairs(column, weight, rows, names.length)] };
}

/** A tree of one feature, a leaf a step: kernel, ONNX file and Shapley values take it like any other. */
function stairs(column: number, weight: number, rows: Float32Array, width: number): Tree {
  const thresholds = Array.from({ length: STEPS }, (_, n) => Math.fround(STEPS_FROM * STEP ** n));
  const counts = new Array<number>(STEPS + 1).fill(0);
  for (let at = column; at < rows.length; at += width) {
    const step = thresholds.findIndex((threshold) => rows[at]! <= threshold);
    counts[step < 0 ? STEPS : step]! += 1;
  }
  const tree = { feature: [], threshold: [], left: [], right: [], missingLeft: [], value: [], cover: [] } as Record<
    Exclude<keyof Tree, 'categories'>,
    number[]
  >;
  /** Leaves `from` to `to`; returns the node's number. A child's is greater than its parent's. */
  const grow = (from: number, to: number): number => {
    const node = tree.feature.push(from === to ? LEAF : column) - 1;
    for (const values of [tree.threshold, tree.left, tree.right, tree.missingLeft, tree.value]) values.push(0);
    tree.cover.push(counts.slice(from, to + 1).reduce((sum, count) => sum + count, 0));
    if (from === to) {
      // The middle of the step, in logarithms.
      tree.value[node] = Math.fround(weight * Math.log(STEPS_FROM * STEP ** (from - 0.5)));
      return node;
    }
    const last = (from + to) >> 1;
    tree.threshold[node] = thresholds[last]!;
    tree.left[node] = grow(from, last);
    tree.right[node] = grow(last + 1, to);
    return node;
  };
  grow(0, STEPS);
  return tree;
}
