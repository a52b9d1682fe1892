import { GatehouseError } from '../../contracts/errors.ts';
import { runBacktest } from '../../scoring/risk/backtest.ts';
import { openFeatures } from '../features-file.ts';
import type { BacktestOrder, BacktestWord } from './backtest-process.ts';
import { openJournalOf } from './journal.ts';
import { readLists } from './stored-lists.ts';

/** The child process of `backtestInChild`: it gets one order and says how far it is, then what it found. */
async function work({ journal, featuresFile, rules, request }: BacktestOrder): Promise<BacktestWord> {
  try {
    const store = await openJournalOf(journal);
    try {
      const { lists } = await readLists(store);
      const engine = await openFeatures(featuresFile);
      const result = await runBacktest({
        store,
        engine,
        rules,
        lists,
        request,
        now: Date.now,
        onProgress: (done, total) => process.send?.({ progress: done / total }),
      });
      if (!result) throw new Error('nobody cancels within the child');
      return { result };
    } finally {
      await store.close();
    }
  } catch (error) {
    if (error instanceof GatehouseError) return { code: error.code, detail: error.detail };
    return { code: 'backtest_failed', detail: error instanceof Error ? error.message : String(error) };
  }
}

process.once('message', (order) => {
  void work(order as BacktestOrder).then((word) => process.send?.(word, () => process.exit(0)));
});
// The gateway is gone: nobody waits for the result.
process.once('disconnect', () => process.exit(0));
