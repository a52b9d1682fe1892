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

export interface ServedGateway {
  readonly url: string;
  readonly controlUrl: string;
  /** What it wrote so far. */
  readonly text: { readonly stdout: string; readonly stderr: string };
  post<T>(path: string, body: unknown): Promise<T>;
  /** SIGTERM; resolves with the exit status when it is gone. */
  stop(): Promise<number | null>;
  kill(signal: NodeJS.Signals): void;
}

/** Starts `gatehouse serve` on free ports and resolves when it says that it listens. */
export async function serve(dataDir: string, env: Environment = {}): Promise<ServedGateway> {
  const child = start(['serve', '--data-dir', dataDir], {
    GATEHOUSE_PORT: '0',
    GATEHOUSE_CONTROL_PORT: '0',
    GATEHOUSE_SECRET_KEYS: KEYS.secret,
    GATEHOUSE_PUBLISHABLE_KEYS: KEYS.publishable,
    GATEHOUSE_ADMIN_TOKEN: KEYS.admin,
    GATEHOUSE_LOG_LEVEL: 'warn',
    ...env,
  });
  const text = textOf(child);
  const closed = new Promise<number | null>((resolve) => {
    child.once('close', (status) => resolve(status));
  });
  const ports = await new Promise<{ data: string; control: string }>((resolve, reject) => {
    const look = (): void => {
      const match = /data plane on port (\d+), control plane on port (\d+)/.exec(text.stdout);
      if (match) resolve({ data: match[1]!, control: match[2]! });
    };
    child.stdout!.on('data', look);
    void closed.then((status) => reject(new Error(`the gateway ended with ${status} before it listened:\n${text.stderr}`)));
  });
  const url = `http://127.0.0.1:${ports.data}`;
  return {
    url,
    controlUrl: `http://127.0.0.1:${ports.control}`,
    text,
    async post<T>(path: string, body: unknown): Promise<T> {
      const response = await fetch(`${url}${path}`, {
        method: 'POST',
        headers: { authorization: `Bearer ${KEYS.secret}`, 'content-type': 'application/json' },
        body: JSON.stringify(body),
      });
      const answer = (await response.json()) as T;
      if (!response.ok) throw new Error(`POST ${path}: ${response.status} ${JSON.stringify(answer)}`);
      return answer;
    },
    stop() {
      child.kill('SIGTERM');
      return closed;
    },
    kill(signal) {
      child.kill(signal);
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
