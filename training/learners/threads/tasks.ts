import { readFileSync } from 'node:fs';
import { pathToFileURL } from 'node:url';
import { builtFile } from '../../../scoring/built.ts';
import type { SharedMemory } from './arena.ts';

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

/** Raised with every change of this protocol: a thread of an older build is then refused. */
export const PROTOCOL = 2;

/** One task: the arguments of its job, and its number last. */
export type KernelTask = (...args: number[]) => void;
/** A task that is plain TypeScript. */
export type PlainTask = (shared: SharedMemory, args: readonly number[], task: number) => void;

/** What a team can do: the exports of a kernel, and tasks in TypeScript. An op's number is its place in `ops`, then in `plain`. */
export interface Work<Op extends string = string> {
  /** The compiled kernel: `new URL('./kernel.wasm', import.meta.url)`. */
  readonly kernel: URL;
  /** The kernel's exports that are tasks. Their last argument is the task's number. */
  readonly ops: readonly Op[];
  /** Threads load the compiled module of this address and take its exports of these names. */
  readonly plain?: { readonly module: URL; readonly names: readonly Op[] };
}

/** What a thread is given when it starts. */
export interface ThreadData {
  readonly module: WebAssembly.Module;
  readonly memory: WebAssembly.Memory;
  readonly control: number;
  readonly ops: readonly string[];
  readonly plain: { readonly path: string; readonly names: readonly string[] } | undefined;
}

/** Does a task of the op of this number. */
export type DoTask = (op: number, args: readonly number[], task: number) => void;

/** Looks that a thread takes at a word before it sleeps: some 20 µs, which is about what waking costs. */
export const SPINS = 4_000;
/** A waiting thread looks up so often, to see whether it should stop or another one failed. */
export const LOOK_MS = 100;

export function threadData(work: Work, memory: WebAssembly.Memory, control: number): ThreadData {
  const { plain } = work;
  return {
    module: new WebAssembly.Module(readFileSync(builtFile(work.kernel))),
    memory,
    control,
    ops: work.ops,
    plain: plain && { path: builtFile(plain.module), names: plain.names },
  };
}

/** A thread's own instance of the kernel over the memory that all share, and its own copy of the tasks in TypeScript. */
export async function loadTasks({ module, memory, ops, plain }: ThreadData, shared: SharedMemory): Promise<DoTask> {
  const kernel = new WebAssembly.Instance(module, { env: { memory } }).exports as Readonly<Record<string, KernelTask>>;
  const compiled = ops.map((op) => kernel[op]!);
  const written = plain ? ((await import(pathToFileURL(plain.path).href)) as Readonly<Record<string, PlainTask>>) : {};
  const inTypeScript = (plain?.names ?? []).map((name) => written[name]!);
  return (op, args, task) => {
    const run = compiled[op];
    if (run) run(...args, task);
    else inTypeScript[op - compiled.length]!(shared, args, task);
  };
}

/** Takes and does tasks until none remain. */
export function doTasks(control: Int32Array, doTask: DoTask): void {
  for (;;) {
    const remaining = Atomics.load(control, CONTROL.remaining);
    if (remaining <= 0) return;
    if (Atomics.compareExchange(control, CONTROL.remaining, remaining, remaining - 1) !== remaining) continue;
    const args = Array.from(control.subarray(CONTROL.args, CONTROL.args + control[CONTROL.argCount]!));
    doTask(control[CONTROL.op]!, args, remaining - 1);
    if (Atomics.add(control, CONTROL.done, 1) + 1 === control[CONTROL.tasks]!) Atomics.notify(control, CONTROL.done);
  }
}
