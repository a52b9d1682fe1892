import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const MAIN = fileURLToPath(new URL('../../dist/cli/main.js', import.meta.url));

/** Keys of the gateways that tests start. They open nothing else. */
export const KEYS = {
  secret: `gh_sec_${'s'.repeat(43)}`,
  publishable: `gh_pub_${'p'.repeat(43)}`,
  admin: `gh_adm_${'a'.repeat(43)}`,
} as const;

export interface CommandResult {
  readonly status: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

type Environment = Readonly<Record<string, string>>;

/** What this process has of GATEHOUSE_ settings must not leak into the commands under test. */
function environment(extra: Environment): NodeJS.ProcessEnv {
  const inherited = Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith('GATEHOUSE_')));
  return { ...inherited, ...extra };
}

function start(args: readonly string[], env: Environment): ChildProcess {
  if (!existsSync(MAIN)) throw new Error('the command line is not built: npm run build');
  return spawn(process.execPath, [MAIN, ...args], { env: environment(env), stdio: ['ignore', 'pipe', 'pipe'] });
}

function textOf(child: ChildProcess): { stdout: string; stderr: string } {
  const text = { stdout: '', stderr: '' };
  child.stdout!.setEncoding('utf8').on('data', (chunk: string) => {
    text.stdout += chunk;
  });
  child.stderr!.setEncoding('utf8').on('data', (chunk: string) => {
    text.stderr += chunk;
  });
  return text;
}

/** Runs a command of the built `gatehouse` to its end. */
export function run(args: readonly string[], env: Environment = {}): Promise<CommandResult> {
  const child = start(args, env);
  const text = textOf(child);
  return new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (status) => resolve({ status, ...text }));
  });
}

/** As `run`, and throws with what the command said unless it succeeds. */
export async function runOk(args: readonly string[], env: Environment = {}): Promise<CommandResult> {
  const result = await run(args, env);
  if (result.status !== 0) throw new Error(`gatehouse ${args.join(' ')} ended with ${result.status}:\n${result.stderr}`);
  return result;
}

export interface RunningCommand {
  readonly text: { readonly stdout: string; readonly stderr: string };
  /** Resolves when it has written this to stderr, where progress goes; rejects when it ends before. */
  saying(pattern: RegExp): Promise<void>;
  interrupt(): void;
  readonly ended: Promise<CommandResult>;
}

/** Starts a command that is going to be interrupted, as by Ctrl-C. */
export function begin(args: readonly string[], env: Environment = {}): RunningCommand {
  const child = start(args, env);
  const text = textOf(child);
  const ended = closing(child).then((status) => ({ status, ...text }));
  return {
    text,
    ended,
    saying: (pattern) =>
      new Promise((resolve, reject) => {
        const look = (): void => {
          if (pattern.test(text.stderr)) resolve();
        };
        child.stderr!.on('data', look);
        look();
        void ended.then(({ status, stderr }) => reject(new Error(`the command ended with ${status} before it said ${pattern}:\n${stderr}`)));
      }),
    interrupt: () => {
      child.kill('SIGINT');
    },
  };
}

export interface ServedGateway {
  readonly url: string;
  readonly controlUrl: string;
  /** What it wrote so far. */
  readonly text: { readonly stdout: string; readonly stderr: string };
  post<T>(path: string, body: unknown): Promise<T>;
  /** Asks the control plane; throws unless it is done. */
  control<T>(method: string, path: string, body?: unknown): Promise<T>;
  /** SIGTERM; resolves with the exit status when it is gone. */
  stop(): Promise<number | null>;
}

const FREE_PORTS: Environment = { GATEHOUSE_PORT: '0', GATEHOUSE_CONTROL_PORT: '0' };

