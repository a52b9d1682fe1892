import { fork, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Command } from 'commander';
import { GatehouseError } from '../contracts/errors.ts';
import { generateKey } from '../gateway/auth/keys.ts';
import { type Config, readConfig } from '../gateway/config.ts';
import { startGateway } from '../gateway/main.ts';
import { makeDataDir } from '../gateway/resources.ts';
import { configOf, positiveNumber, wholeNumber } from './shared.ts';
import { shopOf } from './simulate.ts';
import { untilStopped } from './stop.ts';

/** Every demo is the same shop, of the size that is asked for. */
const SEED = 1;
const MAIN = fileURLToPath(new URL('./main.js', import.meta.url));

/** What the demo remembers between starts, in `demo.json` of the data folder. The keys open a made-up shop on this machine and nothing else. */
interface Demo {
  /** Options of `gatehouse simulate`: they name the shop. */
  readonly shop: Readonly<Record<string, number>>;
  readonly secretKey: string;
  readonly publishableKey: string;
  readonly adminToken: string;
  /** False: begun with --no-demo. What is in there came over the API, and no simulated shop may mix with it. */
  readonly simulated: boolean;
  readonly ready: boolean;
}

interface Options {
  readonly demo: boolean;
  readonly dataDir?: string;
  readonly rate: number;
  readonly users: number;
  readonly items: number;
  readonly days: number;
}

/** `npm start`: on first run a simulated shop, a trained bundle and a gateway with live traffic; afterwards just the latter two. */
export function startCommand(): Command {
  return new Command('start')
    .description('Run the demo: a simulated shop, its trained models, the gateway and live traffic. --no-demo starts an empty gateway')
    .option('--no-demo', 'an empty gateway that takes its catalogue and events from the API')
    .option('--data-dir <dir>', 'folder of the store and the bundles')
    .option('--rate <n>', "the simulated shop's requests a second", positiveNumber, 20)
    .option('--users <n>', 'users of the simulated shop (first start)', wholeNumber, 5000)
    .option('--items <n>', 'its items (first start)', wholeNumber, 2000)
    .option('--days <n>', 'days of its history (first start)', wholeNumber, 60)
    .action(async (options: Options) => {
      const demo = await openDemo(configOf(options.dataDir), options);
      const config = readConfig(process.env, {
        ...(options.dataDir === undefined ? {} : { dataDir: options.dataDir }),
        secretKeys: [demo.secretKey],
        publishableKeys: [demo.publishableKey],
        adminToken: demo.adminToken,
        logLevel: 'warn',
      });
      if (options.demo && !demo.ready) await prepare(config, demo);
      const gateway = await startGateway(config);
      try {
        // Before the word that it is ready: who waits for that may stop it at once.
        const stopped = untilStopped();
        const url = `http://${config.host}:${gateway.dataPort}`;
        const traffic = options.demo ? startTraffic(url, demo, options.rate) : undefined;
        greet(url, `http://${config.controlHost}:${gateway.controlPort}`, demo, options.demo);
        await stopped;
        traffic?.kill('SIGTERM');
      } finally {
        await gateway.drain();
      }
    });
}

function shopOptions({ shop }: Demo): string[] {
  return Object.entries(shop).flatMap(([name, value]) => [`--${name}`, String(value)]);
}

function demoFile(config: Config): string {
  return join(config.dataDir, 'demo.json');
}

async function openDemo(config: Config, options: Options): Promise<Demo> {
  const path = demoFile(config);
  if (existsSync(path)) {
    const known = JSON.parse(await readFile(path, 'utf8')) as Demo;
    if (options.demo && !known.simulated)
      throw new GatehouseError('config_invalid', `${config.dataDir} was begun with --no-demo: go on with it, or give the demo another --data-dir`);
    return known;
  }
  const { users, items, days } = options;
  const end = Date.now();
  // What is remembered must be a shop that can be made: sizes out of range would fail every later start.
  shopOf({ seed: SEED, users, items, days, endMs: end });
  makeDataDir(config);
  const demo: Demo = {
    shop: { seed: SEED, users, items, days, end },
    secretKey: generateKey('secret'),
    publishableKey: generateKey('publishable'),
    adminToken: generateKey('admin'),
    simulated: options.demo,
    ready: false,
  };
  await save(config, demo);
  return demo;
}

