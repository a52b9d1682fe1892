import { availableParallelism } from 'node:os';
import { Worker } from 'node:worker_threads';
import { builtFile } from '../../../scoring/built.ts';
import { requireParam } from '../contract.ts';
import type { Arena, SharedMemory } from './arena.ts';
import {
  ARGS_MAX,
  CONTROL,
  CONTROL_WORDS,
  doTasks,
  LOOK_MS,
  loadTasks,
  MESSAGE_BYTES,
  PROTOCOL,
  SPINS,
  type ThreadData,
  threadData,
  type Work,
} from './tasks.ts';

/** A trainer beside a gateway should leave cores to it, and more than a few threads wait on memory. */
const THREADS_DEFAULT = 2;
const THREADS_MAX = 64;
/** Below so many steps (some ns each) a job is done by the time that another thread is awake. */
const STEPS_MIN = 20_000;
/** A task is at most a pass over a few columns, under a second on tens of millions of rows: a thread that takes this long is dead. */
const TASK_MS_MAX = 60_000;
/** Threads start in some 50 ms; a machine that is very busy may need much longer. */
const START_MS_MAX = 60_000;

/** The threads that train: the main one and `threads - 1` others. */
export interface Team<Op extends string = string> {
  /**
   * Does a job: `tasks` calls of the op with these arguments and the task's number. `steps` is about how much work they are together.
   * Answers when all are done. Throws an Error when a thread failed.
   */
  run(op: Op, tasks: number, steps: number, args: readonly number[]): void;
  /** Lets events in; throws an Error when a thread has ended. */
  breathe(): Promise<void>;
  /** Ends the threads. */
  stop(): Promise<void>;
}

export const defaultThreads = (): number => Math.min(THREADS_DEFAULT, availableParallelism());

export function reserveControl(arena: Arena): number {
  return arena.reserve(4 * CONTROL_WORDS + MESSAGE_BYTES);
}

/** Starts the threads; rejects with an Error, all threads ended, when one does not start. */
export async function startTeam<Op extends string>(shared: SharedMemory, controlAt: number, threads: number, work: Work<Op>): Promise<Team<Op>> {
  requireParam(Number.isInteger(threads) && threads >= 1 && threads <= THREADS_MAX, `threads must be from 1 to ${THREADS_MAX}, not ${threads}`);
  const control = shared.i32(controlAt, CONTROL_WORDS);
  const data = threadData(work, shared.memory, controlAt);
  const doTask = await loadTasks(data, shared);
  const ops: readonly Op[] = [...work.ops, ...(work.plain?.names ?? [])];
  const state: { ended: string | undefined } = { ended: undefined };
  const workers = Array.from({ length: threads - 1 }, () => startWorker(data, state));

  function run(op: Op, tasks: number, steps: number, args: readonly number[]): void {
    const number = ops.indexOf(op);
    if (workers.length === 0 || tasks < 2 || steps < STEPS_MIN) {
      for (let task = 0; task < tasks; task++) doTask(number, args, task);
      return;
    }
    requireParam(args.length <= ARGS_MAX, `${op} has ${args.length} arguments`);
    control[CONTROL.op] = number;
    control[CONTROL.tasks] = tasks;
    control[CONTROL.argCount] = args.length;
    control.set(args, CONTROL.args);
    control[CONTROL.done] = 0;
    Atomics.store(control, CONTROL.remaining, tasks);
    Atomics.notify(control, CONTROL.remaining);
    doTasks(control, doTask);
    awaitTasks(tasks);
  }

  /** Waits for the tasks that other threads took. */
  function awaitTasks(tasks: number): void {
    for (let i = 0; i < SPINS; i++) if (Atomics.load(control, CONTROL.done) === tasks) return;
    for (let waitedMs = 0; waitedMs < TASK_MS_MAX; waitedMs += LOOK_MS) {
      const done = Atomics.load(control, CONTROL.done);
      if (done === tasks) return;
      if (Atomics.load(control, CONTROL.failed) !== 0) throw new Error(`a training thread failed: ${failure()}`);
      if (Atomics.wait(control, CONTROL.done, done, LOOK_MS) !== 'timed-out') waitedMs -= LOOK_MS;
    }
    throw new Error(`a training thread has not answered for ${TASK_MS_MAX} ms`);
  }

  function failure(): string {
    const length = control[CONTROL.failed]! - 1;
    return new TextDecoder().decode(shared.u8(controlAt + 4 * CONTROL_WORDS, length).slice());
  }

  async function stop(): Promise<void> {
    state.ended = 'the training is over';
    Atomics.store(control, CONTROL.stop, 1);
    Atomics.store(control, CONTROL.remaining, 0);
    Atomics.notify(control, CONTROL.remaining);
    await Promise.all(workers.map(({ worker }) => worker.terminate()));
  }

  try {
    await Promise.all(workers.map(({ ready }) => ready));
  } catch (error) {
    await stop();
    throw error;
  }
  return {
    run,
    async breathe() {
      if (workers.length === 0) return;
      await new Promise((resolve) => setImmediate(resolve));
      if (control[CONTROL.failed] !== 0) throw new Error(`a training thread failed: ${failure()}`);
      if (state.ended !== undefined) throw new Error(`a training thread ended: ${state.ended}`);
    },
    stop,
  };
}

function startWorker(data: ThreadData, state: { ended: string | undefined }) {
  const worker = new Worker(builtFile(new URL('./thread.js', import.meta.url)), { workerData: data, execArgv: [] });
  const ready = new Promise<void>((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error(`a training thread has not started in ${START_MS_MAX} ms`)), START_MS_MAX);
    const end = (reason: string, cause?: unknown) => {
      clearTimeout(timer);
      state.ended ??= reason;
      reject(new Error(`a training thread ended: ${reason}`, { cause }));
    };
    worker.once('message', (protocol) => {
      clearTimeout(timer);
      if (protocol === PROTOCOL) resolve();
      else reject(new Error('the training thread is of another build: run `npm run build`'));
    });
    worker.once('error', (error) => end(error.message, error));
    worker.once('exit', (code) => end(`exit code ${code}`));
  });
  // Nobody may be waiting for the start any more when a thread ends.
  ready.catch(() => {});
  return { worker, ready };
}
