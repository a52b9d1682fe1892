import { Worker } from 'node:worker_threads';
import { describe, expect, test, vi } from 'vitest';
import { treeEnsembleToOnnx } from '../../onnx/treeEnsemble.ts';
import { seededRandom } from '../random.ts';
import { createArena } from '../threads/arena.ts';
import { CONTROL, CONTROL_WORDS } from '../threads/tasks.ts';
import { fitGbdt } from './fit.ts';
import { CHUNK_ROWS } from './kernel.ts';
import type { GbdtParams } from './params.ts';
import { syntheticRows } from './synthetic.ts';
import { BORDERS_OP, reserveControl, startTeam } from './team.ts';

describe('the model is the same, byte for byte, with one, two and three threads', () => {
  // Large enough that jobs are shared, with a last chunk and a last group that are not full.
  const binary = syntheticRows(20_001, 19, 1);
  const ranked = { ...binary, groups: new Int32Array(2_858).fill(7).fill(2, 2_857) };
  const weights = Float32Array.from({ length: binary.n }, (_, row) => 0.5 + (row % 7) / 3);
  const cases: [string, typeof binary, Partial<GbdtParams>][] = [
    ['binary', binary, {}],
    ['sampled and weighted', { ...binary, weights }, { baggingFraction: 0.6, featureFraction: 0.5, featureFractionByNode: 0.7, scalePosWeight: 3 }],
    ['regression', { ...syntheticRows(20_001, 19, 2, 'regression'), weights }, { objective: 'regression', lambdaL1: 1 }],
    ['lambdarank', ranked, { objective: 'lambdarank' }],
    ['monotone', binary, { monotoneConstraints: [1, ...new Array(18).fill(0)] }],
  ];

  test.each(cases)('%s', async (_, data, params) => {
    const train = (threads: number) => fitGbdt(data, { numIterations: 6, numLeaves: 31, ...params }, { seed: 1, threads });
    const one = await train(1);
    for (const threads of [2, 3]) {
      const more = await train(threads);
      expect(more).toEqual(one);
      expect(Buffer.compare(treeEnsembleToOnnx(more), treeEnsembleToOnnx(one))).toBe(0);
    }
    expect(one.splitsByFeature.reduce((a, b) => a + b, 0)).toBeGreaterThan(100);
  });
});

describe('a team', () => {
  const CHUNKS = 37;

  /** A team of two with labels to find the largest of each chunk of, which is the job `residualMax`. */
  async function twoThreads() {
    const n = CHUNKS * CHUNK_ROWS - 5;
    const arena = createArena();
    const controlAt = reserveControl(arena);
    const [scores, labels, out] = [8 * n, 4 * n, 8 * CHUNKS].map((bytes) => arena.reserve(bytes)) as [number, number, number];
    const shared = arena.build();
    const random = seededRandom(1);
    shared.f32(labels, n).forEach((_, row, all) => {
      all[row] = random.normal();
    });
    const expected = Array.from({ length: CHUNKS }, (_, chunk) => {
      const values = shared.f32(labels, n).subarray(chunk * CHUNK_ROWS, (chunk + 1) * CHUNK_ROWS);
      return values.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
    });
    const team = await startTeam(shared, controlAt, 2);
    const run = () => team.run('residualMax', CHUNKS, n, [scores, labels, 0, n, out]);
    return { team, run, expected, maxima: shared.f64(out, CHUNKS), control: shared.i32(controlAt, CONTROL_WORDS) };
  }

  /** Leaves one task to the other thread. */
  function leave(control: Int32Array, op: number, args: readonly number[]): void {
    control.set([op, 1, args.length, ...args], CONTROL.op);
    Atomics.store(control, CONTROL.remaining, 1);
    Atomics.notify(control, CONTROL.remaining);
  }

  test('does every task of every job before it goes on, on whichever thread', async () => {
    const { team, run, expected, maxima, control } = await twoThreads();
    try {
      for (let job = 0; job < 100; job++) {
        maxima.fill(-1);
        run();
        expect(Array.from(maxima)).toEqual(expected);
        expect([control[CONTROL.done], control[CONTROL.remaining]]).toEqual([CHUNKS, 0]);
      }
    } finally {
      await team.stop();
    }
  });

  test.each([
    ['a kernel', 0, [2 ** 30, 1, 1, 0, 0, 0, 0, 0, 0], /training thread failed: memory access out of bounds/],
    ['TypeScript', BORDERS_OP, [2 ** 31 - 4, 1, 65_536, 0, 65_536, 65_536, 65_536], /training thread failed: .+/],
  ])('says so when %s fails on another thread', async (_, op, args, message) => {
    const { team, run, control } = await twoThreads();
    try {
      leave(control, op, args);
      await vi.waitFor(() => expect(Atomics.load(control, CONTROL.failed)).toBeGreaterThan(0), { timeout: 20_000 });
      await expect(team.breathe()).rejects.toThrow(message);
      // The next job finds nobody to help, and does not wait for the dead.
      run();
      await expect(team.breathe()).rejects.toThrow(message);
    } finally {
      await team.stop();
    }
  });

  test('says so when another thread has ended', async () => {
    const listened = vi.spyOn(Worker.prototype, 'once');
    const { team, run } = await twoThreads();
    try {
      await (listened.mock.contexts[0] as Worker).terminate();
      await expect(team.breathe()).rejects.toThrow(/training thread ended: exit code/);
      // Whoever is still there does the work.
      run();
    } finally {
      listened.mockRestore();
      await team.stop();
    }
  });

  test('ends its threads, also when training is broken off', async () => {
    const ended = vi.spyOn(Worker.prototype, 'terminate');
    try {
      const data = syntheticRows(5_000, 4, 1);
      const stop = () => {
        throw new Error('enough');
      };
      await expect(fitGbdt(data, { numIterations: 3 }, { seed: 1, threads: 4, progress: stop })).rejects.toThrow('enough');
      await fitGbdt(data, { numIterations: 3 }, { seed: 1, threads: 3 });
      const threads = ended.mock.contexts as Worker[];
      expect(threads.length).toBe(3 + 2);
      // A thread that has ended has no number any more.
      for (const { threadId } of threads) expect(threadId).toBe(-1);
    } finally {
      ended.mockRestore();
    }
  });

  test('has at least one thread and at most 64', async () => {
    const data = syntheticRows(100, 2, 1);
    for (const threads of [0, 1.5, 65]) await expect(fitGbdt(data, {}, { seed: 1, threads })).rejects.toThrow(RangeError);
  });
});

test('a table that 32-bit addresses do not reach is refused', () => {
  const arena = createArena();
  for (let i = 0; i < 5; i++) arena.reserve(2 ** 30);
  expect(() => arena.build()).toThrow(RangeError);
});
