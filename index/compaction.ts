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

export type CompactionWord = { readonly file: SnapshotFile } | { readonly code: ErrorCode | undefined; readonly detail: string };

export interface CompactionProcess {
  /** The graph file, written, checked and probed. Rejects with the child's own error, or `compaction_failed` when it died. */
  readonly done: Promise<SnapshotFile>;
  cancel(): void;
}

/** Ten million vectors take some forty minutes on a busy machine; what takes longer hangs. */
const COMPACTION_MS_MAX = 60 * 60_000;
/** Below the gateway: where both want the processor, requests come first. */
const NICE = 10;
const STDERR_CHARS_MAX = 4096;

/** Builds a graph in a process of its own: neither its work nor a crash of native code reaches the requests. */
export function buildInChild(order: CompactionOrder, script = childScript()): CompactionProcess {
  const child = fork(script, [], { stdio: ['ignore', 'ignore', 'pipe', 'ipc'], execArgv: [] });
  const done = new Promise<SnapshotFile>((resolve, reject) => {
    let stderr = '';
    let word: CompactionWord | undefined;
    const timer = setTimeout(() => child.kill('SIGKILL'), COMPACTION_MS_MAX);
    child.stderr?.on('data', (chunk: Buffer) => {
      if (stderr.length < STDERR_CHARS_MAX) stderr += chunk.toString('utf8');
    });
    child.on('message', (message) => {
      word = message as CompactionWord;
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
            `its process ended with ${signal ?? `exit code ${code}`}${stderr ? `: ${stderr.trim().split('\n')[0]}` : ''}`,
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
