import type { SharedMemory } from './arena.ts';
import { chooseBorders } from './borders.ts';
import type { Kernel } from './kernel.ts';
import { OPS } from './kernel.ts';

/**
 * The protocol of the training threads: a control block in the shared memory.
 *
 *   word 0        1         2   3        4..       24       25
 *   | remaining | done | op | count | args ... | failed | stop |
 *
 * The main thread writes op and arguments while `remaining` is 0, then sets it to the number of tasks. Any thread takes a task by lowering it by
 * one, and only then reads op and arguments: they hold still until `done` says that every task is done. A thread that slept through a job
 * therefore does no harm, and no thread has to wake for one.
 */
export const CONTROL = { remaining: 0, done: 1, op: 2, tasks: 3, argCount: 4, args: 5, failed: 24, stop: 25 } as const;
export const CONTROL_WORDS = 32;
/** Room for the message of a thread that failed. */
export const MESSAGE_BYTES = 1024;
export const ARGS_MAX = CONTROL.failed - CONTROL.args;

/** A task that is plain TypeScript: the borders of a feature. */
export const BORDERS_OP = OPS.length;
/** Raised with every change of this protocol or of the ops: a thread of an older build is then refused. */
export const PROTOCOL = 1;

/** What a thread is given when it starts. */
export interface ThreadData {
  readonly module: WebAssembly.Module;
  readonly memory: WebAssembly.Memory;
  readonly control: number;
}

/** Looks that a thread takes at a word before it sleeps: some 20 µs, which is about what waking costs. */
export const SPINS = 4_000;
/** A waiting thread looks up so often, to see whether it should stop or another one failed. */
export const LOOK_MS = 100;

/** Takes and does tasks until none remain. */
export function doTasks(control: Int32Array, kernel: Kernel, shared: SharedMemory): void {
  for (;;) {
    const remaining = Atomics.load(control, CONTROL.remaining);
    if (remaining <= 0) return;
    if (Atomics.compareExchange(control, CONTROL.remaining, remaining, remaining - 1) !== remaining) continue;
    const args = Array.from(control.subarray(CONTROL.args, CONTROL.args + control[CONTROL.argCount]!));
    doTask(control[CONTROL.op]!, args, remaining - 1, kernel, shared);
    if (Atomics.add(control, CONTROL.done, 1) + 1 === control[CONTROL.tasks]!) Atomics.notify(control, CONTROL.done);
  }
}

export function doTask(op: number, args: readonly number[], task: number, kernel: Kernel, shared: SharedMemory): void {
  if (op === BORDERS_OP) chooseBorders(shared, args, task);
  else kernel[OPS[op]!](...args, task);
}
