import { fork } from 'node:child_process';
import { existsSync } from 'node:fs';
import { setPriority } from 'node:os';
import { fileURLToPath } from 'node:url';
import { type ErrorCode, GatehouseError } from '../../contracts/errors.ts';
import type { BacktestRequest, BacktestResult, Rule } from '../../contracts/rules.ts';
import type { JournalSettings } from './journal.ts';

/** What the child is to do. It reads the journal and the lists itself. */
export interface BacktestOrder {
  readonly journal: JournalSettings;
  /** Undefined: the shipped declarations. */
  readonly featuresFile: string | undefined;
  readonly rules: readonly Rule[];
  readonly request: Omit<BacktestRequest, 'rules'>;
}

export type BacktestWord =
  | { readonly progress: number }
  | { readonly result: BacktestResult }
  | { readonly code: ErrorCode; readonly detail: string };

export interface BacktestProcess {
  /** Undefined when it was cancelled. Rejects with the child's own error, or `backtest_failed`. */
  readonly done: Promise<BacktestResult | undefined>;
  cancel(): void;
}

/** Ten million payments take some five minutes; what takes longer hangs. */
const BACKTEST_MS_MAX = 30 * 60_000;
/** Heap of the child: the states of two million entities, and the log of ten million payments beside it. */
const HEAP_MB_MAX = 4096;
/** Room for young objects: a page of decoded records outlives a small one and is copied again and again, a quarter of all the time. */
const YOUNG_MB_MAX = 64;
/** Below the gateway: where both want the processor, payments come first. */
const NICE = 10;
const STDERR_CHARS_MAX = 4096;

/** Runs a backtest in a process of its own, so that neither its work nor its garbage collection delays a payment. */
export function backtestInChild(order: BacktestOrder, onProgress: (share: number) => void, script = childScript()): BacktestProcess {
  const child = fork(script, [], {
    stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
    execArgv: [`--max-old-space-size=${HEAP_MB_MAX}`, `--max-semi-space-size=${YOUNG_MB_MAX}`],
  });
  let cancelled = false;
  const done = new Promise<BacktestResult | undefined>((resolve, reject) => {
    let stderr = '';
    let outcome: BacktestWord | undefined;
    const timer = setTimeout(() => child.kill('SIGKILL'), BACKTEST_MS_MAX);
    child.stderr?.on('data', (chunk: Buffer) => {
      if (stderr.length < STDERR_CHARS_MAX) stderr += chunk.toString('utf8');
    });
    child.on('message', (message) => {
      const word = message as BacktestWord;
      if ('progress' in word) onProgress(word.progress);
      else outcome = word;
    });
    child.once('error', (cause) => {
      clearTimeout(timer);
      reject(new GatehouseError('backtest_failed', 'the process of the backtest cannot be started', { cause }));
    });
    child.once('close', (code, signal) => {
      clearTimeout(timer);
      if (cancelled) resolve(undefined);
      else if (outcome && 'result' in outcome) resolve(outcome.result);
      else if (outcome && 'code' in outcome) reject(new GatehouseError(outcome.code, outcome.detail));
      else
        reject(
          new GatehouseError(
            'backtest_failed',
            `its process ended with ${signal ?? `exit code ${code}`}${stderr ? `: ${stderr.trim().split('\n')[0]}` : ''}`,
          ),
        );
    });
  });
  if (child.pid !== undefined) lower(child.pid);
  child.send(order);
  return {
    done,
    cancel() {
      cancelled = true;
      child.kill('SIGKILL');
    },
  };
}

/** Beside this module once it is compiled; in `dist` when the sources run as they are, as in tests. */
function childScript(): string {
  const beside = fileURLToPath(new URL('./backtest-child.js', import.meta.url));
  return existsSync(beside) ? beside : fileURLToPath(new URL('../../dist/gateway/rules/backtest-child.js', import.meta.url));
}

function lower(pid: number): void {
  try {
    setPriority(pid, NICE);
  } catch {
    // A system that does not let us: the backtest then shares the processor evenly, which the operating system's scheduler bears.
  }
}
