import { describe, expect, test } from 'vitest';
import type { ModelAdapter } from '../../contracts/bundle.ts';
import { GatehouseError } from '../../contracts/errors.ts';
import { adaptModel, checkTensors, loadRefusal, probabilityOf, requireMeaning } from './adapter.ts';
import type { OnnxModel, Tensor } from './onnx.ts';

const NAMES = ['a', 'b', 'c', 'd'];
const ADAPTER: ModelAdapter = { features: ['c', 'a'], input: 'x', output: 'y', meaning: 'log_odds' };
const input = { name: 'x', type: 'float32', dims: ['n', 2] };
const output = { name: 'y', type: 'float32', dims: ['n', 1] };

/** A model that gives `columns` values a row, each of `of(row)`; what it was fed is kept. */
function fake(of: (row: number[]) => number[]): Pick<OnnxModel, 'run'> & { fed: Float32Array[]; asked: unknown[] } {
  const fed: Float32Array[] = [];
  const asked: unknown[] = [];
  return {
    fed,
    asked,
    async run(feeds, outputs): Promise<Record<string, Tensor>> {
      const { data, dims } = feeds['x'] as { data: Float32Array; dims: readonly number[] };
      fed.push(data);
      asked.push(outputs);
      const [n, k] = dims as [number, number];
      const answers = Array.from({ length: n }, (_, i) => of([...data.subarray(i * k, (i + 1) * k)]));
      return { y: { data: Float32Array.from(answers.flat()), dims: [n, answers[0]!.length] } };
    },
  };
}

describe('a model of others', () => {
  test('is fed its columns in its order and asked for its output alone', async () => {
    const model = fake(([c, a]) => [10 * c! + a!]);
    const { run } = adaptModel('m.onnx', model, ADAPTER, NAMES);
    expect([...(await run(Float32Array.of(1, 2, 3, 4, 5, 6, 7, 8), 2))]).toEqual([31, 75]);
    expect(model.fed).toEqual([Float32Array.of(3, 1, 7, 5)]);
    expect(model.asked).toEqual([['y']]);
  });

  test.each<[string, Partial<ModelAdapter>, number]>([
    ['the last of two of a probability', { meaning: 'probability' }, 0.25],
    ['the first, when it is named', { meaning: 'probability', column: 0 }, 0.75],
  ])('is read at %s', async (_, change, expected) => {
    const { run } = adaptModel(
      'm.onnx',
      fake(() => [0.75, 0.25]),
      { ...ADAPTER, ...change },
      NAMES,
    );
    expect([...(await run(new Float32Array(8), 2))]).toEqual([expected, expected]);
  });

  test.each<[string, Partial<ModelAdapter>, number[], string]>([
    ['two columns of log-odds', {}, [1, 2], 'say in "column"'],
    ['three columns', { meaning: 'probability' }, [0.1, 0.2, 0.7], 'say in "column"'],
    ['a column that is not there', { column: 2 }, [1, 2], 'there is no column 2'],
    ['nothing', {}, [], 'has 0 values for 2 rows'],
  ])('is refused for %s', async (_, change, answer, message) => {
    const { run } = adaptModel(
      'm.onnx',
      fake(() => answer),
      { ...ADAPTER, ...change },
      NAMES,
    );
    await expect(run(new Float32Array(8), 2)).rejects.toThrow(message);
  });

  test.each<[Partial<ModelAdapter>, string]>([
    [{ features: ['c', 'x'] }, 'reads x'],
    [{ features: ['c', 'c'] }, 'twice'],
    [{ reference: [1] }, '1 reference values for 2 features'],
  ])('whose adapter is wrong is refused: %j', (change, message) => {
    expect(() =>
      adaptModel(
        'm.onnx',
        fake(() => [0]),
        { ...ADAPTER, ...change },
        NAMES,
      ),
    ).toThrow(message);
  });
});

describe('occlusion', () => {
  const logit = ([c = 0, a = 0]: number[]) => 2 * c - (Number.isNaN(a) ? 5 : a) + c * (Number.isNaN(a) ? 0 : a);

  test('is the log-odds less those with one feature alone at its reference, in one run', async () => {
    const model = fake((row) => [logit(row)]);
    const { occlusion } = adaptModel('m.onnx', model, { ...ADAPTER, reference: [0.5, null] }, NAMES);
    const contributions = await occlusion!(Float32Array.of(3, 9, 4, 9));
    const whole = logit([4, 3]);
    expect([...contributions]).toEqual([whole - logit([4, Number.NaN]), 0, whole - logit([0.5, 3]), 0]);
    expect(model.fed).toHaveLength(1);
  });

  test('of a probability is in log-odds, too, and finite at 0 and 1', async () => {
    const adapter: ModelAdapter = { ...ADAPTER, meaning: 'probability', reference: [0, 0] };
    const steep = adaptModel(
      'm.onnx',
      fake(([c]) => [c! > 0 ? 1 : 0]),
      adapter,
      NAMES,
    );
    const [a, , c] = await steep.occlusion!(Float32Array.of(1, 1, 1, 1));
    expect(a).toBe(0);
    expect(c).toBeCloseTo(2 * Math.log((1 - 1e-7) / 1e-7), 3);
  });

  test('needs a reference', () => {
    expect(
      adaptModel(
        'm.onnx',
        fake(() => [0]),
        ADAPTER,
        NAMES,
      ).occlusion,
    ).toBeUndefined();
  });
});

