import { fork } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Command } from 'commander';
import { generateKey } from '../gateway/auth/keys.ts';
import { type Config, readConfig } from '../gateway/config.ts';
import { bundlesDir, startGateway } from '../gateway/main.ts';
import { createShop } from '../simulator/index.ts';
import { configOf, openShop, terminalProgress } from './shared.ts';
import { loadHistory } from './simulate.ts';
import { untilStopped } from './stop.ts';
import { activate, trainShop } from './train.ts';

/** What the demo remembers between starts, in `demo.json` of the data folder. The keys open a made-up shop on this machine and nothing else. */
interface Demo {
  readonly seed: number;
  readonly endMs: number;
  readonly secretKey: string;
  readonly publishableKey: string;
  readonly adminToken: string;
  readonly ready: boolean;
}

interface Options {
  readonly demo: boolean;
  readonly dataDir?: string;
  readonly rate: string;
}

/** `npm start`: on first run a simulated shop, a trained bundle and a gateway with live traffic; afterwards just the latter two. */
export function startCommand(): Command {
  return new Command('start')
    .description('Run the demo: a simulated shop, its trained models, the gateway and live traffic. --no-demo starts an empty gateway')
    .option('--no-demo', 'an empty gateway that takes its catalogue and events from the API')
    .option('--data-dir <dir>', 'folder of the store and the bundles')
    .option('--rate <n>', "the simulated shop's requests a second", '20')
    .action(async (options: Options) => {
      const demo = await openDemo(configOf(options.dataDir), options.demo);
      const config = readConfig(process.env, {
        ...(options.dataDir === undefined ? {} : { dataDir: options.dataDir }),
        secretKeys: [demo.secretKey],
        publishableKeys: [demo.publishableKey],
        adminToken: demo.adminToken,
        logLevel: 'warn',
      });
      if (options.demo && !demo.ready) await prepare(config, demo);
      const gateway = await startGateway(config);
      const url = `http://${config.host}:${gateway.dataPort}`;
      const traffic = options.demo ? startTraffic(url, demo, options.rate) : undefined;
      greet(url, `http://${config.controlHost}:${gateway.controlPort}`, demo, options.demo);
      await untilStopped();
      traffic?.kill('SIGTERM');
      await gateway.drain();
    });
}

function demoFile(config: Config): string {
  return join(config.dataDir, 'demo.json');
}

async function openDemo(config: Config, wanted: boolean): Promise<Demo> {
  const path = demoFile(config);
  if (existsSync(path)) return JSON.parse(await readFile(path, 'utf8')) as Demo;
  await mkdir(config.dataDir, { recursive: true });
  const demo: Demo = {
    seed: 1,
    endMs: Date.now(),
    secretKey: generateKey('secret'),
    publishableKey: generateKey('publishable'),
    adminToken: generateKey('admin'),
    ready: !wanted,
  };
  await save(config, demo);
  return demo;
}

async function save(config: Config, demo: Demo): Promise<void> {
  // The keys are the demo's own; nobody else on the machine needs to read them.
  await writeFile(demoFile(config), `${JSON.stringify(demo, null, 2)}\n`, { mode: 0o600 });
}

/** First run: history into the journal, then the first bundle. A run that was cut off is taken up again. */
async function prepare(config: Config, demo: Demo): Promise<void> {
  console.log('First start: simulating a shop of 5,000 users and training its models. This takes a minute or two; the next start does not.');
  const shop = await openShop(config);
  try {
    await loadHistory(shop, createShop({ seed: demo.seed, endMs: demo.endMs }), terminalProgress());
    const { version } = await trainShop(shop, bundlesDir(config), demo.seed, {});
    await activate(bundlesDir(config), version);
  } finally {
    await shop.close();
  }
  await save(config, { ...demo, ready: true });
}

/** The shop's visitors, in a process of their own: they come through the public API like anyone. */
function startTraffic(url: string, demo: Demo, rate: string) {
  return fork(
    fileURLToPath(new URL('./main.js', import.meta.url)),
    ['simulate', '--live', url, '--seed', String(demo.seed), '--end', String(demo.endMs), '--rate', rate],
    {
      env: { ...process.env, GATEHOUSE_DEMO_SECRET_KEY: demo.secretKey, GATEHOUSE_DEMO_PUBLISHABLE_KEY: demo.publishableKey },
      stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
    },
  );
}

function greet(url: string, controlUrl: string, demo: Demo, simulated: boolean): void {
  const user = simulated ? 'u1' : 'anna';
  console.log(`
Gatehouse is ready.
  data plane     ${url}
  control plane  ${controlUrl}   (dashboard, /docs, /metrics)
  admin token    ${demo.adminToken}
  secret key     ${demo.secretKey}

Try:
  curl -s ${url}/v1/recommend -H 'Authorization: Bearer ${demo.publishableKey}' -H 'Content-Type: application/json' -d '{"user_id":"${user}","placement":"home","limit":5}'
  curl -s ${url}/v1/score -H 'Authorization: Bearer ${demo.secretKey}' -H 'Content-Type: application/json' -d '{"transaction_id":"try-1","user_id":"${user}","amount":420.5,"currency":"EUR","card_id":"c-try","device_id":"d-try","ip":"203.0.113.9","payment_method":"card"}'
  curl -s ${url}/v1/events -H 'Authorization: Bearer ${demo.publishableKey}' -H 'Content-Type: application/json' -d '{"events":[{"event_id":"try-e1","name":"view_item","user_id":"${user}","items":[{"item_id":"i1"}]}]}'

Ctrl-C stops it.`);
}
