import { spawn } from 'node:child_process';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { exitOf, type Target, type Usage } from '../load/processes.ts';

/** A service imports its libraries and trains its model before it listens. */
const START_MS_MAX = 60_000;
const STOP_MS_MAX = 10_000;
const POLL_MS = 50;
const ROOT = fileURLToPath(new URL('../../../', import.meta.url));
/** What `python-env.sh` makes. */
export const PYTHON = join(ROOT, '.venv-peers/bin/python');
/** Of `/proc/<pid>/stat`, counted behind the name's closing bracket: user and system time in clock ticks, resident pages. */
const [USER_TIME, SYSTEM_TIME, RESIDENT] = [11, 12, 21];
/** Linux, for user space, on every architecture. */
const TICKS_PER_S = 100;
const PAGE_BYTES = 4096;

export interface PythonServiceOptions {
  /** The file beside this one that holds it, without `.py`. */
  readonly service: 'score_service' | 'recommend_service';
  readonly workers: number;
  /** Its settings, named in the head of the file. */
  readonly env: Readonly<Record<string, string>>;
}

/** A service under uvicorn, as a target of the load generator. */
export async function startPythonService({ service, workers, env }: PythonServiceOptions): Promise<Target> {
  const folder = await mkdtemp(join(tmpdir(), 'gatehouse-peer-'));
  const pids = join(folder, 'pids');
  const port = await freePort();
  const child = spawn(
    PYTHON,
    [
      '-m',
      'uvicorn',
      `${service}:app`,
      '--host',
      '127.0.0.1',
      '--port',
      String(port),
      '--workers',
      String(workers),
      '--no-access-log',
      '--log-level',
      'warning',
    ],
    {
      cwd: join(ROOT, 'loadtests/peers'),
      stdio: ['ignore', 'ignore', 'inherit'],
      env: {
        PATH: process.env['PATH'] ?? '',
        PYTHONDONTWRITEBYTECODE: '1',
        PEER_USAGE: pids,
        ...env,
      },
    },
  );
  const stop = async (): Promise<void> => {
    const exited = exitOf(child, STOP_MS_MAX);
    child.kill('SIGTERM');
    await exited;
    await rm(folder, { recursive: true, force: true });
  };
  const workerIds = async (): Promise<string[]> => (await readFile(pids, 'utf8').catch(() => '')).split('\n').filter((line) => line !== '');
  try {
    for (let waitedMs = 0; (await workerIds()).length < workers || !(await answers(port)); waitedMs += POLL_MS) {
      if (child.exitCode !== null) throw new Error(`the service ended with code ${child.exitCode}`);
      if (waitedMs > START_MS_MAX) throw new Error(`the service did not listen within ${START_MS_MAX} ms`);
      await sleep(POLL_MS);
    }
  } catch (cause) {
    await stop();
    throw cause;
  }
  return { port, controlPort: 0, usage: async () => usageOf(await workerIds()), stop };
}

/** uvicorn can't say which port it was given: one is taken and let go. */
async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  await new Promise<void>((resolve) => server.close(() => resolve()));
  if (address === null || typeof address === 'string') throw new Error('no port');
  return address.port;
}

async function answers(port: number): Promise<boolean> {
  return fetch(`http://127.0.0.1:${port}/openapi.json`).then(
    (response) => response.ok,
    () => false,
  );
}

async function usageOf(pids: readonly string[]): Promise<Usage> {
  let [cpuMs, rssBytes] = [0, 0];
  for (const pid of pids) {
    const text = await readFile(`/proc/${pid}/stat`, 'utf8');
    const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
    cpuMs += ((Number(fields[USER_TIME]) + Number(fields[SYSTEM_TIME])) * 1000) / TICKS_PER_S;
    rssBytes += Number(fields[RESIDENT]) * PAGE_BYTES;
  }
  return { cpuMs, rssBytes };
}