async function save(config: Config, demo: Demo): Promise<void> {
  // The keys are the demo's own; nobody else on the machine needs to read them.
  await writeFile(demoFile(config), `${JSON.stringify(demo, null, 2)}\n`, { mode: 0o600 });
}

/**
 * First run: history into the journal, then the first bundle, each by the command that anyone can run, in a process that gives its memory back. A run
 * that was cut off is taken up again: every event counts once.
 */
async function prepare(config: Config, demo: Demo): Promise<void> {
  console.log(
    `First start: simulating a shop of ${demo.shop['users']} users and training its models. This takes a minute or two; the next start does not.`,
  );
  await command(['simulate', ...shopOptions(demo), '--data-dir', config.dataDir]);
  // The sequence model would take longer than all else together, and the demo promises minutes.
  await command(['train', '--data-dir', config.dataDir, '--no-next-item']);
  await save(config, { ...demo, ready: true });
}

/** Runs another command of this command line to its end. Throws `cancelled` when it did not succeed; it has said why by then. */
async function command(args: readonly string[]): Promise<void> {
  const child = spawn(process.execPath, [MAIN, ...args], { stdio: ['ignore', 'ignore', 'inherit'] });
  const forward = (signal: NodeJS.Signals): void => {
    child.kill(signal);
  };
  process.on('SIGTERM', forward);
  // A terminal sends SIGINT to both; the child answers it, this process waits for it.
  process.on('SIGINT', forward);
  try {
    const [status] = (await once(child, 'close')) as [number | null];
    if (status !== 0) throw new GatehouseError('cancelled', `gatehouse ${args[0]} did not finish`);
  } finally {
    process.off('SIGTERM', forward);
    process.off('SIGINT', forward);
  }
}

/** The shop's visitors, in a process of their own: they come through the public API like anyone. */
function startTraffic(url: string, demo: Demo, rate: number) {
  return fork(MAIN, ['simulate', '--live', url, ...shopOptions(demo), '--rate', String(rate)], {
    env: { ...process.env, GATEHOUSE_DEMO_SECRET_KEY: demo.secretKey, GATEHOUSE_DEMO_PUBLISHABLE_KEY: demo.publishableKey },
    stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
  });
}

function greet(url: string, controlUrl: string, demo: Demo, simulated: boolean): void {
  const [user, item] = simulated ? ['u00001', 'i00001'] : ['anna', 'lamp-1'];
  console.log(`
Gatehouse is ready.
  data plane     ${url}
  control plane  ${controlUrl}   (dashboard, /docs, /metrics)
  admin token    ${demo.adminToken}
  secret key     ${demo.secretKey}

Try:
  curl -s ${url}/v1/recommend -H 'Authorization: Bearer ${demo.publishableKey}' -H 'Content-Type: application/json' -d '{"user_id":"${user}","placement":"home","limit":5}'
  curl -s ${url}/v1/score -H 'Authorization: Bearer ${demo.secretKey}' -H 'Content-Type: application/json' -d '{"transaction_id":"try-1","user_id":"${user}","amount":420.5,"currency":"EUR","card_id":"c-try","device_id":"d-try","ip":"203.0.113.9","payment_method":"card"}'
  curl -s ${url}/v1/events -H 'Authorization: Bearer ${demo.publishableKey}' -H 'Content-Type: application/json' -d '{"events":[{"event_id":"try-e1","name":"view_item","user_id":"${user}","items":[{"item_id":"${item}"}]}]}'

Ctrl-C stops it.`);
}
