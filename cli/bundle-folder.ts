import type { Config } from '../gateway/config.ts';
import { probeInChild } from '../gateway/probe.ts';
import { bundlesDir, makeDataDir } from '../gateway/resources.ts';
import { BundleManager } from '../scoring/models/manager.ts';
import { verifyBundle } from '../scoring/models/verify.ts';

/** The bundles folder without a gateway: the probe loads a bundle in a child, nothing is kept loaded here. */
export async function openBundleFolder(config: Config): Promise<BundleManager> {
  // A first model may come before anything was started or trained.
  makeDataDir(config);
  const manager = new BundleManager({
    dir: bundlesDir(config),
    probe: (dir) => probeInChild(dir, { featuresFile: config.featuresFile }),
    load: async (dir) => ({
      manifest: await verifyBundle(dir),
      recommend: {},
      userIndex: undefined,
      fraud: undefined,
      anomaly: undefined,
      probe: async () => {},
      release: async () => {},
    }),
  });
  const problem = await manager.start();
  if (problem) console.error(`gatehouse: the active bundle: ${problem.detail}`);
  return manager;
}
