import { join } from 'node:path';
import type { JournalReader } from '../../store/journal.ts';
import { openLmdbJournal } from '../../store/lmdb.ts';
import { openRedisStore } from '../../store/redis.ts';
import type { Config } from '../config.ts';

/** What it takes to read a store from another process. */
export type JournalSettings = Pick<Config, 'store' | 'dataDir' | 'redisUrl' | 'redisPrefix'>;

/** A retention that never applies: this process does not trim. */
const NEVER = Number.MAX_SAFE_INTEGER;

/** Opens the store of the settings to read alone, also beside the gateway that has it. */
export async function openJournalOf({ store, dataDir, redisUrl, redisPrefix }: JournalSettings): Promise<JournalReader> {
  if (store === 'lmdb') return openLmdbJournal(join(dataDir, 'store'));
  const codec = { encode: unread, encodeShared: unread, decode: unread };
  const retention = { journalRecordsMax: NEVER, alertsMax: NEVER, idempotencyMs: NEVER, stateTtlMs: NEVER };
  return openRedisStore<never>({ url: redisUrl, prefix: redisPrefix, codec, retention, resume: () => undefined });
}

function unread(): never {
  throw new Error('a journal reader asks for no states');
}
