import { loadOnnx } from '../../scoring/models/onnx.ts';
import { createTermCounter, termTensors } from '../../scoring/text/terms.ts';
import { kmeansToOnnx, projectionToOnnx } from '../onnx/clusters.ts';
import { isolationForestToOnnx } from '../onnx/isolationForest.ts';
import { fitIsolationForest, isolationScores } from './anomaly/isolationForest.ts';
import { assign, fitKMeans, type KMeansModel } from './cluster/kmeans.ts';
import { fitMiniBatchKMeans } from './cluster/miniBatchKmeans.ts';
import { cut, fitWard } from './cluster/ward.ts';
import { bytesOf, type Fitted, type LearnerUnderTest, learnerSuite } from './contract.suite.ts';
import { fitFastIca } from './decompose/fastIca.ts';
import { fitPca, type Projection, project } from './decompose/pca.ts';
import { serve } from './linear/linear.testing.ts';
import { seededRandom } from './random.ts';
import { fitSeries, SERIES_MODELS, type SeriesModelName } from './series/fitSeries.ts';
import { fitText, predictText, type TextRows, textToOnnx } from './text/text.ts';

interface Points {
  readonly values: Float32Array;
  readonly columns: number;
}

const COLUMNS = 4;

/** Two clouds whose columns are uneven, so that independent components exist. */
function points(): Points {
  const random = seededRandom(5);
  const values = new Float32Array(90 * COLUMNS);
  for (let i = 0; i < 90; i++) {
    const [a, b, c] = [random.next() - 0.5, random.next() ** 3, i % 2];
    values.set([a + b, a - b, 3 * c + a, b + c + 0.1 * random.next()], i * COLUMNS);
  }
  return { values, columns: COLUMNS };
}

/** Points with column 0 changed as `of` says. */
function changed(of: (x: number, row: number) => number): () => Points {
  return () => {
    const { values, columns } = points();
    return { values: values.map((x, at) => (at % columns === 0 ? of(x, at / columns) : x)), columns };
  };
}

function twice(): Points {
  const { values, columns } = points();
  return { values: Float32Array.of(...values, ...values), columns };
}

function pointLearner(name: string, learn: LearnerUnderTest<Points>['learn'], bad: LearnerUnderTest<Points>['bad'] = {}): LearnerUnderTest<Points> {
  const refused = (data: () => Points, says: string) => ({ data, outcome: 'training_data_insufficient', says }) as const;
  return {
    name,
    good: points,
    learn,
    bad: {
      empty: refused(() => ({ values: new Float32Array(0), columns: COLUMNS }), 'rows'),
      'constant column': { data: changed(() => 3), outcome: 'learned' },
      'all-missing column': refused(
        changed(() => Number.NaN),
        'NaN',
      ),
      'missing values': refused(
        changed((x, row) => (row === 7 ? Number.NaN : x)),
        'NaN',
      ),
      'infinite values': refused(
        changed((x, row) => (row === 7 ? Number.POSITIVE_INFINITY : x)),
        'Infinity',
      ),
      duplicates: { data: twice, outcome: 'learned' },
      ...bad,
    },
  };
}

async function clusters({ values }: Points, model: KMeansModel): Promise<Fitted> {
  const bytes = kmeansToOnnx(model);
  // int64 labels come as BigInt64Array.
  return { bytes, answers: assign(model, values), served: Array.from((await serve(bytes, values, COLUMNS)).cluster!, Number) };
}

async function projected({ values }: Points, model: Projection): Promise<Fitted> {
  const bytes = projectionToOnnx(model);
  return { bytes, answers: project(model, values), served: (await serve(bytes, values, COLUMNS)).components! };
}

