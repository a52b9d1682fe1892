import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { GraphBuilder } from './graph.ts';
import { inspectOnnx } from './inspect.ts';

function model(): Uint8Array {
  const graph = new GraphBuilder('g');
  graph.input('x', 'float32', ['n', 3]);
  graph.input('ids', 'int64', [4]);
  graph.initializer('w', new Float32Array(300), [3, 100]);
  graph.node('MatMul', ['x', 'w'], {}, 'y');
  graph.output('y', 'float64', ['n', 100]);
  return graph.toBytes();
}

test('tells inputs and outputs with types and sizes', () => {
  expect(inspectOnnx(model())).toEqual({
    inputs: [
      { name: 'x', type: 'float32', dims: ['n', 3] },
      { name: 'ids', type: 'int64', dims: [4] },
    ],
    outputs: [{ name: 'y', type: 'float64', dims: ['n', 100] }],
    externalData: undefined,
  });
});

test('tells what is no tensor, and weights that lie elsewhere, in files of real exporters', () => {
  const read = (name: string) => inspectOnnx(readFileSync(new URL(`../../test/models/${name}.onnx`, import.meta.url)));
  expect(read('refused-zipmap')!.outputs).toContainEqual({ name: 'output_probability', type: 'sequence of map', dims: [] });
  expect(read('refused-external')!.externalData).toBe('weights.bin');
  expect(read('lightgbm-fraud')!.outputs.map(({ name }) => name)).toEqual(['label', 'probabilities']);
});

test.each(['', '{"format": "gatehouse-model-1"}', 'PK\u0003\u0004', '\u0080\u0004\u0095 a pickle', '\u0008\u0007'])('%j is no model', (content) => {
  expect(inspectOnnx(Buffer.from(content, 'latin1'))).toBeUndefined();
});

test('never throws and never hangs, whatever the bytes', () => {
  const good = model();
  fc.assert(
    fc.property(fc.array(fc.tuple(fc.nat(good.length - 1), fc.nat(255)), { maxLength: 20 }), fc.nat(good.length), (changes, length) => {
      const bytes = good.slice(0, length);
      for (const [at, value] of changes) if (at < length) bytes[at] = value;
      const header = inspectOnnx(bytes);
      expect(header === undefined || Array.isArray(header.inputs)).toBe(true);
    }),
    { seed: 5, numRuns: 500 },
  );
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
      inspectOnnx(bytes);
    }),
    { seed: 6, numRuns: 500 },
  );
});
