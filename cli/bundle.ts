import { join } from 'node:path';
import { Command, Option } from 'commander';
import type { BundleChangeResponse, BundlesResponse } from '../contracts/control.ts';
import { ERRORS, type ErrorCode, GatehouseError } from '../contracts/errors.ts';
import { probeInChild } from '../gateway/probe.ts';
import { bundlesDir } from '../gateway/resources.ts';
import { verifyBundle } from '../scoring/models/verify.ts';
import { openBundleFolder } from './bundle-folder.ts';
import { type AddOptions, addToBundle, featuresCommand } from './bundle-model.ts';
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
  const add = (
    name: string,
    summary: string,
    where: 'folder' | 'folder or gateway',
    action: (options: Options, version: string) => Promise<void>,
    argument?: string,
  ): void => {
    const sub = new Command(name).description(summary).option('--data-dir <dir>', 'folder of the store and the bundles');
    if (where === 'folder or gateway') {
      sub.option('--url <url>', 'control plane of a running gateway, such as http://127.0.0.1:8081');
      // By its name: a default value would stand in the help text.
      sub.addOption(new Option('--token <token>', 'its admin token').env('GATEHOUSE_ADMIN_TOKEN'));
    }
    if (argument) sub.argument(argument).action((version: string, options: Options) => action(options, version));
    else sub.action((options: Options) => action(options, ''));
    command.addCommand(sub);
  };

  add('list', 'List the bundles, the newest first: * serves, - is the one before it', 'folder or gateway', async (options) => {
    const lines = options.url ? await servedLines(options) : await folderLines(options);
    console.log(lines.length === 0 ? 'no bundles' : lines.join('\n'));
  });
  add(
    'verify',
    'Check every file of a bundle and probe its models',
    'folder',
    async (options, version) => {
      const config = configOf(options.dataDir);
      const dir = join(bundlesDir(config), version);
      await verifyBundle(dir);
      await probeInChild(dir, { featuresFile: config.featuresFile });
      console.log(`${version} is sound`);
    },
    '<version>',
  );
  add('activate', 'Verify, probe and serve a bundle', 'folder or gateway', activate, '<version>');
  add('rollback', 'Serve the previous bundle again', 'folder or gateway', async (options) => {
    const version = options.url
      ? (await call<BundleChangeResponse>(options, 'POST', '/v1/bundles/rollback')).current
      : (await (await openBundleFolder(configOf(options.dataDir))).rollback()).version;
    console.log(`${version} is active`);
  });
  command.addCommand(
    new Command('add')
      .description('Make a new bundle out of the active one with a model that others trained (docs/bring-your-own-model.md)')
      .argument('<manifest>', 'JSON file beside the ONNX')
      .option('--from <version>', 'start from this bundle instead of the active one')
      .option('--activate', 'serve it, too')
      .option('--data-dir <dir>', 'folder of the store and the bundles')
      .option('--url <url>', 'control plane of the running gateway that shall serve it')
      .addOption(new Option('--token <token>', 'its admin token').env('GATEHOUSE_ADMIN_TOKEN'))
      .action((manifest: string, options: Options & AddOptions) => addAndActivate(manifest, options)),
  );
  command.addCommand(featuresCommand());
  return command;
}

const SIGNS = { current: '*', previous: '-', available: ' ' } as const;

async function folderLines(options: Options): Promise<string[]> {
  const entries = await (await openBundleFolder(configOf(options.dataDir))).list();
  return entries.map(({ version, active, previous, manifest, problem }) => {
    const models = manifest ? Object.keys(manifest.models).join(', ') : `unreadable: ${problem}`;
    return `${SIGNS[active ? 'current' : previous ? 'previous' : 'available']} ${version}  ${models}`;
  });
}

async function servedLines(options: Options): Promise<string[]> {
  const { bundles } = await call<BundlesResponse>(options, 'GET', '/v1/bundles');
  return bundles.map(({ version, state, created_ms, problem }) => {
    const made = created_ms === undefined ? `unreadable: ${problem}` : `trained ${new Date(created_ms).toISOString()}`;
    return `${SIGNS[state]} ${version}  ${made}`;
  });
}

async function addAndActivate(manifest: string, options: Options & AddOptions): Promise<void> {
  const active = (await (await openBundleFolder(configOf(options.dataDir))).list()).find((entry) => entry.active);
  const { version, models } = await addToBundle(manifest, options, active?.version);
  console.log(`${version} was added; its models: ${Object.keys(models).join(', ')}`);
  if (options.activate) await activate(options, version);
}

async function activate(options: Options, version: string): Promise<void> {
  if (options.url) await call(options, 'POST', `/v1/bundles/${encodeURIComponent(version)}/activate`);
  else await (await openBundleFolder(configOf(options.dataDir))).activate(version);
  console.log(`${version} is active`);
}

/** Calls a control route. Throws what the gateway refused with under its own code, or `input_unreadable` when nothing there is a gateway. */
async function call<T>({ url, token }: Options, method: string, path: string): Promise<T> {
  if (url === undefined || !URL.canParse(path, url)) throw new GatehouseError('config_invalid', `--url ${url} is no address`);
  let response: Response;
  let body: unknown;
  try {
    response = await fetch(new URL(path, url), { method, headers: token ? { authorization: `Bearer ${token}` } : {} });
    body = await response.json();
  } catch (cause) {
    throw new GatehouseError('input_unreadable', `no control plane answers at ${url}`, { cause });
  }
  if (response.ok) return body as T;
  const { code = '', detail = `status ${response.status}` } = body as { code?: string; detail?: string };
  const known = Object.hasOwn(ERRORS, code) ? (code as ErrorCode) : 'internal';
  throw new GatehouseError(known, `the gateway refused: ${detail}`);
}