const POINT_LEARNERS = [
  pointLearner('k-means', (data, options) => clusters(data, fitKMeans(data, { clusters: 2, starts: 2 }, options))),
  pointLearner('mini-batch k-means', (data, options) => clusters(data, fitMiniBatchKMeans(data, { clusters: 2, batch: 32, steps: 20 }, options))),
  pointLearner('Ward', (data) => {
    const model = fitWard(data, {}, {});
    return { bytes: bytesOf(model), answers: cut(model, 3) };
  }),
  pointLearner('PCA', (data, options) => projected(data, fitPca(data, { components: 2 }, options))),
  pointLearner('FastICA', (data, options) => projected(data, fitFastIca(data, { components: 2 }, options))),
  pointLearner(
    'isolation forest',
    async (data, options) => {
      const model = fitIsolationForest(data, { trees: 20, sampleRows: 32 }, options);
      const bytes = isolationForestToOnnx(model);
      const rows = data.values.map((x, at) => (at % 13 === 0 ? Number.NaN : x));
      return { bytes, answers: isolationScores(model, rows), served: (await serve(bytes, rows, COLUMNS)).score! };
    },
    {
      'all-missing column': { data: changed(() => Number.NaN), outcome: 'learned' },
      'missing values': { data: changed((x, row) => (row === 7 ? Number.NaN : x)), outcome: 'learned' },
    },
  ),
];
for (const learner of POINT_LEARNERS) learnerSuite(learner);

const PERIOD = 6;

/** Two years and a half of a season with a trend. */
function series(): Float64Array {
  return Float64Array.from({ length: 5 * PERIOD }, (_, t) => 20 + t / 4 + 5 * Math.sin((2 * Math.PI * t) / PERIOD) + ((t * 7) % 5) / 5);
}

function seriesLearner(model: SeriesModelName): LearnerUnderTest<Float64Array> {
  return {
    name: `series: ${model}`,
    good: series,
    learn: (values, { seed }) => {
      const forecast = fitSeries(values, { period: PERIOD, horizon: 4, seed, model });
      return { bytes: bytesOf(forecast), answers: [...forecast.mean, ...forecast.lower, ...forecast.upper] };
    },
    bad: {
      empty: { data: () => new Float64Array(0), outcome: 'training_data_insufficient' },
      'constant column': { data: () => new Float64Array(30).fill(4), outcome: 'learned' },
      'all-missing column': { data: () => new Float64Array(30).fill(Number.NaN), outcome: 'training_data_insufficient' },
      'missing values': { data: () => series().map((x, t) => (t % 7 === 3 ? Number.NaN : x)), outcome: 'learned' },
      'infinite values': { data: () => series().with(9, Number.NEGATIVE_INFINITY), outcome: 'training_data_insufficient', says: '-Infinity' },
    },
  };
}

for (const model of Object.keys(SERIES_MODELS) as SeriesModelName[]) learnerSuite(seriesLearner(model));

function reviews(): TextRows {
  const words = ['good', 'bad', 'soft', 'tight', 'love it', 'returned', 'colour', 'size'];
  const random = seededRandom(2);
  const labels = Float32Array.from({ length: 60 }, (_, i) => i % 2);
  return { texts: Array.from(labels, (label) => `${label ? 'good' : 'bad'} ${words[random.int(8)]} ${words[random.int(8)]}`), labels };
}

function textLearner(classifier: 'logistic' | 'svm'): LearnerUnderTest<TextRows> {
  return {
    name: `text, ${classifier}`,
    good: reviews,
    learn: async ({ texts, labels }, options) => {
      const model = fitText({ texts, labels }, { classifier, minDf: 1, maxDf: 1 }, options);
      const bytes = textToOnnx(model);
      // No term at all, and terms that were never met.
      const asked = [...texts, '', 'an unseen word'];
      const onnx = await loadOnnx(bytes);
      try {
        const { probability } = await onnx.run(termTensors(asked.map(createTermCounter(model.terms))));
        return { bytes, answers: predictText(model, asked), served: probability!.data as Float32Array };
      } finally {
        await onnx.release();
      }
    },
    bad: {
      empty: { data: () => ({ texts: [], labels: new Float32Array(0) }), outcome: 'training_data_insufficient' },
      'one class': { data: () => ({ ...reviews(), labels: new Float32Array(60) }), outcome: 'training_data_insufficient' },
      'all-missing column': { data: () => ({ ...reviews(), texts: new Array<string>(60).fill('') }), outcome: 'training_data_insufficient' },
      'missing values': { data: () => ({ ...reviews(), texts: reviews().texts.with(3, '') }), outcome: 'learned' },
      duplicates: {
        data: () => ({ texts: [...reviews().texts, ...reviews().texts], labels: Float32Array.of(...reviews().labels, ...reviews().labels) }),
        outcome: 'learned',
      },
    },
  };
}

learnerSuite(textLearner('logistic'));
learnerSuite(textLearner('svm'));
