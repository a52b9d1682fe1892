import { describe, expect, test } from 'vitest';
import { loadOnnx } from '../../scoring/models/onnx.ts';
import { composeOnnx } from './compose.ts';
import { GraphBuilder } from './graph.ts';

/** y = factor x + offset, with a constant of the same name in every part. */
function line(factor: number, offset: number, input = 'x'): Uint8Array {
  const graph = new GraphBuilder('line');
  graph.input(input, 'float32', ['N', 2]);
  const scaled = graph.node('Mul', [input, graph.initializer('factor', Float32Array.of(factor), [1])]);
  graph.node('Add', [scaled, graph.scalar(offset)], {}, 'y');
  graph.output('y', 'float32', ['N', 2]);
  return graph.toBytes();
}

function sum(): Uint8Array {
  const graph = new GraphBuilder('sum');
  graph.input('a', 'float32', ['N', 2]);
  graph.input('b', 'float32', ['N', 2]);
  graph.node('Add', ['a', 'b'], {}, 'total');
  graph.output('total', 'float32', ['N', 2]);
  return graph.toBytes();
}

describe('composition', () => {
  test('parts keep their own values, and feed one another', async () => {
    const bytes = composeOnnx('whole', [
      { name: 'p', bytes: line(2, 1), inputs: { x: 'x' } },
      { name: 'q', bytes: line(-3, 5, 'in'), inputs: { in: 'p.y' } },
      { name: 's', bytes: sum(), inputs: { a: 'q.y', b: 'x' } },
    ]);
    const model = await loadOnnx(bytes);
    expect(model.inputInfo).toEqual([{ name: 'x', type: 'float32', dims: ['N', 2] }]);
    expect(model.outputs).toEqual(['total']);
    // -3 (2 x + 1) + 5 + x = 2 - 5 x.
    const { total } = await model.run({ x: { data: Float32Array.of(0, 1, 2, -1), dims: [2, 2] } });
    expect(total!.data).toEqual(Float32Array.of(2, -3, -8, 7));
    await model.release();
  });

  test('one part alone is that model', async () => {
    const model = await loadOnnx(composeOnnx('one', [{ name: 'p', bytes: line(2, 1), inputs: { x: 'x' } }]));
    const { y } = await model.run({ x: { data: Float32Array.of(3, 4), dims: [1, 2] } });
    expect(y!.data).toEqual(Float32Array.of(7, 9));
    await model.release();
  });

  test('refuses what does not fit together', () => {
    const incompatible = expect.objectContaining({ code: 'bundle_incompatible' });
    const corrupt = expect.objectContaining({ code: 'bundle_corrupt' });
    expect(() => composeOnnx('w', [{ name: 'p', bytes: line(1, 1), inputs: {} }])).toThrow(incompatible);
    expect(() => composeOnnx('w', [{ name: 'p', bytes: line(1, 1), inputs: { x: 'later.y' } }])).toThrow(incompatible);
    for (const bytes of [new Uint8Array(0), Uint8Array.of(0x3a, 0xff, 0xff), Uint8Array.of(0x80), Uint8Array.of(0x0b), line(1, 1).slice(0, 40)]) {
      expect(() => composeOnnx('w', [{ name: 'p', bytes, inputs: { x: 'x' } }])).toThrow(corrupt);
    }
    const graph = new GraphBuilder('branch');
    graph.input('x', 'bool', [1]);
    const branch = (name: string) => {
      const inner = new GraphBuilder(name, { outer: graph });
      inner.output(inner.node('Identity', ['x']), 'bool', [1]);
      return inner;
    };
    graph.node('If', ['x'], { then_branch: { g: branch('then') }, else_branch: { g: branch('else') } }, 'y');
    graph.output('y', 'bool', [1]);
    expect(() => composeOnnx('w', [{ name: 'p', bytes: graph.toBytes(), inputs: { x: 'x' } }])).toThrow(incompatible);
  });
});
