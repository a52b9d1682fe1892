import { parentPort, workerData } from 'node:worker_threads';
import { sharedMemory } from './arena.ts';
import { CONTROL, CONTROL_WORDS, doTasks, LOOK_MS, loadTasks, MESSAGE_BYTES, PROTOCOL, SPINS, type ThreadData } from './tasks.ts';

/** A training thread beside the main one: does tasks of the jobs until it is told to stop. Started by team.ts. */
async function serve(data: ThreadData): Promise<void> {
  const shared = sharedMemory(data.memory);
  const control = shared.i32(data.control, CONTROL_WORDS);
  try {
    const doTask = await loadTasks(data, shared);
    parentPort?.postMessage(PROTOCOL);
    while (control[CONTROL.stop] === 0) {
      for (let i = 0; i < SPINS && Atomics.load(control, CONTROL.remaining) === 0; i++);
      Atomics.wait(control, CONTROL.remaining, 0, LOOK_MS);
      doTasks(control, doTask);
    }
  } catch (error) {
    const message = new TextEncoder().encode(error instanceof Error ? error.message : String(error)).subarray(0, MESSAGE_BYTES);
    shared.u8(data.control + 4 * CONTROL_WORDS, MESSAGE_BYTES).set(message);
    Atomics.store(control, CONTROL.failed, message.length + 1);
    Atomics.notify(control, CONTROL.done);
  }
}

await serve(workerData as ThreadData);
