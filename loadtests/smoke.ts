/**
 * Smoke test with k6: starts a gateway with a small prepared shop and runs each script against it. Any broken threshold fails the run.
 *
 *   npm run build && node dist/loadtests/smoke.js --help
 */
import { spawn } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Command } from 'commander';
import { copyShop, gatewayEnv, startTarget } from './load/processes.ts';
import { type PreparedShop, prepareShop } from './shop.ts';

interface Options {
  readonly k6: string;
  readonly rate: string;
  readonly duration: string;
  readonly only?: string;
}

const SHOP = { items: 2_000, users: 1_000, seed: 1 };
/** k6 bounds its own runs; this one is for a k6 that hangs. */
const RUN_MS_MAX = 120_000;
const ESBUILD = 'esbuild@0.28.2';
const SCRIPTS = ['recommend', 'score', 'score-msgpack', 'stream'] as const;

/** The scripts are not compiled: they lie in the source folder, beside the built one. */
const ROOT = join(dirname(fileURLToPath(import.meta.url)), '..', '..');
const scriptPath = (name: string): string => join(ROOT, 'loadtests', 'k6', `${name}.js`);

async function main(options: Options): Promise<void> {
  const wanted = options.only?.split(',') ?? SCRIPTS;
  const root = await mkdtemp(join(tmpdir(), 'gatehouse-smoke-'));
  const shopDir = join(root, 'shop');
  try {
    const shop = await prepareShop(shopDir, SHOP, Date.now(), (text) => process.stderr.write(`preparing: ${text}\n`));
    const copy = await copyShop(shopDir);
    const target = await startTarget({ what: 'gateway', env: gatewayEnv(shop, shopDir, copy.dataDir, {}) });
    try {
      for (const name of wanted) await runScript(name, root, target.port, shop, options);
    } finally {
      await target.stop();
    }
  } finally {
    await rm(root, { recursive: true, force: true });
  }
}

async function runScript(name: string, workDir: string, port: number, shop: PreparedShop, { k6, rate, duration }: Options): Promise<void> {
  const path = name === 'score-msgpack' ? await bundle(name, workDir) : scriptPath(name);
  const settings = {
    BASE_URL: `http://127.0.0.1:${port}`,
    KEY: shop.secretKey,
    ITEMS: String(shop.items),
    USERS: String(shop.users),
    RATE: rate,
    DURATION: duration,
  };
  const env = Object.entries(settings).flatMap(([key, value]) => ['-e', `${key}=${value}`]);
  process.stderr.write(`k6: ${name}\n`);
  await run(k6, ['run', '--quiet', '--no-usage-report', ...env, path]);
}

/** Packs the script with @msgpack/msgpack into one file that k6 can parse: it lacks the loops over async iterators. */
async function bundle(name: string, workDir: string): Promise<string> {
  const out = join(workDir, `${name}.js`);
  const flags = ['--bundle', '--format=esm', '--target=es2017', '--supported:async-generator=false', '--supported:for-await=false'];
  await run('npx', ['--yes', ESBUILD, scriptPath(name), ...flags, '--external:k6', '--external:k6/*', '--log-level=warning', `--outfile=${out}`]);
  return out;
}

function run(command: string, args: readonly string[]): Promise<void> {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, { cwd: ROOT, stdio: 'inherit', timeout: RUN_MS_MAX });
    child.once('error', (cause) => reject(new Error(`${command} cannot be started`, { cause })));
    child.once('exit', (code, signal) => {
      if (code === 0) resolve();
      else reject(new Error(`${command} ${args.at(-1)} failed: ${signal ?? `exit code ${code}`}`));
    });
  });
}

const program = new Command('smoke')
  .description('Short k6 runs against a gateway with a prepared shop; a broken threshold fails the run')
  .option('--k6 <path>', 'the k6 program', 'k6')
  .option('--rate <n>', 'requests a second', '50')
  .option('--duration <time>', 'how long each script runs', '10s')
  .option('--only <list>', `some of: ${SCRIPTS.join(', ')}`);

await main(program.parse().opts<Options>());
