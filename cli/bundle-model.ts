import { Command } from 'commander';
import type { BundleManifest } from '../contracts/bundle.ts';
import { openFeatures } from '../gateway/features-file.ts';
import { probeInChild } from '../gateway/probe.ts';
import { bundlesDir } from '../gateway/resources.ts';
import { addModel } from '../training/index.ts';
import { configOf } from './shared.ts';

export interface AddOptions {
  readonly dataDir?: string;
  readonly from?: string;
  readonly activate?: boolean;
}

/** `gatehouse bundle add`: a new bundle out of `base` with one model replaced. Prints what it is; rejects with why there is none. */
export async function addToBundle(manifest: string, options: AddOptions, base: string | undefined): Promise<BundleManifest> {
  const config = configOf(options.dataDir);
  return addModel({
    outDir: bundlesDir(config),
    base: options.from ?? base,
    manifest,
    engine: await openFeatures(config.featuresFile),
    now: Date.now,
    probe: (dir) => probeInChild(dir, { featuresFile: config.featuresFile }),
  });
}

/** `gatehouse bundle features`: what a model may read. */
export function featuresCommand(): Command {
  return new Command('features')
    .description('Print the features of a set in vector order, with what each says of a payment or an item, and the hash of the set')
    .argument('<set>', 'feature set, such as fraud or rank')
    .option('--json', 'as JSON')
    .action(async (set: string, { json }: { json?: boolean }) => {
      const engine = await openFeatures(configOf(undefined).featuresFile);
      const hash = engine.hash(set);
      const features = engine.declarations.sets[set]!.map(({ name, text }, index) => ({ index, name, text }));
      if (json) console.log(JSON.stringify({ set, hash, features }, null, 2));
      else {
        const width = Math.max(...features.map(({ name }) => name.length));
        for (const { index, name, text } of features) console.log(`${String(index).padStart(3)}  ${name.padEnd(width)}  ${text}`);
        console.log(`\n${set}: ${features.length} features, hash ${hash}`);
      }
    });
}
