import { existsSync } from 'node:fs';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Command, Option } from 'commander';
import { GatehouseError } from '../contracts/errors.ts';
import { type Examined, examinedOf } from '../contracts/examined.ts';
import { storedPlacement } from '../gateway/placements.ts';
import { bundlesDir, readPlacements } from '../gateway/resources.ts';
import { readManifest } from '../scoring/models/verify.ts';
import { DEFAULT_PLACEMENT, type Placement, placementWith } from '../scoring/recommend/placements.ts';
import { evaluatePolicy, journalSource, POLICY_REWARDS, type PolicyCurves, type PolicyReward } from '../training/index.ts';
import { timeOf } from './import.ts';
import { configOf, openShop, wholeNumber } from './shared.ts';

/** What the log can tell of another form of a placement: what is done with candidates, not which there are. */
const FIELDS: readonly (keyof Placement)[] = ['limit', 'diversity', 'new_share', 'new_days', 'new_place', 'exploration'];

const NOTHING: Examined = new Map();

interface Options {
  readonly placement: string;
  readonly reward: PolicyReward;
  readonly dataDir?: string;
  readonly from?: string;
  readonly until?: string;
  readonly seed: number;
}

/** `gatehouse evaluate-policy`: what another form of a placement would have brought, from recommendations that left something to chance. */
export function evaluatePolicyCommand(): Command {
  return new Command('evaluate-policy')
    .description('Estimate what a placement with other fields would have brought, from logged recommendations with their propensities')
    .argument('<fields>', `JSON file with the fields that are to differ: ${FIELDS.join(', ')}`)
    .option('--placement <id>', 'the placement', DEFAULT_PLACEMENT)
    .addOption(new Option('--reward <what>', 'what a shown item is to bring').choices([...POLICY_REWARDS]).default('click'))
    .option('--from <date>', 'recommendations from this time on')
    .option('--until <date>', 'and before this time')
    .option('--seed <seed>', 'same seed and data, same figures', wholeNumber, 1)
    .option('--data-dir <dir>', 'folder of the store and the bundles')
    .action(async (path: string, options: Options) => {
      const config = configOf(options.dataDir);
      const fromMs = options.from === undefined ? 0 : timeOf('--from', options.from);
      const untilMs = options.until === undefined ? Number.POSITIVE_INFINITY : timeOf('--until', options.until);
      const settings = await readPlacements(config.placementsFile);
      const fields = await fieldsOf(path);
      const shop = await openShop(config);
      try {
        const placement = (await storedPlacement(shop.store, options.placement)) ?? settings.get(options.placement);
        if (placement === undefined) throw new GatehouseError('config_invalid', `there is no placement ${options.placement}`);
        const changed = placementWith(placement, fields);
        const facts = await journalSource(shop.store);
        const curves = await curvesOf(bundlesDir(config), placement.id);
        const found = await evaluatePolicy({ facts, placement: changed, reward: options.reward, fromMs, untilMs, seed: options.seed, curves });
        console.log(JSON.stringify({ placement: changed, reward: options.reward, ...found }, null, 2));
      } finally {
        await shop.close();
      }
    });
}

/** What the bundles that are still there say of how far lists are looked down. */
async function curvesOf(dir: string, placement: string): Promise<PolicyCurves> {
  if (!existsSync(dir)) return { of: () => NOTHING, newest: undefined };
  const folders = (await readdir(dir, { withFileTypes: true })).filter((entry) => entry.isDirectory() && !entry.name.startsWith('.'));
  const known = new Map<string, Examined>();
  let newest: { readonly createdMs: number; readonly curve: readonly number[] } | undefined;
  for (const { name } of folders) {
    // What is no bundle has served nobody.
    const manifest = await readManifest(join(dir, name)).catch(() => undefined);
    if (manifest === undefined) continue;
    const examined = examinedOf(manifest.metrics);
    known.set(manifest.version, examined);
    const curve = examined.get(placement);
    if (curve && !(newest && newest.createdMs >= manifest.created_ms)) newest = { createdMs: manifest.created_ms, curve };
  }
  return { of: (bundle) => (bundle === null ? undefined : known.get(bundle)) ?? NOTHING, newest: newest?.curve };
}

/** Throws `input_unreadable` or `config_invalid`. */
async function fieldsOf(path: string): Promise<Record<string, unknown>> {
  let fields: unknown;
  try {
    fields = JSON.parse(await readFile(path, 'utf8'));
  } catch (cause) {
    throw new GatehouseError('input_unreadable', `${path} cannot be read as JSON`, { cause });
  }
  if (typeof fields !== 'object' || fields === null || Array.isArray(fields))
    throw new GatehouseError('config_invalid', `${path} must hold an object`);
  for (const name of Object.keys(fields)) {
    if (!FIELDS.some((field) => field === name))
      throw new GatehouseError('config_invalid', `${path}: what ${name} would change cannot be told from the log; it can for ${FIELDS.join(', ')}`);
  }
  return { ...fields };
}
