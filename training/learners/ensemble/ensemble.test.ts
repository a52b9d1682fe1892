import { describe, expect, test } from 'vitest';
import { rocAuc } from '../../evaluation/metrics.ts';
import { BINARY, expectClose, join, MESSY_PARAMS, messy, REAL, STRANGE, serve } from '../linear/linear.testing.ts';
import type { TableRows } from '../linear/table.ts';
import { seededRandom } from '../random.ts';
import { fitBagging, meanOf } from './bagging.ts';
import { gbdtMember, logisticMember, type Member, type MemberLearner, svmMember } from './member.ts';
import { fitStacking } from './stacking.ts';

const insufficient = expect.objectContaining({ code: 'training_data_insufficient' });
const TREES = { numIterations: 20, numLeaves: 6, minDataInLeaf: 10 };

function binary(n: number, seed: number): TableRows {
  const table = messy(n, seed);
  return { ...table, labels: table.labels.map((label) => Number(label > 0)) };
}

/** A straight part that lines follow and a corner that trees follow. */
function mixed(n: number, seed: number): TableRows {
  const random = seededRandom(seed);
  const rows = Float32Array.from({ length: n * 4 }, () => random.normal());
  const labels = Float32Array.from({ length: n }, (_, i) => {
    const [a, b, c, d] = rows.subarray(4 * i, 4 * i + 4);
    return Number(random.next() < 1 / (1 + Math.exp(-(a! + b! + 2 * Math.sign(c! * d!)))));
  });
  return { rows, n, f: 4, labels };
}

describe('bagging', () => {
  test('its answer is the mean of its members, served too', async () => {
    const table = binary(400, 1);
    const fitted: Member[] = [];
    const keep =
      (learner: MemberLearner): MemberLearner =>
      async (rows, options) => {
        expect(rows.n).toBe(200);
        fitted.push(await learner(rows, options));
        return fitted.at(-1)!;
      };
    const whole = await fitBagging(table, keep(gbdtMember(TREES)), { members: 4, sampleShare: 0.5 }, { seed: 1 });
    const rows = join(table.rows, STRANGE);
    const each = fitted.map((member) => member.predict(rows));
    expect(each[0]).not.toEqual(each[1]);
    expectClose(
      whole.predict(rows),
      each[0]!.map((_, i) => each.reduce((sum, values) => sum + values[i]! / 4, 0)),
      1e-6,
    );
    const { probability } = await serve(whole.toOnnx(), rows, 5);
    expectClose(probability!, whole.predict(rows), 1e-5);
  });

  test('unsteady learners gain by it', async () => {
    const [learned, fresh] = [binary(400, 1), binary(2000, 2)];
    const deep = gbdtMember({ numIterations: 30, learningRate: 0.5, numLeaves: 31, minDataInLeaf: 2 });
    const alone = rocAuc((await deep(learned, { seed: 1 })).predict(fresh.rows), fresh.labels);
    const many = rocAuc((await fitBagging(learned, deep, { members: 15 }, { seed: 1 })).predict(fresh.rows), fresh.labels);
    expect(many).toBeGreaterThan(alone + 0.01);
  });

  test('the same seed gives the same bytes; without replacement no row comes twice', async () => {
    const bytes = async (seed: number) => (await fitBagging(BINARY, logisticMember({}), { members: 3 }, { seed })).toOnnx();
    expect(await bytes(1)).toEqual(await bytes(1));
    expect(await bytes(1)).not.toEqual(await bytes(2));
    const table = { ...BINARY, rows: BINARY.rows.map((_, at) => Math.floor(at / 3)) };
    const check: MemberLearner = async (rows, options) => {
      expect(new Set(rows.rows).size).toBe(45);
      return logisticMember({})(rows, options);
    };
    await fitBagging(table, check, { members: 2, sampleShare: 0.75, replacement: false }, { seed: 1 });
  });

  test('scores that are no probabilities have a mean too', async () => {
    const whole = await fitBagging(REAL, gbdtMember({ ...TREES, objective: 'regression', minDataInLeaf: 3 }), { members: 3 }, { seed: 1 });
    const { score } = await serve(whole.toOnnx(), REAL.rows, 3);
    expectClose(score!, whole.predict(REAL.rows), 1e-5);
    const probability = await logisticMember({})(BINARY, { seed: 1 });
    expect(() => meanOf([whole, probability])).toThrow(RangeError);
  });

  test('refuses what it cannot learn from', async () => {
    await expect(fitBagging({ ...BINARY, labels: new Float32Array(60) }, logisticMember({}), {}, { seed: 1 })).rejects.toThrow(insufficient);
    await expect(fitBagging(BINARY, logisticMember({}), { members: 0 }, { seed: 1 })).rejects.toThrow(RangeError);
    await expect(fitBagging(BINARY, logisticMember({}), { sampleShare: 0 }, { seed: 1 })).rejects.toThrow(RangeError);
  });
});

