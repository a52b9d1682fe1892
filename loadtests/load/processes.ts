import { type ChildProcess, fork } from 'node:child_process';
import { existsSync } from 'node:fs';
import { cp, link, mkdir, mkdtemp, readdir, rm } from 'node:fs/promises';
import { arch, cpus, loadavg, platform, totalmem } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { type PreparedShop, rulesPath } from '../shop.ts';
import type { GeneratorMessage, Job, Round } from './generator.ts';
import type { TargetMessage, TargetRequest } from './target.ts';

/** A gateway with a million items reads them all before it listens: half a minute of its processor, and many times that on a machine that others keep busy. */
const START_MS_MAX = 1_800_000;
const STOP_MS_MAX = 30_000;
/** Beyond what its warm-up and rounds take, a generator has hung; making its requests ahead is seconds of a processor, and a busy machine makes more of them. */
const GENERATOR_GRACE_MS = 120_000;

/** How busy others keep the machine, in processes that want a core; to be read before the load begins. */
export function busyBefore(): string {
  return `${(loadavg()[0] ?? 0).toFixed(1)} processes of others wanted its cores when the run began`;
}

/** What stands above every table of figures. */
export function machine(): string {
  const list = cpus();
  const memoryGb = Math.round(totalmem() / 2 ** 30);
  return `${list.length} cores (${list[0]?.model.trim() || 'unknown model'}), ${memoryGb} GB, ${platform()} ${arch()}, Node ${process.versions.node}`;
}

export interface Usage {
  readonly cpuMs: number;
  readonly rssBytes: number;
}

/** A process under load. */
export interface Target {
  readonly port: number;
  readonly controlPort: number;
  usage(): Promise<Usage>;
  stop(): Promise<void>;
}

/** One that this module started itself. */
export interface StartedTarget extends Target {
  readonly started: Started;
}

/** What it took to start, from the fork on: until it listened, and until its index of the catalogue was there. */
export interface Started {
  readonly readyMs: number;
  readonly ready: Usage;
  readonly settledMs: number;
  readonly settled: Usage;
}

/** An index of a million items by content takes some minutes to build. */
const SETTLE_MS_MAX = 1_800_000;
/** Seldom: what the gateway does for each look is part of what it used until then. */
const SETTLE_POLL_MS = 1_000;

/** Waits until the gateway has built its index of the catalogue, in a child that would take the load's second core. */
async function isSettled(controlPort: number): Promise<void> {
  for (let waitedMs = 0; waitedMs < SETTLE_MS_MAX; waitedMs += SETTLE_POLL_MS) {
    const metrics = await (await fetch(`http://127.0.0.1:${controlPort}/metrics`)).text();
    const figure = (name: string): string | undefined => new RegExp(`gatehouse_content_index\\{figure="${name}"\\} (\\d+)`).exec(metrics)?.[1];
    if (figure('isCompacting') === '0' && figure('delta') === '0') return;
    await sleep(SETTLE_POLL_MS);
  }
  throw new Error(`the gateway was still building its index of the catalogue after ${SETTLE_MS_MAX} ms`);
}

export interface TargetOptions {
  readonly what: 'echo' | 'gateway';
  readonly env?: Readonly<Record<string, string>>;
  /** Folder for a CPU profile of the process. */
  readonly profileDir?: string | undefined;
  /** Whether a gateway has an index of its catalogue to wait for; true where absent. */
  readonly hasContent?: boolean;
}

export async function startTarget({ what, env = {}, profileDir, hasContent = true }: TargetOptions): Promise<StartedTarget> {
  const forkedMs = performance.now();
  const child = fork(fileURLToPath(new URL('./target.js', import.meta.url)), [what], {
    env: { PATH: process.env['PATH'] ?? '', ...env },
    execArgv: profileDir === undefined ? [] : ['--cpu-prof', '--cpu-prof-dir', profileDir],
  });
  const ask = async (): Promise<Usage> => {
    const answer = nextMessage<TargetMessage>(child, START_MS_MAX);
    child.send('usage' satisfies TargetRequest);
    const message = await answer;
    if (message.kind !== 'usage') throw new Error(`the ${what} answered ${message.kind} instead of its usage`);
    return message;
  };
  let first: TargetMessage;
  try {
    first = await nextMessage<TargetMessage>(child, START_MS_MAX);
    if (first.kind !== 'ready') throw new Error(`the ${what} did not start: ${first.kind === 'failed' ? first.reason : first.kind}`);
  } catch (cause) {
    // Its channel to this process would keep it alive for ever.
    child.kill('SIGKILL');
    throw cause;
  }
  const readyMs = performance.now() - forkedMs;
  const ready = await ask();
  if (what === 'gateway' && hasContent) await isSettled(first.controlPort);
  const settledMs = performance.now() - forkedMs;
  const started = { readyMs, ready, settledMs, settled: await ask() };
  return {
    port: first.port,
    controlPort: first.controlPort,
    started,
    usage: ask,
    async stop() {
      const exited = exitOf(child, STOP_MS_MAX);
      child.send('stop' satisfies TargetRequest);
      await exited;
    },
  };
}

