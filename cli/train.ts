import { readFile } from 'node:fs/promises';
import { Command } from 'commander';
import { GatehouseError } from '../contracts/errors.ts';
import { bundlesDir } from '../gateway/resources.ts';
import {
  journalSource,
  RISK_COSTS,
  type RiskCosts,
  resumableOffset,
  SESSION_DEFAULTS,
  type TrainParams,
  type TrainResult,
  train,
} from '../training/index.ts';
import { openBundleFolder } from './bundle-folder.ts';
import { timeOf } from './import.ts';
import { configOf, type OpenShop, openShop, terminalProgress, wholeNumber } from './shared.ts';
import { abortOnStop } from './stop.ts';

interface Options {
  readonly dataDir?: string;
  readonly seed: number;
  readonly activate: boolean;
  readonly resume?: boolean;
  readonly fraudFrom?: string;
  readonly fraudTo?: string;
  readonly labelsUntil?: string;
  readonly riskCosts?: string;
  readonly reviewsPerDay?: number;
  readonly sessionNeighbours: boolean;
  readonly nextItem: boolean;
}

/** `gatehouse train`: the journal becomes a bundle. */
export function trainCommand(): Command {
  return new Command('train')
    .description('Replay the journal and train a bundle of models')
    .option('--data-dir <dir>', 'folder of the store and the bundles')
    .option('--seed <seed>', 'same seed and data, same bytes', wholeNumber, 1)
    .option('--no-activate', 'only train; leave the active bundle as it is')
    .option('--resume', 'go on with the training that was stopped, on the journal as it was then')
    .option('--fraud-from <date>', 'train the fraud model on payments from this time on')
    .option('--fraud-to <date>', 'and before this time')
    .option('--labels-until <date>', 'with the labels that had arrived by this time')
    .option('--risk-costs <file>', `JSON by which the thresholds of review, challenge and decline are chosen; default ${JSON.stringify(RISK_COSTS)}`)
    .option('--reviews-per-day <n>', 'payments that the analysts can look at (default: a fiftieth of all)', wholeNumber)
    .option('--no-session-neighbours', 'leave out the index of past visits')
    .option('--no-next-item', 'leave out the sequence model of visits, which takes the longest to train')
    .action(async (options: Options) => {
      const config = configOf(options.dataDir);
      const params = {
        retrieval: { sessions: { ...SESSION_DEFAULTS, neighbours: options.sessionNeighbours, nextItem: options.nextItem } },
        ...(options.fraudFrom === undefined ? {} : { fraudFromMs: timeOf('--fraud-from', options.fraudFrom) }),
        ...(options.fraudTo === undefined ? {} : { fraudToMs: timeOf('--fraud-to', options.fraudTo) }),
        ...(options.labelsUntil === undefined ? {} : { labelsUntilMs: timeOf('--labels-until', options.labelsUntil) }),
        risk: {
          ...(options.riskCosts === undefined ? {} : { costs: await riskCostsOf(options.riskCosts) }),
          ...(options.reviewsPerDay === undefined ? {} : { reviewsPerDay: options.reviewsPerDay }),
        },
      };
      const shop = await openShop(config);
      try {
        const result = await trainShop(shop, bundlesDir(config), options.seed, params, options.resume ?? false);
        console.log(JSON.stringify({ version: result.version, metrics: result.manifest.metrics, skipped: result.skipped }, null, 2));
        if (options.activate) await (await openBundleFolder(config)).activate(result.version);
      } finally {
        await shop.close();
      }
    });
}

/** Throws `input_unreadable` or `config_invalid`. */
async function riskCostsOf(path: string): Promise<Partial<RiskCosts>> {
  let costs: unknown;
  try {
    costs = JSON.parse(await readFile(path, 'utf8'));
  } catch (cause) {
    throw new GatehouseError('input_unreadable', `${path} cannot be read as JSON`, { cause });
  }
  if (typeof costs !== 'object' || costs === null || Array.isArray(costs))
    throw new GatehouseError('config_invalid', `${path} must hold an object of costs`);
  for (const [name, cost] of Object.entries(costs)) {
    if (!Object.hasOwn(RISK_COSTS, name))
      throw new GatehouseError('config_invalid', `${path}: there is no cost ${name}; there are ${Object.keys(RISK_COSTS).join(', ')}`);
    if (!(typeof cost === 'number' && cost >= 0 && Number.isFinite(cost)))
      throw new GatehouseError('config_invalid', `${path}: ${name} must be a number from 0`);
  }
  return costs as Partial<RiskCosts>;
}

/** Trains on everything in the journal. Ctrl-C stops it and leaves no half-written bundle. */
export async function trainShop(shop: OpenShop, outDir: string, seed: number, params: TrainParams, resume = false): Promise<TrainResult> {
  const { signal, release } = abortOnStop();
  try {
    const offset = resume ? await resumableOffset(outDir, shop.engine, seed, params) : undefined;
    if (resume && offset === undefined) console.error('gatehouse: no training was stopped here; this one starts from the beginning');
    return await train({
      facts: await journalSource(shop.store, offset),
      resume: offset !== undefined,
      engine: shop.engine,
      outDir,
      seed,
      params,
      progress: terminalProgress(),
      now: Date.now,
      signal,
    });
  } finally {
    release();
  }
}
