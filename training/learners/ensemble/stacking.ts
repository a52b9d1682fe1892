import { splitsOf, stratifiedFolds } from '../../evaluation/splits.ts';
import { composeOnnx } from '../../onnx/compose.ts';
import { GraphBuilder } from '../../onnx/graph.ts';
import { type FitOptions, requireData, requireParam } from '../contract.ts';
import { fitLogistic, type LogisticModel, logisticToOnnx, predictLogistic } from '../linear/logistic.ts';
import { checkTable, type TableRows, takeRows } from '../linear/table.ts';
import type { Member, MemberLearner } from './member.ts';

export interface StackingParams {
  /** Of the cross-validation whose answers the upper model learns from. */
  folds: number;
  /** Ridge of the upper model. */
  l2: number;
  /** A fold for each row, 0 to folds - 1, where rows belong together (`groupedFolds`); by class when absent. */
  foldOf?: ArrayLike<number>;
}

export const STACKING_DEFAULTS: StackingParams = { folds: 5, l2: 1 };

/** Each member is fitted folds + 1 times and served whole. */
const MEMBERS_MAX = 20;
/** Log-odds of a float32 probability are rough beyond this. */
const PROBABILITY_MIN = 1e-4;

/** With the model above the members: its coefficients say how much each counts. */
export interface Stacked extends Member {
  readonly upper: LogisticModel;
}

/**
 * Stacked generalisation (Wolpert 1992) of two classes: a logistic regression on the log-odds of the members, learned from answers to rows that
 * the answering member did not see; the members are then fitted on all rows. Throws `training_data_insufficient` where a fold lacks a class.
 */
export async function fitStacking(
  table: TableRows,
  learners: readonly MemberLearner[],
  given: Partial<StackingParams>,
  options: FitOptions,
): Promise<Stacked> {
  const { folds, l2, foldOf = stratifiedFolds(table.labels, folds, options.seed) } = { ...STACKING_DEFAULTS, ...given };
  requireParam(learners.length >= 1 && learners.length <= MEMBERS_MAX, `there must be 1 to ${MEMBERS_MAX} learners`);
  checkTable(table);
  for (const label of table.labels) if (label !== 0 && label !== 1) requireData(false, `a label is ${label}, not 0 or 1`);
  const total = learners.length * (folds + 1);
  let done = 0;
  const fitOne = async (learner: MemberLearner, rows: TableRows): Promise<Member> => {
    const member = await learner(rows, { seed: options.seed });
    requireParam(member.output === 'probability', 'members must give probabilities');
    options.progress?.(++done, total);
    return member;
  };
  const held = new Float32Array(table.n * learners.length);
  for (const { train, test } of splitsOf(foldOf, folds)) {
    const [seen, unseen] = [takeRows(table, train), takeRows(table, test)];
    for (const [k, learner] of learners.entries()) {
      const answers = (await fitOne(learner, seen)).predict(unseen.rows);
      for (const [i, row] of test.entries()) held[row * learners.length + k] = logOdds(answers[i]!);
    }
  }
  const upper = fitLogistic({ ...table, rows: held, f: learners.length }, { l2 }, options);
  const members: Member[] = [];
  for (const learner of learners) members.push(await fitOne(learner, table));
  return stacked(members, upper);
}

function stacked(members: readonly Member[], upper: LogisticModel): Stacked {
  return {
    upper,
    output: 'probability',
    predict(rows) {
      const each = members.map((member) => member.predict(rows));
      const features = Float32Array.from({ length: each[0]!.length * members.length }, (_, at) =>
        logOdds(each[at % members.length]![Math.floor(at / members.length)]!),
      );
      return predictLogistic(upper, features);
    },
    toOnnx() {
      const parts = members.map((member, i) => ({ name: `member_${i}`, bytes: member.toOnnx(), inputs: { features: 'features' } }));
      const answers = Object.fromEntries(parts.map(({ name }) => [name, `${name}.probability`]));
      return composeOnnx('stacking', [
        ...parts,
        { name: 'log_odds', bytes: logOddsGraph(members.length), inputs: answers },
        { name: 'upper', bytes: logisticToOnnx(upper), inputs: { features: 'log_odds.log_odds' } },
      ]);
    },
  };
}

function logOdds(probability: number): number {
  const p = Math.min(1 - PROBABILITY_MIN, Math.max(PROBABILITY_MIN, probability));
  return Math.log(p / (1 - p));
}

function logOddsGraph(members: number): Uint8Array {
  const graph = new GraphBuilder('log_odds');
  const names = Array.from({ length: members }, (_, i) => graph.input(`member_${i}`, 'float32', ['N', 1]));
  const side = graph.node('Concat', names, { axis: { i: 1 } });
  const p = graph.node('Clip', [side, graph.scalar(PROBABILITY_MIN), graph.scalar(1 - PROBABILITY_MIN)]);
  graph.node('Log', [graph.node('Div', [p, graph.node('Sub', [graph.scalar(1), p])])], {}, 'log_odds');
  graph.output('log_odds', 'float32', ['N', members]);
  return graph.toBytes();
}
