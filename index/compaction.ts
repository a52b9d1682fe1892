import { fork } from 'node:child_process';
import { existsSync } from 'node:fs';
import { setPriority } from 'node:os';
import { fileURLToPath } from 'node:url';
import { ERRORS, type ErrorCode, GatehouseError } from '../contracts/errors.ts';
import type { Metric } from './contract.ts';
import type { GraphShape } from './graph.ts';
import type { Sphere } from './graph-row.ts';
import type { SnapshotFile } from './snapshot.ts';

/** What the child is to build: the graph of the rows in `<name>.f32` of the folder, beside them. */
export interface CompactionOrder {
  readonly dir: string;
  readonly name: string;
  readonly metric: Metric;
  readonly dimensions: number;
  readonly slots: number;
  readonly shape: GraphShape;
  readonly sphere: Sphere;
  /** A graph file of the first rows, which the child adds the others to; it builds all where there is none. */
  readonly basePath?: string;
}

/** How it ended; until then, again and again, how many slots are in the graph. */
export type CompactionWord =
  | { readonly file: SnapshotFile }
  | { readonly code: ErrorCode | undefined; readonly detail: string }
  | { readonly slots: number };

export interface CompactionProcess {
  /** The graph file, written, checked and probed. Rejects with the child's own error, or `compaction_failed` when it died. */
  readonly done: Promise<SnapshotFile>;
  cancel(): void;
}

/**
 * Without a word for so long it hangs. How long it may take in all is not limited: a million vectors are minutes of a processor, and were over an hour where
 * others left it a tenth of one. Its longest silence, while the file of some million vectors is written, checked and probed, is seconds of a processor.
 */
const SILENCE_MS_MAX = 30 * 60_000;
/** Below the gateway: where both want the processor, requests come first. */
const NICE = 10;
const STDERR_CHARS_MAX = 4096;

/** Builds a graph in a process of its own: neither its work nor a crash of native code reaches the requests. */
export function buildInChild(order: CompactionOrder, script = childScript(), silenceMsMax = SILENCE_MS_MAX): CompactionProcess {
  const child = fork(script, [], { stdio: ['ignore', 'ignore', 'pipe', 'ipc'], execArgv: [] });
  const done = new Promise<SnapshotFile>((resolve, reject) => {
    let stderr = '';
    let word: Exclude<CompactionWord, { readonly slots: number }> | undefined;
    let isSilent = false;
    const timer = setTimeout(() => {
      isSilent = true;
      child.kill('SIGKILL');
    }, silenceMsMax);
    child.stderr?.on('data', (chunk: Buffer) => {
      if (stderr.length < STDERR_CHARS_MAX) stderr += chunk.toString('utf8');
    });
    child.on('message', (message) => {
      const said = message as CompactionWord;
      timer.refresh();
      if (!('slots' in said)) word = said;
    });
    child.once('error', (cause) => {
      clearTimeout(timer);
      reject(new GatehouseError('compaction_failed', 'its process cannot be started', { cause }));
    });
    child.once('close', (code, signal) => {
      clearTimeout(timer);
      if (word && 'file' in word) resolve(word.file);
      else if (word)
        reject(new GatehouseError(word.code !== undefined && Object.hasOwn(ERRORS, word.code) ? word.code : 'compaction_failed', word.detail));
      else
        reject(
          new GatehouseError(
            'compaction_failed',
            isSilent
              ? `its process said nothing for ${silenceMsMax} ms`
              : `its process ended with ${signal ?? `exit code ${code}`}${stderr ? `: ${stderr.trim().split('\n')[0]}` : ''}`,
          ),
        );
    });
  });
  if (child.pid !== undefined) lower(child.pid);
  child.send(order);
  return { done, cancel: () => void child.kill('SIGKILL') };
}

/** Beside this module once it is compiled; in `dist` when the sources run as they are, as in tests. */
function childScript(): string {
  const beside = fileURLToPath(new URL('./compaction-child.js', import.meta.url));
  return existsSync(beside) ? beside : fileURLToPath(new URL('../dist/index/compaction-child.js', import.meta.url));
}

function lower(pid: number): void {
  try {
    setPriority(pid, NICE);
  } catch {
    // A system that does not let us: the compaction then shares the processor evenly, which the operating system's scheduler bears.
  }
}
