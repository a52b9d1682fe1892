import { openMemoryStore } from './memory.ts';
import { SUITE_START_MS, storeSuite, type Tally } from './store.suite.ts';

storeSuite('memory', async (retention) => {
  let nowMs = SUITE_START_MS;
  const store = openMemoryStore<Tally>({ retention, clock: () => nowMs });
  return {
    store,
    reopen: undefined,
    advance: async (ms) => {
      nowMs += ms;
    },
    destroy: () => store.close(),
  };
});
