import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { connectRedis } from './redis.ts';

/** A redis-server that starts takes a few ms; this is for a machine under heavy load. */
const START_MS_MAX = 10_000;

/** A private redis-server on a unix socket, with an append-only file that is synced at every write. */
export class RedisServer {
  readonly #folder = mkdtempSync(join(tmpdir(), 'gatehouse-redis-'));
  readonly url = `unix://${join(this.#folder, 'redis.sock')}`;
  #process: ChildProcess | undefined;

  async start(): Promise<void> {
    const socket = join(this.#folder, 'redis.sock');
    const options = {
      ...{ port: '0', unixsocket: socket, dir: this.#folder, save: '', appendonly: 'yes', appendfsync: 'always' },
      // Uncompressed, so that tests can look for what must not be there any more.
      rdbcompression: 'no',
    };
    this.#process = spawn(
      'redis-server',
      Object.entries(options).flatMap(([name, value]) => [`--${name}`, value]),
      { stdio: 'ignore' },
    );
    const endMs = performance.now() + START_MS_MAX;
    for (;;) {
      try {
        const link = await connectRedis(this.url);
        try {
          // Refused while the append-only file is read.
          await link.call('PING');
          return;
        } finally {
          link.close();
        }
      } catch (error) {
        if (performance.now() > endMs) throw error;
        await sleep(20);
      }
    }
  }

  /** kill -9. */
  async kill(): Promise<void> {
    const child = this.#process;
    if (child === undefined) return;
    this.#process = undefined;
    const gone = new Promise((resolve) => child.once('exit', resolve));
    child.kill('SIGKILL');
    await gone;
  }

  /** Everything that its files hold. */
  fileBytes(): Buffer {
    const files = readdirSync(this.#folder, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile());
    return Buffer.concat(files.map(({ parentPath, name }) => readFileSync(join(parentPath, name))));
  }

  /** Stop answering without closing connections; `resume` goes on. */
  pause(): void {
    this.#process?.kill('SIGSTOP');
  }

  resume(): void {
    this.#process?.kill('SIGCONT');
  }

  async destroy(): Promise<void> {
    await this.kill();
    rmSync(this.#folder, { recursive: true, force: true });
  }
}
