import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { bindOnnx, loadOnnx } from './onnx.ts';

/**
 * A whole model, y = x + x on float [n], as bytes (protobuf: IR 10, opset 21). Written out here because the scorer's room
 * may not use the trainer's writer.
 */
const text = (value: string) => [...new TextEncoder().encode(value)];
const field = (number: number, bytes: readonly number[]) => [number * 8 + 2, bytes.length, ...bytes];
const value = (name: string) => [...field(1, text(name)), ...field(2, field(1, [0x08, 1, ...field(2, field(1, field(2, text('n'))))]))];
const node = [...field(1, text('x')), ...field(1, text('x')), ...field(2, text('y')), ...field(4, text('Add'))];
const graph = [...field(1, node), ...field(2, text('g')), ...field(11, value('x')), ...field(12, value('y'))];
const MODEL = Uint8Array.from([0x08, 10, ...field(7, graph), ...field(8, [0x10, 21])]);

describe('loadOnnx', () => {
  test('runs a model from bytes and from a file', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'gatehouse-onnx-'));
    const path = join(folder, 'model.onnx');
    await writeFile(path, MODEL);
    for (const source of [MODEL, path]) {
      const model = await loadOnnx(source);
      expect([model.inputs, model.outputs]).toEqual([['x'], ['y']]);
      expect(model.outputInfo).toEqual([{ name: 'y', type: 'float32', dims: ['n'] }]);
      const { y } = await model.run({ x: { data: Float32Array.of(1, 2.5), dims: [2] } });
      expect(y).toEqual({ data: Float32Array.of(2, 5), dims: [2] });
      await model.release();
      await model.release();
      await expect(model.run({ x: { data: Float32Array.of(1), dims: [1] } })).rejects.toThrow('released');
    }
    await rm(folder, { recursive: true });
  });

  test('refuses what is not a model, with a code', async () => {
    const broken = [new Uint8Array(0), new TextEncoder().encode('not a model at all'), MODEL.slice(0, MODEL.length - 20)];
    for (const bytes of broken) await expect(loadOnnx(bytes)).rejects.toMatchObject({ code: 'bundle_corrupt' });
    await expect(loadOnnx(join(tmpdir(), 'no-such-model.onnx'))).rejects.toMatchObject({ code: 'bundle_corrupt' });
  });

  test('a wrong feed is rejected and leaves the model usable', async () => {
    const model = await loadOnnx(MODEL);
    await expect(model.run({ z: { data: Float32Array.of(1), dims: [1] } })).rejects.toThrow();
    await expect(model.run({ x: { data: BigInt64Array.of(1n), dims: [1] } })).rejects.toThrow();
    const { y } = await model.run({ x: { data: Float32Array.of(4), dims: [1] } });
    expect(y!.data).toEqual(Float32Array.of(8));
    await model.release();
  });
});

describe('bindOnnx', () => {
  test('reads and writes the buffers of the caller in every run', async () => {
    const [x, y] = [Float32Array.of(1, 2), new Float32Array(2)];
    const bound = await bindOnnx(MODEL, { x: { data: x, dims: [2] } }, { y: { data: y, dims: [2] } });
    await bound.run();
    expect(y).toEqual(Float32Array.of(2, 4));
    x.set([5, -1]);
    await bound.run();
    expect(y).toEqual(Float32Array.of(10, -2));
    await bound.release();
    await bound.release();
    await expect(bound.run()).rejects.toThrow('released');
  });

  test('refuses what is not a model, with a code, and a buffer that does not have its dimensions', async () => {
    await expect(bindOnnx(new Uint8Array(9), {}, {})).rejects.toMatchObject({ code: 'bundle_corrupt' });
    const wrong = { x: { data: Float32Array.of(1, 2), dims: [3] } };
    await expect(bindOnnx(MODEL, wrong, { y: { data: new Float32Array(3), dims: [3] } })).rejects.toThrow();
  });
});
