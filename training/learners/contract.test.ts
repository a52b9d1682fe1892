import { treeEnsembleToOnnx } from '../onnx/treeEnsemble.ts';
import { type BadData, type Case, type Fitted, type LearnerUnderTest, learnerSuite, type Outcome } from './contract.suite.ts';
import { fitBagging } from './ensemble/bagging.ts';
import { logisticMember, type Member, svmMember } from './ensemble/member.ts';
import { fitStacking } from './ensemble/stacking.ts';
import { fitDecisionTree, fitForest } from './forest/forest.ts';
import { fitGbdt } from './gbdt/fit.ts';
import { predict } from './gbdt/predict.ts';
import { join, MESSY_PARAMS, messy, STRANGE, serve } from './linear/linear.testing.ts';
import { fitLogistic, logisticToOnnx, predictLogistic } from './linear/logistic.ts';
import { fitPoisson, poissonToOnnx, predictPoisson } from './linear/poisson.ts';
import { fitLinearRegression, linearRegressionToOnnx, predictLinearRegression } from './linear/regression.ts';
import { fitSvm, predictSvm, svmToOnnx } from './linear/svm.ts';
import type { TableRows } from './linear/table.ts';
import { autoencoderToOnnx, fitAutoencoder } from './neural/autoencoder.ts';
import { fitMlp, mlpToOnnx } from './neural/mlp.ts';

const F = 5;

function table(): TableRows {
  const rows = messy(120, 3);
  return { ...rows, labels: rows.labels.map((label) => Number(label > 0)) };
}

function withColumn(column: number, value: number): TableRows {
  const rows = table();
  return { ...rows, rows: rows.rows.map((x, at) => (at % F === column ? value : x)) };
}

/** Both infinities, here and there in one column. */
function withInfinities(): TableRows {
  const rows = table();
  return {
    ...rows,
    rows: rows.rows.map((x, at) => (at % (7 * F) === 0 ? Number.POSITIVE_INFINITY : at % (11 * F) === 0 ? Number.NEGATIVE_INFINITY : x)),
  };
}

/** Each row twice, as an import that ran twice leaves them. */
function twice(): TableRows {
  const { rows, n, f, labels } = table();
  return { rows: join(rows, rows), n: 2 * n, f, labels: join(labels, labels) };
}

/** Of a table: all cases, with what this learner makes of one class. */
function tableCases(oneClass: Outcome): Partial<Record<BadData, Case<TableRows>>> {
  const learned = (data: () => TableRows): Case<TableRows> => ({ data, outcome: 'learned' });
  return {
    empty: { data: () => ({ rows: new Float32Array(0), n: 0, f: F, labels: new Float32Array(0) }), outcome: 'training_data_insufficient' },
    'one class': { data: () => ({ ...table(), labels: new Float32Array(120) }), outcome: oneClass },
    'constant column': learned(() => withColumn(4, 1e6)),
    'all-missing column': learned(() => withColumn(0, Number.NaN)),
    'missing values': learned(table),
    'infinite values': learned(withInfinities),
    duplicates: learned(twice),
  };
}

type TableFit = LearnerUnderTest<TableRows>['learn'];

function tableLearner(name: string, oneClass: Outcome, learn: TableFit, threaded = false): LearnerUnderTest<TableRows> {
  return { name, good: table, learn, bad: tableCases(oneClass), threaded };
}

/** Own answers and those of the file, to the rows that were learned and to strange ones. */
async function fitted(data: TableRows, bytes: Uint8Array, output: string, own: (rows: Float32Array) => ArrayLike<number>): Promise<Fitted> {
  const rows = join(data.rows, STRANGE);
  return { bytes, answers: own(rows), served: (await serve(bytes, rows, F))[output]! };
}

/** A network has no forward pass but the served one. */
async function servedAlone(data: TableRows, bytes: Uint8Array): Promise<Fitted> {
  return { bytes, answers: (await serve(bytes, join(data.rows, STRANGE), F)).score! };
}

const member = (data: TableRows, made: Member) => fitted(data, made.toOnnx(), 'probability', made.predict);
const SMALL = { epochs: 2, batchSize: 32 };
const TREES = { numIterations: 8, numLeaves: 6, minDataInLeaf: 5, categoricalFeature: [3] };

const TABLE_LEARNERS: readonly LearnerUnderTest<TableRows>[] = [
  tableLearner(
    'gbdt',
    'training_data_insufficient',
    async (data, options) => {
      const model = await fitGbdt(data, TREES, options);
      return fitted(data, treeEnsembleToOnnx(model), 'probability', (rows) => predict(model, rows));
    },
    true,
  ),
  tableLearner(
    'forest',
    'training_data_insufficient',
    async (data, options) => {
      const model = await fitForest(data, { nEstimators: 6 }, options);
      return fitted(data, treeEnsembleToOnnx(model), 'score', (rows) => predict(model, rows));
    },
    true,
  ),
  tableLearner(
    'single tree',
    'training_data_insufficient',
    async (data, options) => {
      const model = await fitDecisionTree(data, {}, options);
      return fitted(data, treeEnsembleToOnnx(model), 'score', (rows) => predict(model, rows));
    },
    true,
  ),
  tableLearner('ridge regression', 'learned', async (data, options) => {
    const model = fitLinearRegression(data, MESSY_PARAMS, options);
    return fitted(data, linearRegressionToOnnx(model), 'score', (rows) => predictLinearRegression(model, rows));
  }),
  ...([{ l2: 1 }, { l2: 0, l1: 2 }] as const).map((params) =>
    tableLearner(`logistic, ${'l1' in params ? 'L1' : 'L2'}`, 'training_data_insufficient', async (data, options) => {
      const model = fitLogistic(data, { ...MESSY_PARAMS, ...params }, options);
      return fitted(data, logisticToOnnx(model), 'probability', (rows) => predictLogistic(model, rows));
    }),
  ),
  tableLearner('svm with Platt', 'training_data_insufficient', async (data, options) => {
    const model = fitSvm(data, MESSY_PARAMS, options);
    return fitted(data, svmToOnnx(model), 'probability', (rows) => predictSvm(model, rows));
  }),
  tableLearner('poisson', 'training_data_insufficient', async (data, options) => {
    const model = fitPoisson(data, MESSY_PARAMS, options);
    return fitted(data, poissonToOnnx(model), 'mean', (rows) => predictPoisson(model, rows));
  }),
  tableLearner('mlp', 'training_data_insufficient', async (data, options) =>
    servedAlone(data, mlpToOnnx(await fitMlp(data, { ...SMALL, hidden: [8] }, options))),
  ),
  tableLearner('autoencoder', 'learned', async (data, options) =>
    servedAlone(data, autoencoderToOnnx(await fitAutoencoder(data, { ...SMALL, hidden: 6, code: 2 }, options))),
  ),
  tableLearner('bagging', 'training_data_insufficient', async (data, options) =>
    member(data, await fitBagging(data, logisticMember(MESSY_PARAMS), { members: 2 }, options)),
  ),
  tableLearner('stacking', 'training_data_insufficient', async (data, options) =>
    member(data, await fitStacking(data, [logisticMember(MESSY_PARAMS), svmMember(MESSY_PARAMS)], { folds: 2 }, options)),
  ),
];

// The autoencoder looks at no label, and a constant is a line too: these two learn from one class. Strange rows hold infinities for all of them.
for (const learner of TABLE_LEARNERS) learnerSuite(learner);
