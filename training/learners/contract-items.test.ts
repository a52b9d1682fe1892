import type { Item } from '../../contracts/item.ts';
import { loadOnnx } from '../../scoring/models/onnx.ts';
import { fitAls } from './als.ts';
import { fitBpr } from './bpr.ts';
import { fitContent } from './content.ts';
import { bytesOf, type Fitted, type LearnerUnderTest, learnerSuite, type Outcome } from './contract.suite.ts';
import { EASE_ITEMS_MAX, fitEase } from './ease.ts';
import { fitItemKnn } from './itemKnn.ts';
import type { EncoderName } from './neural/encoders.ts';
import { fitNextItem } from './neural/nextItem.ts';
import { nextItemToOnnx } from './neural/nextItemServing.ts';
import { fitTwoTower, type TwoTowerRows } from './neural/twoTower.ts';
import { queryTowerToOnnx } from './neural/twoTowerModel.ts';
import type { SequenceRows } from './neural/windows.ts';
import { seededRandom } from './random.ts';
import { type SparseRows, TABLE_VALUES_MAX } from './sparse.ts';
import { fitUserKnn, userKnnScores } from './userKnn.ts';
import { fitVmis, type SessionRows, VMIS_ITEMS_MAX } from './vmis.ts';

const USERS = 40;
const ITEMS = 12;
const TEN_MILLION = 10_000_000;
const INSUFFICIENT = 'training_data_insufficient';
const TOO_LARGE = 'training_data_too_large';

/** Who met what; rows are users, baskets or sessions, as the learner says. */
interface Meetings extends SparseRows {
  readonly users: number;
  readonly rows: number;
  readonly items: number;
}

function matrix(rows: readonly (readonly number[])[], items: number): Meetings {
  const indices = Uint32Array.from(rows.flat());
  const indptr = new Uint32Array(rows.length + 1);
  for (const [i, row] of rows.entries()) indptr[i + 1] = indptr[i]! + row.length;
  return { users: rows.length, rows: rows.length, items, indptr, indices, values: new Float32Array(indices.length).fill(1) };
}

function meetings(): Meetings {
  const random = seededRandom(3);
  const rows = Array.from({ length: USERS }, (_, user) => {
    const taste = Array.from({ length: ITEMS }, (_, item) => item).filter((item) => random.next() < (item % 2 === user % 2 ? 0.6 : 0.1));
    return taste.length > 0 ? taste : [user % ITEMS];
  });
  return matrix(rows, ITEMS);
}

function wide(): Meetings {
  return matrix([[3, 9_999_998], [3, 77, 9_999_998], [77]], TEN_MILLION);
}

function matrixLearner(
  name: string,
  learn: LearnerUnderTest<Meetings>['learn'],
  vocabulary: { readonly outcome: Outcome; readonly says?: string },
  threaded = false,
): LearnerUnderTest<Meetings> {
  return {
    name,
    good: meetings,
    learn,
    threaded,
    bad: {
      empty: { data: () => matrix([[], []], ITEMS), outcome: INSUFFICIENT },
      'missing values': { data: () => ({ ...meetings(), values: meetings().values.fill(Number.NaN, 4, 5) }), outcome: INSUFFICIENT, says: 'NaN' },
      'infinite values': { data: () => ({ ...meetings(), values: meetings().values.fill(Infinity, 4, 5) }), outcome: INSUFFICIENT, says: 'Infinity' },
      duplicates: { data: () => matrix([[1, 2, 2], [1, 3], [0]], ITEMS), outcome: INSUFFICIENT, says: 'twice' },
      'vocabulary of ten million': { data: wide, ...vocabulary },
    },
  };
}

const tableLimit = { outcome: TOO_LARGE, says: `${TABLE_VALUES_MAX}` } as const;
/** The factors of the good case are few; ten million items are asked for with the default. */
const factorsOf = ({ items }: Meetings) => (items === ITEMS ? { factors: 8 } : {});