describe('stacking', () => {
  test('lines and trees together see more than either', async () => {
    const [learned, fresh] = [mixed(1500, 1), mixed(3000, 2)];
    const line = logisticMember({});
    const trees = gbdtMember({ numIterations: 40, numLeaves: 4, minDataInLeaf: 20 });
    const auc = (member: Member) => rocAuc(member.predict(fresh.rows), fresh.labels);
    const [alone, grown, both] = [
      await line(learned, { seed: 1 }),
      await trees(learned, { seed: 1 }),
      await fitStacking(learned, [line, trees], {}, { seed: 1 }),
    ];
    expect(auc(both)).toBeGreaterThan(Math.max(auc(alone), auc(grown)) + 0.003);
  });

  test('a member that knows its own rows by heart and nothing else gets no weight', async () => {
    const table = binary(600, 3);
    const byHeart: MemberLearner = async (rows, options) => {
      const inner = await logisticMember({})(rows, options);
      const known = new Map(Array.from(rows.labels, (label, row) => [rows.rows.slice(row * 5, row * 5 + 5).join(), label]));
      const predict = (given: Float32Array) =>
        Float32Array.from({ length: given.length / 5 }, (_, row) => known.get(given.slice(row * 5, row * 5 + 5).join()) ?? 0.5);
      return { ...inner, predict };
    };
    const { upper } = await fitStacking(table, [byHeart, logisticMember(MESSY_PARAMS)], {}, { seed: 1 });
    expect(Math.abs(upper.coefficients[0]!)).toBeLessThan(0.02);
    expect(upper.coefficients[1]).toBeGreaterThan(0.5);
  });

  test('served, it answers as the trainer does', async () => {
    const table = binary(400, 5);
    const learners = [logisticMember(MESSY_PARAMS), svmMember(MESSY_PARAMS), gbdtMember(TREES)];
    const calls: string[] = [];
    const whole = await fitStacking(table, learners, { folds: 3 }, { seed: 1, progress: (done, total) => calls.push(`${done}/${total}`) });
    const rows = join(table.rows, STRANGE);
    const { probability } = await serve(whole.toOnnx(), rows, 5);
    expectClose(probability!, whole.predict(rows), 1e-5);
    expect(calls.filter((call) => call.endsWith('/12'))).toEqual(Array.from({ length: 12 }, (_, i) => `${i + 1}/12`));
  });

  test('refuses what it cannot learn from', async () => {
    const three = messy(60, 1);
    await expect(fitStacking(three, [logisticMember({})], {}, { seed: 1 })).rejects.toThrow(insufficient);
    await expect(fitStacking(BINARY, [], {}, { seed: 1 })).rejects.toThrow(RangeError);
    const foldOf = BINARY.labels;
    await expect(fitStacking(BINARY, [logisticMember({})], { folds: 2, foldOf }, { seed: 1 })).rejects.toThrow(insufficient);
  });
});
