import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Store } from './contract.ts';
import { openLmdbStore } from './lmdb.ts';
import { SUITE_START_MS, storeSuite, type Tally, tallyCodec } from './store.suite.ts';

storeSuite('lmdb', async (retention) => {
  let nowMs = SUITE_START_MS;
  const path = mkdtempSync(join(tmpdir(), 'gatehouse-lmdb-'));
  const open = (): Promise<Store<Tally>> => openLmdbStore<Tally>({ path, codec: tallyCodec, retention, clock: () => nowMs });
  const store = await open();
  let current = store;
  return {
    store,
    reopen: async () => {
      await current.close();
      current = await open();
      return current;
    },
    advance: async (ms) => {
      nowMs += ms;
    },
    destroy: async () => {
      await current.close();
      rmSync(path, { recursive: true, force: true });
    },
  };
});
