import { GraphBuilder } from './onnx/graph.ts';

/**
 * How a number of a row says how good a candidate is: a `value` as it is, `rank` as 1 / (10 + rank) (reciprocal rank fusion, Cormack et al.
 * 2009, which takes 60 for lists of thousands), `gap` as exp(gap), a softmax less its sum, `log` as its logarithm. What is missing, or no finite number,
 * says nothing.
 */
type Kind = 'value' | 'rank' | 'gap' | 'log';

/** What may be fused, by the name of a ranking among the baselines: the features that order candidates as that source does. */
const TERMS: readonly { readonly source: string; readonly feature: string; readonly kind: Kind }[] = [
  { source: 'session neighbours', feature: 'session_neighbours_share', kind: 'value' },
  { source: 'session neighbours', feature: 'session_neighbours_rank', kind: 'rank' },
  { source: 'next item', feature: 'next_item_gap', kind: 'gap' },
  { source: 'next item', feature: 'next_item_rank', kind: 'rank' },
  { source: 'look-alikes', feature: 'look_alike_share', kind: 'value' },
  { source: 'linear', feature: 'linear_share', kind: 'value' },
  { source: 'user vector', feature: 'user_vector_rank', kind: 'rank' },
  { source: 'item to item', feature: 'item_to_item', kind: 'value' },
  { source: 'popularity', feature: 'popular', kind: 'value' },
  { source: 'bought again', feature: 'buy_again', kind: 'value' },
];
const RANK_OFFSET = 10;
/** Weights that are tried, beside one term whose weight is 1. */
const WEIGHTS = [0, 0.05, 0.1, 0.2, 0.4, 0.7, 1, 1.5, 2.5, 4];
/** Each term's weight is looked for so often while the others stay: a third round changed nothing on the logs that were tried. */
const ROUNDS = 2;

export interface FusedTerm {
  /** Position in the row. */
  readonly column: number;
  readonly feature: string;
  readonly kind: Kind;
  readonly weight: number;
}

/** A weighted sum of what the sources say: the ranking that is served where trees do worse. */
export interface FusedModel {
  readonly featureCount: number;
  readonly terms: readonly FusedTerm[];
}

/** A question with its candidates, a row each, and how good an order of them is. */
export interface FusionQuestion {
  readonly rows: Float32Array;
  /** The worth of ordering the candidates by these scores. */
  readonly worth: (scores: Float64Array) => number;
}

function say(kind: Kind, value: number): number {
  if (!Number.isFinite(value)) return 0;
  if (kind === 'log') return value > 0 ? Math.log(value) : 0;
  return kind === 'rank' ? 1 / (RANK_OFFSET + value) : kind === 'gap' ? Math.exp(value) : value;
}

/**
 * Chooses weights by coordinate ascent on the mean worth. `best` names the source that ranks best alone; the search begins there, so that it ends no
 * worse. Terms are brought to one scale first: the mean of their best candidates.
 */
export function fitFusion(questions: readonly FusionQuestion[], names: readonly string[], best: string): FusedModel {
  const width = names.length;
  const terms = TERMS.flatMap((term) => (names.includes(term.feature) ? [{ ...term, column: names.indexOf(term.feature) }] : []));
  const said = questions.map(({ rows }) => terms.map(({ column, kind }) => columnOf(rows, width, column, kind)));
  const scales = terms.map((_, t) => said.reduce((sum, columns) => sum + columns[t]!.reduce((a, b) => Math.max(a, b), 0), 0) / said.length);
  const first = terms.findIndex(({ source }) => source === best);
  let weights: number[] = terms.map((_, t) => (t === first ? 1 : 0));
  const worthOf = (given: readonly number[]): number => {
    let sum = 0;
    for (let q = 0; q < questions.length; q++) sum += questions[q]!.worth(summed(said[q]!, given, scales));
    return sum / questions.length;
  };
  let worth = worthOf(weights);
  for (let round = 0; round < ROUNDS; round++) {
    for (let t = 0; t < terms.length; t++) {
      if (!(scales[t]! > 0)) continue;
      for (const weight of WEIGHTS) {
        const tried = weights.with(t, weight);
        const gained = worthOf(tried);
        if (gained > worth) [weights, worth] = [tried, gained];
      }
    }
  }
  return modelOf(
    width,
    terms.map((term, t) => ({ ...term, weight: scales[t]! > 0 ? weights[t]! / scales[t]! : 0 })),
  );
}

/** The order of one source alone; undefined where no feature gives it. */
export function singleSource(names: readonly string[], source: string): FusedModel | undefined {
  const term = TERMS.find((one) => one.source === source && names.includes(one.feature));
  return term && modelOf(names.length, [{ ...term, column: names.indexOf(term.feature), weight: 1 }]);
}

function modelOf(featureCount: number, terms: readonly FusedTerm[]): FusedModel {
  const kept = terms.filter(({ weight }) => weight > 0);
  return { featureCount, terms: kept.map(({ column, feature, kind, weight }) => ({ column, feature, kind, weight })) };
}

function columnOf(rows: Float32Array, width: number, column: number, kind: Kind): Float64Array {
  const out = new Float64Array(rows.length / width);
  for (let i = 0; i < out.length; i++) out[i] = say(kind, rows[i * width + column]!);
  return out;
}

function summed(columns: readonly Float64Array[], weights: readonly number[], scales: readonly number[]): Float64Array {
  const scores = new Float64Array(columns[0]?.length ?? 0);
  columns.forEach((column, t) => {
    const factor = weights[t]! > 0 ? weights[t]! / scales[t]! : 0;
    for (let i = 0; i < scores.length && factor > 0; i++) scores[i]! += factor * column[i]!;
  });
  return scores;
}

/** Scores of rows, row-major n x `featureCount`. */
export function predictFused({ featureCount, terms }: FusedModel, rows: Float32Array): Float64Array {
  const scores = new Float64Array(rows.length / featureCount);
  for (const { column, kind, weight } of terms) {
    for (let i = 0; i < scores.length; i++) scores[i]! += weight * say(kind, rows[i * featureCount + column]!);
  }
  return scores;
}

/** The model as ONNX: input `features` float [N, F] (NaN is missing), output `score` float [N, 1]. */
export function fusedToOnnx({ featureCount, terms }: FusedModel): Uint8Array {
  const graph = new GraphBuilder('fused_sources');
  graph.input('features', 'float32', ['N', featureCount]);
  const zero = graph.scalar(0);
  const parts = terms.map(({ column, kind, weight }) => {
    const value = graph.node('Gather', ['features', graph.ints(column)], { axis: { i: 1 } });
    const spoken =
      kind === 'rank'
        ? graph.node('Reciprocal', [graph.node('Add', [value, graph.scalar(RANK_OFFSET)])])
        : kind === 'gap'
          ? graph.node('Exp', [value])
          : kind === 'log'
            ? graph.node('Log', [value])
            : value;
    const weighed = graph.node('Mul', [spoken, graph.scalar(weight)]);
    // Not finite: then the difference is NaN.
    return graph.node('Where', [graph.node('IsNaN', [graph.node('Sub', [weighed, weighed])]), zero, weighed]);
  });
  graph.node('Sum', parts, {}, 'score');
  graph.output('score', 'float32', ['N', 1]);
  return graph.toBytes();
}