/** A copy of the shop for one gateway: its own store; the bundle and the index of content by hard links, as nobody writes into a file of theirs. */
export async function copyShop(shopDir: string): Promise<{ dataDir: string; remove: () => Promise<void> }> {
  const dataDir = await mkdtemp(`${shopDir}-run-`);
  await cp(join(shopDir, 'store'), join(dataDir, 'store'), { recursive: true });
  for (const name of ['bundles', 'content']) {
    if (existsSync(join(shopDir, name))) await linkFolder(join(shopDir, name), join(dataDir, name));
  }
  return { dataDir, remove: () => rm(dataDir, { recursive: true, force: true }) };
}

async function linkFolder(from: string, to: string): Promise<void> {
  await mkdir(to, { recursive: true });
  for (const entry of await readdir(from, { withFileTypes: true })) {
    if (entry.isDirectory()) await linkFolder(join(from, entry.name), join(to, entry.name));
    else await link(join(from, entry.name), join(to, entry.name));
  }
}

/** The settings of a gateway under load: shipped defaults but for ports, log, keys and rules. */
export function gatewayEnv(shop: PreparedShop, shopDir: string, dataDir: string, extra: Readonly<Record<string, string>>): Record<string, string> {
  return {
    GATEHOUSE_DATA_DIR: dataDir,
    GATEHOUSE_PORT: '0',
    GATEHOUSE_CONTROL_PORT: '0',
    GATEHOUSE_LOG_LEVEL: 'warn',
    GATEHOUSE_SECRET_KEYS: shop.secretKey,
    GATEHOUSE_RULES_FILE: rulesPath(shopDir),
    ...extra,
  };
}

export interface Driven {
  readonly rounds: readonly Round[];
  /** Cores that the target used over the timed rounds. */
  readonly targetCores: number;
  readonly rssBytes: number;
}

/** Runs one generator process against a target, and measures what the target used over the timed rounds. */
export async function drive(target: Target, job: Job): Promise<Driven> {
  const child = fork(fileURLToPath(new URL('./generator.js', import.meta.url)), [], {
    execArgv: [],
    // A quantile of no answers is NaN, which JSON would turn into null.
    serialization: 'advanced',
  });
  const limitMs = job.warmupMs + job.rounds * job.roundMs + GENERATOR_GRACE_MS;
  const rounds: Round[] = [];
  let before: Promise<Usage> | undefined;
  let startMs = 0;
  const finished = new Promise<{ usage: Promise<Usage>; elapsedMs: number }>((resolve, reject) => {
    const timer = setTimeout(() => {
      child.kill('SIGKILL');
      reject(new Error(`the generator did not end in ${limitMs} ms`));
    }, limitMs);
    child.on('message', (raw) => {
      const message = raw as GeneratorMessage;
      if (message.kind === 'begin') {
        startMs = performance.now();
        before = target.usage();
      } else if (message.kind === 'round') {
        rounds.push(message.round);
      } else if (message.kind === 'end') {
        clearTimeout(timer);
        resolve({ usage: target.usage(), elapsedMs: performance.now() - startMs });
      } else {
        clearTimeout(timer);
        reject(new Error(`the generator failed: ${message.reason}`));
      }
    });
    child.once('exit', (code) => {
      clearTimeout(timer);
      reject(new Error(`the generator ended with code ${code}`));
    });
  });
  const exited = exitOf(child, limitMs);
  child.send(job);
  try {
    const { usage, elapsedMs } = await finished;
    const [from, to] = [await before, await usage];
    if (from === undefined) throw new Error('the generator ended before it began');
    return { rounds, targetCores: (to.cpuMs - from.cpuMs) / elapsedMs, rssBytes: to.rssBytes };
  } finally {
    await exited;
  }
}

export function nextMessage<T>(child: ChildProcess, limitMs: number): Promise<T> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => settle(() => reject(new Error(`a child process said nothing in ${limitMs} ms`))), limitMs);
    const onMessage = (message: unknown): void => settle(() => resolve(message as T));
    const onExit = (code: number | null): void => settle(() => reject(new Error(`a child process ended with code ${code}`)));
    const settle = (finish: () => void): void => {
      clearTimeout(timer);
      child.off('message', onMessage);
      child.off('exit', onExit);
      finish();
    };
    child.once('message', onMessage);
    child.once('exit', onExit);
  });
}

/** Resolves when the child has gone; one that stays is killed. */
export function exitOf(child: ChildProcess, limitMs: number): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return Promise.resolve();
  return new Promise((resolve) => {
    const timer = setTimeout(() => child.kill('SIGKILL'), limitMs);
    child.once('exit', () => {
      clearTimeout(timer);
      resolve();
    });
  });
}