const MATRIX_LEARNERS = [
  matrixLearner(
    'als',
    async (data, options) => {
      const model = await fitAls(data, { ...factorsOf(data), iterations: 3 }, options);
      return { bytes: bytesOf(model), answers: Float32Array.of(...model.userFactors, ...model.itemFactors) };
    },
    tableLimit,
    true,
  ),
  matrixLearner(
    'ease',
    async (data, options) => {
      const model = await fitEase(data, { lambda: 10 }, options);
      return { bytes: bytesOf(model), answers: model.weights };
    },
    { outcome: TOO_LARGE, says: `${EASE_ITEMS_MAX}` },
    true,
  ),
  matrixLearner(
    'itemKnn',
    (data, options) => {
      const model = fitItemKnn(data, { k: 5 }, options);
      return { bytes: data.items === ITEMS ? bytesOf(model) : new Uint8Array(1), answers: model.similarities };
    },
    { outcome: 'learned' },
  ),
  matrixLearner(
    'userKnn',
    (data, options) => {
      const model = fitUserKnn(data, { k: 5 }, options);
      return { bytes: data.items === ITEMS ? bytesOf(model) : new Uint8Array(1), answers: userKnnScores(model, [3], [1]) };
    },
    { outcome: 'learned' },
  ),
  matrixLearner(
    'bpr',
    (data, options) => {
      const model = fitBpr(data, { ...factorsOf(data), iterations: 3 }, options);
      return { bytes: bytesOf(model), answers: Float32Array.of(...model.userFactors, ...model.itemFactors, ...model.itemBiases) };
    },
    tableLimit,
  ),
];
for (const learner of MATRIX_LEARNERS) learnerSuite(learner);

/** Ids without ten million strings behind them: only their number is looked at before the refusal. */
function idsOf(count: number): string[] {
  return count === ITEMS ? Array.from({ length: count }, (_, item) => `i${item}`) : new Array<string>(count);
}

const asSessions = ({ indptr, indices, items }: Meetings): SessionRows => ({ indptr, indices, ids: idsOf(items) });

learnerSuite<SessionRows>({
  name: 'vmis',
  good: () => asSessions(meetings()),
  learn: (data, options) => {
    const index = fitVmis(data, {}, options);
    return { bytes: bytesOf(index.table), answers: index.table.items };
  },
  bad: {
    empty: { data: () => asSessions(matrix([], ITEMS)), outcome: INSUFFICIENT },
    'one class': { data: () => asSessions(matrix([[1], [2]], ITEMS)), outcome: INSUFFICIENT },
    // A click that comes again is a click: sessions are sequences.
    duplicates: {
      data: () =>
        asSessions(
          matrix(
            [
              [1, 2, 2],
              [1, 1],
            ],
            ITEMS,
          ),
        ),
      outcome: 'learned',
    },
    'vocabulary of ten million': { data: () => asSessions(wide()), outcome: TOO_LARGE, says: `${VMIS_ITEMS_MAX}` },
  },
});

function catalogue(): Item[] {
  return Array.from({ length: ITEMS }, (_, i) => ({ item_id: `i${i}`, title: `shirt number ${i % 5}`, brand: `b${i % 3}` }));
}

learnerSuite<Item[]>({
  name: 'content',
  good: catalogue,
  learn: (data, options) => {
    const model = fitContent(data, { buckets: 256, dimensions: 16 }, options);
    return { bytes: bytesOf(model), answers: model.idf };
  },
  bad: {
    empty: { data: () => [], outcome: INSUFFICIENT },
    'all-missing column': { data: () => [{ item_id: 'a' }, { item_id: 'b' }], outcome: INSUFFICIENT },
    'missing values': { data: () => [...catalogue(), { item_id: 'bare' }], outcome: 'learned' },
    duplicates: { data: () => [...catalogue(), ...catalogue()], outcome: 'learned' },
  },
});

/** A model that takes item numbers asks for lists with gaps, an unknown number and one that is far outside. */
async function asked(bytes: Uint8Array, length: number): Promise<Fitted> {
  const lists = [[1, 2, 3], [], [5, -1, 7], [99], [TEN_MILLION, 4]];
  const data = new BigInt64Array(lists.length * length).fill(-1n);
  for (const [row, list] of lists.entries()) for (const [at, item] of list.entries()) data[row * length + at] = BigInt(item);
  const model = await loadOnnx(bytes);
  try {
    return { bytes, answers: (await model.run({ items: { data, dims: [lists.length, length] } })).query!.data as Float32Array };
  } finally {
    await model.release();
  }
}

