import { fork } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { ERRORS, type ErrorCode, GatehouseError } from '../contracts/errors.ts';

/** Loading a large index takes seconds; a model that takes longer than this would hold up the gateway too. */
const PROBE_MS_MAX = 60_000;

/** Of what a crashing child says, the first words tell. */
const STDERR_CHARS_MAX = 4096;

export interface ProbeOptions {
  /** Script of the child; the compiled probe-child.ts by default. */
  readonly script?: string;
  readonly timeoutMs?: number;
  /** The gateway's own: a bundle is probed with the features that it will be served with. */
  readonly featuresFile?: string | undefined;
}

/** What the child reports. */
export interface ProbeReport {
  readonly ok: boolean;
  readonly code?: string;
  readonly detail?: string;
}

/**
 * Loads a bundle and runs its models in a child process, so that a file that crashes native code takes only the child with it. Rejects with the
 * child's own error, or `bundle_probe_failed` when it crashed or took too long.
 */
export function probeInChild(dir: string, options: ProbeOptions = {}): Promise<void> {
  const { script = fileURLToPath(new URL('./probe-child.js', import.meta.url)), timeoutMs = PROBE_MS_MAX, featuresFile } = options;
  return new Promise((resolve, reject) => {
    const child = fork(script, featuresFile === undefined ? [dir] : [dir, featuresFile], {
      stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
      execArgv: [],
    });
    let report: ProbeReport | undefined;
    let stderr = '';
    let timedOut = false;
    const timer = setTimeout(() => {
      timedOut = true;
      child.kill('SIGKILL');
    }, timeoutMs);
    child.stderr?.on('data', (chunk: Buffer) => {
      if (stderr.length < STDERR_CHARS_MAX) stderr += chunk.toString('utf8');
    });
    child.on('message', (message) => {
      report = message as ProbeReport;
    });
    child.once('error', (cause) => {
      clearTimeout(timer);
      reject(new GatehouseError('bundle_probe_failed', 'the probe process cannot be started', { cause }));
    });
    // Not at `exit`: what the child said last may still be in the pipe then.
    child.once('close', (code, signal) => {
      clearTimeout(timer);
      if (report?.ok === true) resolve();
      else if (report) {
        const known = report.code !== undefined && Object.hasOwn(ERRORS, report.code);
        reject(new GatehouseError(known ? (report.code as ErrorCode) : 'bundle_probe_failed', report.detail ?? 'the probe failed'));
      } else {
        // The kernel kills with the same signal when memory runs out, so the signal alone does not tell.
        const how = timedOut ? `took longer than ${timeoutMs} ms` : `ended with ${signal ?? `exit code ${code}`}`;
        reject(new GatehouseError('bundle_probe_failed', `the probe process ${how}${stderr ? `: ${stderr.trim().split('\n')[0]}` : ''}`));
      }
    });
  });
}
