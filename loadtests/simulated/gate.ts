import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createClient, type GatehouseClient } from '../../client/index.ts';
import type { Placement } from '../../contracts/placement.ts';
import { generateKey } from '../../gateway/auth/keys.ts';
import { readConfig } from '../../gateway/config.ts';
import { startGateway } from '../../gateway/main.ts';
import { bundlesDir } from '../../gateway/resources.ts';
import { DEFAULT_DECLARATIONS } from '../../scoring/features/defaults.ts';
import { createFeatureEngine } from '../../scoring/features/engine.ts';
import { journalSource, SESSION_DEFAULTS, type TrainParams, type TrainResult, train } from '../../training/index.ts';
import { progressBars } from '../../training/progress.ts';

/** A small shop has few tastes to tell apart. */
export const RETRIEVAL = { als: { factors: 16, iterations: 8 }, sessions: { ...SESSION_DEFAULTS, nextItem: false } };
/** Pages that the ranker learns from: a small shop has little more, and there are many trainings. */
const QUERIES_MAX = 600;

/** A real gateway behind HTTP whose clock is the shop's. */
export interface Gate {
  readonly client: GatehouseClient;
  /** Trains on its journal as the trainer does for anybody. */
  train(params?: TrainParams): Promise<TrainResult>;
  activate(version: string): Promise<void>;
  close(): Promise<void>;
}

export async function openGate(placements: readonly Placement[], seed: number, now: () => number): Promise<Gate> {
  const dataDir = await mkdtemp(join(tmpdir(), 'gatehouse-simulated-'));
  const placementsFile = join(dataDir, 'placements.json');
  await writeFile(placementsFile, JSON.stringify(placements));
  const secretKey = generateKey('secret');
  // The training shares this process, and the machine may be busy: being late is not what is measured.
  const patient = { eventLoopDelayMaxMs: 60_000, recommendDeadlineMs: 10_000, durability: 'async' } as const;
  const config = readConfig({}, { dataDir, placementsFile, port: 0, controlPort: 0, secretKeys: [secretKey], logLevel: 'warn', ...patient });
  const gateway = await startGateway(config, now);
  const engine = createFeatureEngine(DEFAULT_DECLARATIONS);
  const progress = progressBars(process.stderr, () => performance.now());
  // Bundles are named by their time, and several may be trained at one moment of the shop.
  let trained = 0;
  return {
    client: createClient({ baseUrl: `http://127.0.0.1:${gateway.dataPort}`, key: secretKey, timeoutMs: 60_000 }),
    async train(params = {}) {
      await gateway.store.flush();
      const facts = await journalSource(gateway.store);
      const madeMs = now() + trained++;
      return await train({
        facts,
        engine,
        outDir: bundlesDir(config),
        seed,
        params: { retrieval: RETRIEVAL, queriesMax: QUERIES_MAX, ...params },
        progress,
        now: () => madeMs,
      });
    },
    activate: (version) => gateway.bundles.activate(version).then(() => {}),
    async close() {
      await gateway.drain();
      await rm(dataDir, { recursive: true, force: true });
    },
  };
}