const asSequences = ({ indptr, indices, items }: Meetings): SequenceRows => ({ indptr, clicks: indices, items });
const SHORT = { width: 8, epochs: 1, batchSize: 16 };

for (const encoder of ['gru', 'lstm', 'sasrec', 'cnn'] satisfies EncoderName[]) {
  learnerSuite<SequenceRows>({
    name: `next item, ${encoder}`,
    good: () => asSequences(meetings()),
    learn: async (data, options) => {
      const params = data.items === ITEMS ? { ...SHORT, lengthMax: 6, negatives: 8 } : {};
      return asked(nextItemToOnnx(await fitNextItem(data, { ...params, encoder }, options)), 6);
    },
    bad: {
      empty: { data: () => asSequences(matrix([], ITEMS)), outcome: INSUFFICIENT },
      'one class': { data: () => asSequences(matrix([[1], [2]], ITEMS)), outcome: INSUFFICIENT },
      duplicates: {
        data: () =>
          asSequences(
            matrix(
              [
                [1, 2, 2],
                [1, 1],
                [3, 3, 3],
              ],
              ITEMS,
            ),
          ),
        outcome: 'learned',
      },
      'vocabulary of ten million': { data: () => asSequences(wide()), ...tableLimit },
    },
  });
}

/** Each meeting but the first of a user is a target, after those before it; one feature of the query. */
function pairs(rows: Meetings, feature: (pair: number) => number = (pair) => pair % 3): TwoTowerRows {
  const [targets, history, historyPtr]: [number[], number[], number[]] = [[], [], [0]];
  for (let user = 0; user < rows.users; user++) {
    const met = rows.indices.subarray(rows.indptr[user]!, rows.indptr[user + 1]!);
    for (let i = 1; i < met.length; i++) {
      targets.push(met[i]!);
      history.push(...met.subarray(0, i));
      historyPtr.push(history.length);
    }
  }
  return {
    items: rows.items,
    targets: Uint32Array.from(targets),
    history: Uint32Array.from(history),
    historyPtr: Uint32Array.from(historyPtr),
    queryFeatures: Float32Array.from(targets, (_, pair) => feature(pair)),
    queryWidth: 1,
    itemFeatures: new Float32Array(0),
    itemWidth: 0,
  };
}

learnerSuite<TwoTowerRows>({
  name: 'two-tower',
  good: () => pairs(meetings()),
  learn: async (data, options) => {
    const model = await fitTwoTower(data, data.items === ITEMS ? { ...SHORT, hidden: [8], historyMax: 6 } : {}, options);
    const bytes = queryTowerToOnnx(model);
    const onnx = await loadOnnx(bytes);
    try {
      const features = { data: Float32Array.of(1, Number.NaN, Number.POSITIVE_INFINITY), dims: [3, 1] };
      const items = { data: new BigInt64Array(18).fill(-1n).fill(99n, 0, 2).fill(4n, 6, 8), dims: [3, 6] };
      return { bytes, answers: (await onnx.run({ items, features })).query!.data as Float32Array };
    } finally {
      await onnx.release();
    }
  },
  bad: {
    empty: { data: () => pairs(matrix([], ITEMS)), outcome: INSUFFICIENT },
    'constant column': { data: () => pairs(meetings(), () => 4), outcome: 'learned' },
    'all-missing column': { data: () => pairs(meetings(), () => Number.NaN), outcome: 'learned' },
    'missing values': { data: () => pairs(meetings(), (pair) => (pair % 4 ? 1 : Number.NaN)), outcome: 'learned' },
    'infinite values': { data: () => pairs(meetings(), (pair) => (pair % 4 ? pair : Infinity)), outcome: 'learned' },
    duplicates: {
      data: () =>
        pairs(
          matrix(
            [
              [1, 2, 2],
              [1, 1],
              [3, 3, 3],
            ],
            ITEMS,
          ),
        ),
      outcome: 'learned',
    },
    'vocabulary of ten million': { data: () => pairs(wide()), ...tableLimit },
  },
});
