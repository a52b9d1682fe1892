import { existsSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Command } from 'commander';
import { copyShop, drive, gatewayEnv, machine, startTarget, type Target } from '../load/processes.ts';
import { DOCS_PAGE, type Measured, measured, table, type Verdict, verdictTable, writeDocs } from '../load/report.ts';
import type { Workload } from '../load/workloads.ts';
import { type PreparedShop, prepareShop } from '../shop.ts';
import { PYTHON } from './python-service.ts';

/** The shop that all are asked about. */
export const SHOP = { items: 100_000, users: 20_000, seed: 1 };

/** What the command line says. */
export interface PeerOptions {
  readonly connections: string;
  readonly warmup: string;
  readonly rounds: string;
  readonly round: string;
  readonly workers: string;
  readonly writeDocs?: string | true;
}

/** The command line of a comparison. */
export function peerProgram(name: string, description: string, connections: number): Command {
  return new Command(name)
    .description(description)
    .option('--connections <n>', 'connections', String(connections))
    .option('--warmup <s>', 'seconds before the timed rounds', '3')
    .option('--rounds <n>', 'timed rounds', '5')
    .option('--round <s>', 'seconds of a round', '3')
    .option('--workers <n>', 'processes of the Python services; the gateway has one', '1')
    .option('--write-docs [page]', `put the tables into ${DOCS_PAGE}, or the page named`);
}

export const say = (text: string): void => {
  process.stderr.write(`${text}\n`);
};

/** One run of several services, each started, driven alone and stopped. */
export class SideBySide {
  readonly rows: Measured[] = [];
  readonly #options: PeerOptions;
  readonly #shopDir: string;
  readonly #shop: PreparedShop;

  private constructor(options: PeerOptions, shopDir: string, shop: PreparedShop) {
    this.#options = options;
    this.#shopDir = shopDir;
    this.#shop = shop;
  }

  static async prepare(options: PeerOptions): Promise<SideBySide> {
    if (!existsSync(PYTHON)) throw new Error('there is no .venv-peers: run sh loadtests/peers/python-env.sh first');
    const shopDir = join(tmpdir(), `gatehouse-load-${SHOP.items}-${SHOP.users}-${SHOP.seed}`);
    return new SideBySide(options, shopDir, await prepareShop(shopDir, SHOP, Date.now(), (text) => say(`preparing: ${text}`)));
  }

  get workers(): number {
    return Number(this.#options.workers);
  }

  async gateway(name: string, workload: Workload): Promise<void> {
    const copy = await copyShop(this.#shopDir);
    try {
      await this.measure(name, await startTarget({ what: 'gateway', env: gatewayEnv(this.#shop, this.#shopDir, copy.dataDir, {}) }), workload);
    } finally {
      await copy.remove();
    }
  }

  /** `columns` are the feature values in a request of the `features` workload. */
  async measure(name: string, target: Target, workload: Workload, columns = 0): Promise<void> {
    say(name);
    const { warmup, rounds, round } = this.#options;
    const connections = Number(this.#options.connections);
    try {
      const driven = await drive(target, {
        port: target.port,
        connections,
        warmupMs: Number(warmup) * 1000,
        rounds: Number(rounds),
        roundMs: Number(round) * 1000,
        spec: { workload, key: this.#shop.secretKey, items: SHOP.items, users: SHOP.users, seed: SHOP.seed, columns, run: 'peers0' },
      });
      this.rows.push(measured(name, connections, 'requests', driven));
    } finally {
      await target.stop();
    }
  }

  /** Prints the tables, and puts them between the page's markers where that was asked for. `what` says what was compared. */
  async report(busy: string, what: string, verdicts: readonly Verdict[], markers: string): Promise<void> {
    const { workers, rounds, round, warmup } = this.#options;
    const report = [
      `${machine()}; ${busy}. ${new Date().toISOString().slice(0, 10)}. ${what}; workers of uvicorn: ${workers}; medians of ${rounds} rounds of ${round} s after ${warmup} s of warm-up.`,
      '',
      table(this.rows, ''),
      '',
      verdictTable(verdicts),
    ].join('\n');
    process.stdout.write(`${report}\n`);
    await writeDocs(this.#options.writeDocs, markers, report);
  }
}
