import { type ChildProcess, spawn } from 'node:child_process';
import { connect, type Socket } from 'node:net';
import { fileURLToPath } from 'node:url';
import { ADMIN_TOKEN, ORIGIN, PUBLISHABLE_KEY, SECRET_KEY } from '../../gateway/data/data.suite.ts';

/** How the gateway is started as a process; `npm run build` makes it. */
export const COMMAND: readonly string[] = [process.execPath, fileURLToPath(new URL('../../dist/cli/main.js', import.meta.url)), 'serve'];

export interface Ended {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stderr: string;
}

export type Settings = Readonly<Record<`GATEHOUSE_${string}`, string>>;

/** A gateway in a process of its own. */
export class GatewayProcess {
  /** Resolves when it is gone, whatever the reason. */
  readonly ended: Promise<Ended>;
  dataPort = 0;
  controlPort = 0;
  #stdout = '';
  readonly #child: ChildProcess;

  /** `limit` is a shell line that runs before the gateway, such as `ulimit -f 8192`. */
  constructor(dataDir: string, settings: Settings = {}, limit = '') {
    const command = limit === '' ? COMMAND : ['/bin/sh', '-c', `${limit}; exec "$0" "$@"`, ...COMMAND];
    this.#child = spawn(command[0]!, command.slice(1), {
      stdio: ['ignore', 'pipe', 'pipe'],
      env: {
        PATH: process.env['PATH'] ?? '',
        GATEHOUSE_DATA_DIR: dataDir,
        GATEHOUSE_PORT: '0',
        GATEHOUSE_CONTROL_PORT: '0',
        GATEHOUSE_SECRET_KEYS: SECRET_KEY,
        GATEHOUSE_PUBLISHABLE_KEYS: PUBLISHABLE_KEY,
        GATEHOUSE_ADMIN_TOKEN: ADMIN_TOKEN,
        GATEHOUSE_ALLOWED_ORIGINS: ORIGIN,
        // A busy test machine must not look like overload.
        GATEHOUSE_EVENT_LOOP_DELAY_MAX_MS: '60000',
        ...settings,
      },
    });
    let stderr = '';
    this.#child.stderr?.on('data', (chunk: Buffer) => {
      stderr += chunk.toString();
    });
    this.#child.stdout?.on('data', (chunk: Buffer) => {
      this.#stdout += chunk.toString();
    });
    this.ended = new Promise((resolve) => this.#child.once('close', (code, signal) => resolve({ code, signal, stderr })));
  }

  /** Log lines so far, parsed; what is no JSON is left out. */
  get log(): { readonly level: number; readonly msg: string; readonly err?: { readonly code?: string } }[] {
    return this.#stdout
      .split('\n')
      .filter((line) => line.startsWith('{'))
      .map((line) => JSON.parse(line) as GatewayProcess['log'][number]);
  }

  /** Resolves when it serves; rejects with what it said when it ends instead. */
  async ready(): Promise<this> {
    const child = this.#child;
    const serving = new Promise<void>((resolve) => {
      const look = (): void => {
        const ports = /data plane on port (\d+), control plane on port (\d+)/.exec(this.#stdout);
        if (!ports) return;
        this.dataPort = Number(ports[1]);
        this.controlPort = Number(ports[2]);
        child.stdout?.off('data', look);
        resolve();
      };
      child.stdout?.on('data', look);
    });
    await Promise.race([
      serving,
      this.ended.then(({ code, stderr }) => {
        throw new Error(`the gateway ended with ${code}: ${stderr}`);
      }),
    ]);
    return this;
  }

  kill(signal: NodeJS.Signals): void {
    this.#child.kill(signal);
  }

  /** Stops it for good, if it still runs. */
  async destroy(): Promise<void> {
    this.#child.kill('SIGKILL');
    await this.ended;
  }

  async ask<T>(method: string, path: string, body?: unknown): Promise<{ readonly status: number; readonly body: T }> {
    const response = await fetch(`http://127.0.0.1:${this.dataPort}${path}`, {
      method,
      headers: { authorization: `Bearer ${SECRET_KEY}`, ...(body === undefined ? {} : { 'content-type': 'application/json' }) },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    return { status: response.status, body: (await response.json()) as T };
  }

  async control<T>(method: string, path: string): Promise<{ readonly status: number; readonly body: T }> {
    const headers = { authorization: `Bearer ${ADMIN_TOKEN}` };
    const response = await fetch(`http://127.0.0.1:${this.controlPort}${path}`, { method, headers });
    return { status: response.status, body: (await response.json()) as T };
  }
}

/** A connection that sends raw text and collects what comes back. */
export class RawConnection {
  received = '';
  readonly closed: Promise<void>;
  readonly #socket: Socket;
  #look: () => void = () => undefined;

  private constructor(socket: Socket) {
    this.#socket = socket;
    socket.on('data', (chunk: Buffer) => {
      this.received += chunk.toString('latin1');
      this.#look();
    });
    socket.on('error', () => undefined);
    this.closed = new Promise((resolve) => socket.once('close', () => resolve()));
  }

  /** Rejects with ECONNREFUSED when nobody listens. */
  static open(port: number): Promise<RawConnection> {
    return new Promise((resolve, reject) => {
      const socket = connect(port, '127.0.0.1');
      socket.once('error', reject);
      socket.once('connect', () => resolve(new RawConnection(socket)));
    });
  }

  write(text: string): void {
    this.#socket.write(text);
  }

  /** Resolves once `pattern` has come; rejects when the connection ends without it. */
  async until(pattern: RegExp): Promise<void> {
    const seen = new Promise<void>((resolve) => {
      this.#look = () => {
        if (pattern.test(this.received)) resolve();
      };
      this.#look();
    });
    await Promise.race([
      seen,
      this.closed.then(() => {
        if (!pattern.test(this.received)) throw new Error(`closed before ${pattern}: ${this.received}`);
      }),
    ]);
  }

  end(): void {
    this.#socket.destroy();
  }
}
