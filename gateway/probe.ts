import { fork } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { ERRORS, type ErrorCode, GatehouseError } from '../contracts/errors.ts';

/** Loading a large index takes seconds; a model that takes longer than this would hold up the gateway too. */
const PROBE_MS_MAX = 60_000;

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
export function probeInChild(dir: string): Promise<void> {
  return new Promise((resolve, reject) => {
    const child = fork(fileURLToPath(new URL('./probe-child.js', import.meta.url)), [dir], {
      stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
      execArgv: [],
    });
    let report: ProbeReport | undefined;
    let stderr = '';
    const timer = setTimeout(() => child.kill('SIGKILL'), PROBE_MS_MAX);
    child.stderr?.on('data', (chunk: Buffer) => {
      if (stderr.length < 4096) stderr += chunk.toString('utf8');
    });
    child.on('message', (message) => {
      report = message as ProbeReport;
    });
    child.once('error', (cause) => {
      clearTimeout(timer);
      reject(new GatehouseError('bundle_probe_failed', 'the probe process cannot be started', { cause }));
    });
    child.once('exit', (code, signal) => {
      clearTimeout(timer);
      if (report?.ok) resolve();
      else if (report) {
        const known = report.code !== undefined && Object.hasOwn(ERRORS, report.code);
        reject(new GatehouseError(known ? (report.code as ErrorCode) : 'bundle_probe_failed', report.detail ?? 'the probe failed'));
      } else {
        const how = signal === 'SIGKILL' ? `took longer than ${PROBE_MS_MAX} ms` : `ended with ${signal ?? `exit code ${code}`}`;
        reject(new GatehouseError('bundle_probe_failed', `the probe process ${how}${stderr ? `: ${stderr.trim().split('\n')[0]}` : ''}`));
      }
    });
  });
}