describe('what an output means', () => {
  const probability: ModelAdapter = { ...ADAPTER, meaning: 'probability' };

  test('rounding is put right, anything else outside of 0..1 is no probability', () => {
    expect(probabilityOf(probability, 1 + 1e-7)).toBe(1);
    expect(probabilityOf(probability, -1e-7)).toBe(0);
    for (const value of [1.01, -0.01, Number.NaN, Number.POSITIVE_INFINITY]) expect(probabilityOf(probability, value)).toBeNaN();
    expect(probabilityOf(ADAPTER, 0)).toBe(0.5);
  });

  test('is checked with what to do about it', () => {
    const check = (adapter: ModelAdapter, value: number) => () => requireMeaning('m.onnx', adapter, Float32Array.of(0.5, value));
    expect(check(probability, Number.NaN)).toThrow('put an imputer inside');
    expect(check(probability, 1.5)).toThrow('is it a log-odds?');
    expect(check(ADAPTER, Number.NEGATIVE_INFINITY)).toThrow('gave -Infinity');
    expect(check(ADAPTER, 1.5)).not.toThrow();
    expect(check(probability, 1)).not.toThrow();
  });
});

describe('the tensors of a file', () => {
  const check = (change: { inputs?: object[]; outputs?: object[]; adapter?: Partial<ModelAdapter> }) => () =>
    checkTensors('m.onnx', { ...ADAPTER, ...change.adapter }, (change.inputs ?? [input]) as never, (change.outputs ?? [output]) as never);

  test.each<[string, Parameters<typeof check>[0]]>([
    ['as they should be', {}],
    ['sizes without a name', { inputs: [{ ...input, dims: ['', 2] }] }],
    ['a flat output', { outputs: [{ ...output, dims: ['n'] }] }],
    ['an output without a shape', { outputs: [{ ...output, dims: [] }] }],
    ['other outputs of other types', { outputs: [{ name: 'label', type: 'string', dims: ['n'] }, output] }],
  ])('pass: %s', (_, change) => {
    expect(check(change)).not.toThrow();
  });

  test.each<[string, Parameters<typeof check>[0], string]>([
    ['another name', { adapter: { input: 'z' } }, 'm.onnx has no input z; it has x (float32 [n,2])'],
    ['another output', { adapter: { output: 'z' } }, 'm.onnx has no output z; it has y (float32 [n,1])'],
    ['two inputs', { inputs: [input, { ...input, name: 'x2' }] }, 'takes 2 inputs (x (float32 [n,2]), x2 (float32 [n,2])): export it with one'],
    ['doubles', { inputs: [{ ...input, type: 'float64' }] }, 'input x is float64: export with a float32 input'],
    ['whole numbers', { inputs: [{ ...input, type: 'int64' }] }, 'input x is int64'],
    ['a double output', { outputs: [{ ...output, type: 'float64' }] }, 'output y is float64'],
    ['a flat input', { inputs: [{ ...input, dims: [2] }] }, 'it has to be [rows, 2]'],
    ['so many rows', { inputs: [{ ...input, dims: [1, 2] }] }, 'takes exactly 1 rows'],
    ['other columns', { inputs: [{ ...input, dims: ['n', 3] }] }, 'takes 3 features, the manifest names 2'],
    ['a deep output', { outputs: [{ ...output, dims: ['n', 1, 2] }] }, 'is [n,1,2]'],
    ['wide log-odds', { outputs: [{ ...output, dims: ['n', 2] }] }, 'say in "column"'],
    ['maps', { outputs: [{ name: 'y', type: 'sequence of map', dims: [] }] }, 'output y is a sequence of map: export with zipmap=False'],
    ['maps, as onnxruntime calls them', { outputs: [{ name: 'y', type: 'non-tensor', dims: [] }] }, 'is no tensor: export with zipmap=False'],
  ])('are refused: %s', (_, change, message) => {
    expect(check(change)).toThrow(message);
    expect(check(change)).toThrow(GatehouseError);
  });

  test('many of them are not all listed', () => {
    const inputs = Array.from({ length: 40 }, (_, i) => ({ ...input, name: `x${i}` }));
    expect(check({ inputs })).toThrow(/x11 \(float32 \[n,2\]\), 28 more\)/);
  });
});

test('a refusal to load is one line in the words of an exporter; other errors stay as they are', () => {
  const ort = (detail: string) => loadRefusal('m.onnx', new GatehouseError('bundle_corrupt', detail));
  const opset = 'Opset 99 is under development and\nmore. Current official support for domain ai.onnx is till opset 26.';
  expect(ort(opset)).toMatchObject({ code: 'model_invalid', detail: expect.stringContaining('opset 99 of ai.onnx, this gateway runs up to 26') });
  expect(ort('no operator Foo\n at line 3')).toMatchObject({ code: 'model_invalid', detail: 'm.onnx: no operator Foo' });
  const other = new Error('disk');
  expect(loadRefusal('m.onnx', other)).toBe(other);
});