/** Resolves with the match when the command has printed it; rejects with what it said when it ends before. */
function printed(
  child: ChildProcess,
  text: { stdout: string; stderr: string },
  closed: Promise<number | null>,
  pattern: RegExp,
): Promise<RegExpExecArray> {
  return new Promise((resolve, reject) => {
    child.stdout!.on('data', () => {
      const match = pattern.exec(text.stdout);
      if (match) resolve(match);
    });
    void closed.then((status) => reject(new Error(`the command ended with ${status} before it was ready:\n${text.stderr}`)));
  });
}

function closing(child: ChildProcess): Promise<number | null> {
  return new Promise((resolve) => {
    child.once('close', (status) => resolve(status));
  });
}

export interface StartedDemo {
  readonly url: string;
  readonly controlUrl: string;
  readonly adminToken: string;
  readonly secretKey: string;
  /** The curl lines that it proposes. */
  readonly lines: readonly string[];
  readonly text: { readonly stdout: string; readonly stderr: string };
  stop(): Promise<number | null>;
}

/** Starts the demo on free ports and resolves when it says that it is ready. */
export async function startDemo(dataDir: string, options: readonly string[]): Promise<StartedDemo> {
  const child = start(['start', '--data-dir', dataDir, ...options], FREE_PORTS);
  const text = textOf(child);
  const closed = closing(child);
  await printed(child, text, closed, /Ctrl-C stops it/);
  const word = (pattern: RegExp): string => pattern.exec(text.stdout)![1]!;
  return {
    url: word(/data plane +(\S+)/),
    controlUrl: word(/control plane +(\S+)/),
    adminToken: word(/admin token +(\S+)/),
    secretKey: word(/secret key +(\S+)/),
    lines: text.stdout.split('\n').filter((line) => line.includes('curl ')),
    text,
    stop() {
      child.kill('SIGTERM');
      return closed;
    },
  };
}

async function ask<T>(method: string, url: string, path: string, key: string, body: unknown): Promise<T> {
  const response = await fetch(`${url}${path}`, {
    method,
    headers: { authorization: `Bearer ${key}`, ...(body === undefined ? {} : { 'content-type': 'application/json' }) },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
  const answer = (await response.json()) as T;
  if (!response.ok) throw new Error(`${method} ${path}: ${response.status} ${JSON.stringify(answer)}`);
  return answer;
}

/** Starts `gatehouse serve` on free ports and resolves when it says that it listens. */
export async function serve(dataDir: string, env: Environment = {}): Promise<ServedGateway> {
  const child = start(['serve', '--data-dir', dataDir], {
    ...FREE_PORTS,
    GATEHOUSE_SECRET_KEYS: KEYS.secret,
    GATEHOUSE_PUBLISHABLE_KEYS: KEYS.publishable,
    GATEHOUSE_ADMIN_TOKEN: KEYS.admin,
    GATEHOUSE_LOG_LEVEL: 'warn',
    ...env,
  });
  const text = textOf(child);
  const closed = closing(child);
  const [, dataPort, controlPort] = await printed(child, text, closed, /data plane on port (\d+), control plane on port (\d+)/);
  const url = `http://127.0.0.1:${dataPort}`;
  const controlUrl = `http://127.0.0.1:${controlPort}`;
  return {
    url,
    controlUrl,
    text,
    post: (path, body) => ask('POST', url, path, KEYS.secret, body),
    control: (method, path, body) => ask(method, controlUrl, path, KEYS.admin, body),
    stop() {
      child.kill('SIGTERM');
      return closed;
    },
  };
}

/** Runs `work` over `inputs` with so many at once, and keeps the order of the answers. */
export async function inParallel<T, R>(inputs: readonly T[], atOnce: number, work: (input: T) => Promise<R>): Promise<R[]> {
  const answers = new Array<R>(inputs.length);
  let next = 0;
  const worker = async (): Promise<void> => {
    for (let i = next++; i < inputs.length; i = next++) answers[i] = await work(inputs[i]!);
  };
  await Promise.all(Array.from({ length: atOnce }, worker));
  return answers;
}
