import { describe, expect, test } from 'vitest';
import { loadOnnx } from '../../scoring/models/onnx.ts';
import { GraphBuilder } from './graph.ts';
import { ProtoWriter } from './protobuf.ts';

describe('protobuf', () => {
  test('writes the examples of the format description', () => {
    // protobuf.dev/programming-guides/encoding: field 1 = 150, field 2 = "testing", field 6 = [3, 270, 86942].
    expect([...new ProtoWriter().int(1, 150).finish()]).toEqual([0x08, 0x96, 0x01]);
    expect([...new ProtoWriter().string(2, 'testing').finish()]).toEqual([0x12, 0x07, 0x74, 0x65, 0x73, 0x74, 0x69, 0x6e, 0x67]);
    expect([...new ProtoWriter().packedInts(6, [3, 270, 86942]).finish()]).toEqual([0x32, 0x06, 0x03, 0x8e, 0x02, 0x9e, 0xa7, 0x05]);
    expect([...new ProtoWriter().int(1, -2).finish()]).toEqual([0x08, 0xfe, ...new Array<number>(8).fill(0xff), 0x01]);
    expect([...new ProtoWriter().float(1, 1).finish()]).toEqual([0x0d, 0, 0, 0x80, 0x3f]);
  });
});

describe('graph', () => {
  function small(): GraphBuilder {
    const graph = new GraphBuilder('small', { metadata: { made_for: 'a test' } });
    graph.input('x', 'float32', ['n', 3]);
    const weight = graph.initializer('w', Float32Array.of(1, 2, 3, 4, 5, 6), [3, 2]);
    const product = graph.node('Gemm', ['x', weight], { alpha: { f: 0.5 }, transB: { i: 0 } });
    const sum = graph.node('ReduceSum', [product, graph.ints(1)], { keepdims: { i: 1 } });
    graph.node('Add', [sum, graph.scalar(-1)], {}, 'y');
    graph.output('y', 'float32', ['n', 1]);
    return graph;
  }

  test('runs in onnxruntime', async () => {
    const model = await loadOnnx(small().toBytes());
    expect(model.inputInfo).toEqual([{ name: 'x', type: 'float32', dims: ['n', 3] }]);
    expect(model.outputs).toEqual(['y']);
    const { y } = await model.run({ x: { data: Float32Array.of(1, 1, 1, 2, 0, 0), dims: [2, 3] } });
    expect(y!.data).toEqual(Float32Array.of(9.5, 2));
    expect(y!.dims).toEqual([2, 1]);
    await model.release();
    await expect(model.run({ x: { data: Float32Array.of(1, 1, 1), dims: [1, 3] } })).rejects.toThrow('released');
  });

  test('is written the same each time', () => {
    expect(small().toBytes()).toEqual(small().toBytes());
  });

  test('holds every kind of attribute and element that a graph needs', async () => {
    const graph = new GraphBuilder('kinds');
    graph.input('x', 'float32', [2]);
    const branch = (name: string, factor: number) => {
      const inner = new GraphBuilder(name, { outer: graph });
      inner.output(inner.node('Mul', ['x', inner.scalar(factor)]), 'float32', [2]);
      return inner;
    };
    const total = graph.node('ReduceSum', ['x'], { keepdims: { i: 0 } });
    const positive = graph.node('Greater', [total, graph.scalar(0)]);
    graph.node('If', [positive], { then_branch: { g: branch('then', 2) }, else_branch: { g: branch('else', -3) } }, 'y');
    const counted = graph.node('Constant', [], { value: { t: { data: BigInt64Array.of(7n, -9n), dims: [2] } } });
    const whole = graph.node('Constant', [], { value_ints: { ints: [1, -1] } });
    graph.node('Mul', [counted, whole], {}, 'z');
    const [top, places] = graph.nodes('TopK', ['x', graph.ints(1)], { axis: { i: -1 } }, 2);
    graph.output('y', 'float32', [2]);
    graph.output('z', 'int64', [2]);
    graph.output(top!, 'float32', [1]);
    graph.output(places!, 'int64', [1]);
    const model = await loadOnnx(graph.toBytes());
    const answer = await model.run({ x: { data: Float32Array.of(-1, 3), dims: [2] } });
    expect(answer['y']!.data).toEqual(Float32Array.of(-2, 6));
    expect(answer['z']!.data).toEqual(BigInt64Array.of(7n, 9n));
    expect([answer[top!]!.data[0], answer[places!]!.data[0]]).toEqual([3, 1n]);
    const negative = await model.run({ x: { data: Float32Array.of(-1, 0), dims: [2] } });
    expect(negative['y']!.data).toEqual(Float32Array.of(3, -0));
    await model.release();
  });

  test('refuses names that are unknown or taken, and tensors of the wrong size', () => {
    const graph = small();
    expect(() => graph.node('Relu', ['nowhere'])).toThrow('not defined');
    expect(() => graph.node('Relu', ['x'], {}, 'w')).toThrow('taken');
    expect(() => graph.output('nowhere', 'float32', [1])).toThrow('not defined');
    expect(() => graph.initializer('v', new Float32Array(3), [2, 2])).toThrow('want 4 values');
  });
});
