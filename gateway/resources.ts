import { readFile } from 'node:fs/promises';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { GatehouseError } from '../contracts/errors.ts';
import type { Fact } from '../contracts/fact.ts';
import type { EntityState, FeatureEngine } from '../scoring/features/contract.ts';
import { eventUnit } from '../scoring/ingest.ts';
import { parseRates, type RateTable } from '../scoring/rates.ts';
import type { Catalogue } from '../scoring/recommend/catalogue.ts';
import { DEFAULT_PLACEMENTS, type Placement, parsePlacements } from '../scoring/recommend/placements.ts';
import type { Store } from '../store/contract.ts';
import { makeFolder } from '../store/folder.ts';
import { openLmdbStore } from '../store/lmdb.ts';
import { openRedisStore } from '../store/redis.ts';
import type { Config } from './config.ts';

// What the settings name, opened or read: for the gateway, and for commands that work without one.

/** Opens the store that the settings name. */
export function openStore(config: Config, engine: FeatureEngine, items: Catalogue): Promise<Store<EntityState>> {
  const retention = {
    journalRecordsMax: config.journalRecordsMax,
    alertsMax: config.alertsMax,
    idempotencyMs: config.idempotencyMs,
    stateTtlMs: config.stateTtlMs,
  };
  if (config.store === 'lmdb') {
    return openLmdbStore({ path: join(config.dataDir, 'store'), codec: engine.codec, retention, cacheEntriesMax: config.stateCacheEntries });
  }
  return openRedisStore({
    url: config.redisUrl,
    prefix: config.redisPrefix,
    codec: engine.codec,
    retention,
    resume: (fact: Fact) => (fact.kind === 'event' ? eventUnit(engine, (id) => items.get(id), fact.event, fact.at_ms) : undefined),
  });
}

export function bundlesDir(config: Config): string {
  return join(config.dataDir, 'bundles');
}

/**
 * A folder of this gateway alone, for what can be derived again. Several gateways on one Redis may share a data folder, but none its own port of a host;
 * an embedded store has one gateway, whose host may have another name at each start, as containers do, and finds what it wrote all the same.
 */
export function ownDir({ dataDir, store, port }: Pick<Config, 'dataDir' | 'store' | 'port'>, name: 'content' | 'items'): string {
  return join(dataDir, name, store === 'lmdb' ? 'embedded' : `${hostname()}-${port}`);
}

/** The declared exchange rates, or undefined. Throws `input_unreadable` or `config_invalid`. */
export async function readRates({ ratesFile }: Pick<Config, 'ratesFile'>): Promise<RateTable | undefined> {
  if (ratesFile === undefined) return undefined;
  let text: string;
  try {
    text = await readFile(ratesFile, 'utf8');
  } catch (cause) {
    throw new GatehouseError('input_unreadable', `the rates file ${ratesFile} cannot be read`, { cause });
  }
  return parseRates(text);
}

/** Bundles live in the data folder whichever store there is. Throws `data_dir_unwritable`. */
export function makeDataDir(config: Config): void {
  try {
    makeFolder(config.dataDir);
  } catch (cause) {
    throw new GatehouseError('data_dir_unwritable', `cannot make the folder ${config.dataDir}`, { cause });
  }
}

/** The placements of the settings. Rejects with `config_invalid` and `input_unreadable`. */
export async function readPlacements(path: string | undefined): Promise<ReadonlyMap<string, Placement>> {
  let placements = DEFAULT_PLACEMENTS;
  if (path !== undefined) {
    try {
      placements = parsePlacements(await readFile(path, 'utf8'));
    } catch (cause) {
      if (cause instanceof GatehouseError) throw cause;
      throw new GatehouseError('input_unreadable', `the placements file ${path} cannot be read`, { cause });
    }
  }
  return new Map(placements.map((placement) => [placement.id, placement]));
}
