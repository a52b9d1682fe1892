import { join } from 'node:path';
import { Command } from 'commander';
import { GatehouseError } from '../contracts/errors.ts';
import { bundlesDir } from '../gateway/main.ts';
import { probeInChild } from '../gateway/probe.ts';
import { BundleManager } from '../scoring/models/manager.ts';
import { verifyBundle } from '../scoring/models/verify.ts';
import { configOf } from './shared.ts';

interface Options {
  readonly dataDir?: string;
  readonly url?: string;
  readonly token?: string;
}

/**
 * `gatehouse bundle …`. With `--url` (a control plane) a running gateway does it under traffic; without, the folder is changed and the next start
 * takes it up.
 */
export function bundleCommand(): Command {
  const command = new Command('bundle').description('List, verify, activate and roll back model bundles');
  const add = (name: string, summary: string, action: (options: Options, version: string) => Promise<void>, argument?: string): void => {
    const sub = new Command(name)
      .description(summary)
      .option('--data-dir <dir>', 'folder of the store and the bundles')
      .option('--url <url>', 'control plane of a running gateway, such as http://127.0.0.1:8081')
      .option('--token <token>', 'its admin token', process.env['GATEHOUSE_ADMIN_TOKEN']);
    if (argument) sub.argument(argument).action((version: string, options: Options) => action(options, version));
    else sub.action((options: Options) => action(options, ''));
    command.addCommand(sub);
  };

  add('list', 'List the bundles, the newest first', async (options) => {
    if (options.url) {
      console.log(JSON.stringify(await call(options, 'GET', '/v1/bundles'), null, 2));
      return;
    }
    const entries = await (await folder(options)).list();
    if (entries.length === 0) console.log('no bundles');
    for (const { version, active, previous, manifest, problem } of entries) {
      const models = manifest ? Object.keys(manifest.models).join(', ') : `unreadable: ${problem}`;
      console.log(`${active ? '*' : previous ? '-' : ' '} ${version}  ${models}`);
    }
  });
  add(
    'verify',
    'Check every file of a bundle and probe its models',
    async (options, version) => {
      const dir = join(bundlesDir(configOf(options.dataDir)), version);
      await verifyBundle(dir);
      await probeInChild(dir);
      console.log(`${version} is sound`);
    },
    '<version>',
  );
  add(
    'activate',
    'Verify, probe and serve a bundle',
    async (options, version) => {
      if (options.url) await call(options, 'POST', `/v1/bundles/${encodeURIComponent(version)}/activate`);
      else await (await folder(options)).activate(version);
      console.log(`${version} is active`);
    },
    '<version>',
  );
  add('rollback', 'Serve the previous bundle again', async (options) => {
    const answer = options.url ? await call(options, 'POST', '/v1/bundles/rollback') : await (await folder(options)).rollback();
    console.log(`${(answer as { current?: string; version?: string }).current ?? (answer as { version?: string }).version} is active`);
  });
  return command;
}

/** The bundles folder without a gateway: the probe loads a bundle in a child, nothing is kept loaded here. */
async function folder({ dataDir }: Options): Promise<BundleManager> {
  const manager = new BundleManager({
    dir: bundlesDir(configOf(dataDir)),
    probe: probeInChild,
    load: async (dir) => ({
      manifest: await verifyBundle(dir),
      recommend: {},
      userIndex: undefined,
      fraud: undefined,
      probe: async () => {},
      release: async () => {},
    }),
  });
  const problem = await manager.start();
  if (problem) console.error(`gatehouse: the active bundle: ${problem.detail}`);
  return manager;
}

async function call({ url, token }: Options, method: string, path: string): Promise<unknown> {
  let response: Response;
  try {
    response = await fetch(new URL(path, url), { method, headers: token ? { authorization: `Bearer ${token}` } : {} });
  } catch (cause) {
    throw new GatehouseError('input_unreadable', `no control plane answers at ${url}`, { cause });
  }
  const body = (await response.json()) as { code?: string; detail?: string };
  if (!response.ok)
    throw new GatehouseError('bundle_incompatible', `the gateway refused: ${body.detail ?? response.status} (${body.code ?? 'no code'})`);
  return body;
}
