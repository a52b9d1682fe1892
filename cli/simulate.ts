import { Command } from 'commander';
import { GatehouseError } from '../contracts/errors.ts';
import type { TimedEvent } from '../contracts/event.ts';
import { createShop, runLive, type Shop, type ShopParams } from '../simulator/index.ts';
import type { ProgressReporter } from '../training/progress.ts';
import { configOf, type OpenShop, openShop, positiveNumber, takeIn, terminalProgress, wholeNumber } from './shared.ts';
import { untilStopped } from './stop.ts';

/** One durable batch of a bulk load: large enough that a commit is rare beside it. */
const BATCH = 5_000;

interface Options {
  readonly seed: number;
  readonly users: number;
  readonly items: number;
  readonly days: number;
  readonly end?: number;
  readonly dataDir?: string;
  readonly live?: string;
  readonly rate: number;
}

/** `gatehouse simulate`: a made-up shop's history into the journal, or its live traffic against a running gateway. */
export function simulateCommand(): Command {
  return new Command('simulate')
    .description('Simulate a shop: its history into the journal, or with --live its traffic against a running gateway')
    .option('--seed <seed>', 'same seed, same shop', wholeNumber, 1)
    .option('--users <n>', 'users', wholeNumber, 5000)
    .option('--items <n>', 'items', wholeNumber, 2000)
    .option('--days <n>', 'days of history', wholeNumber, 60)
    .option('--end <ms>', 'end of the history in ms since 1970 (default: now)', wholeNumber)
    .option('--data-dir <dir>', 'folder of the store and the bundles')
    .option('--live <url>', 'data plane of a running gateway; keys come from GATEHOUSE_DEMO_SECRET_KEY and GATEHOUSE_DEMO_PUBLISHABLE_KEY')
    .option('--rate <n>', 'live requests a second', positiveNumber, 20)
    .action(async (options: Options) => {
      const { seed, users, items, days, end = Date.now() } = options;
      const shop = shopOf({ seed, users, items, days, endMs: end });
      if (options.live === undefined) {
        const open = await openShop(configOf(options.dataDir));
        try {
          await loadHistory(open, shop, terminalProgress());
        } finally {
          await open.close();
        }
        return;
      }
      const secretKey = process.env['GATEHOUSE_DEMO_SECRET_KEY'];
      const publishableKey = process.env['GATEHOUSE_DEMO_PUBLISHABLE_KEY'];
      if (!secretKey || !publishableKey)
        throw new GatehouseError('config_invalid', 'GATEHOUSE_DEMO_SECRET_KEY and GATEHOUSE_DEMO_PUBLISHABLE_KEY must be set');
      const abort = new AbortController();
      void untilStopped().then(() => abort.abort());
      // A parent that goes away takes its traffic along.
      process.once('disconnect', () => abort.abort());
      // It may have gone before anyone listened.
      if (process.connected === false) abort.abort();
      const report = await runLive({ baseUrl: options.live, secretKey, publishableKey, shop, ratePerS: options.rate, signal: abort.signal });
      console.log(JSON.stringify(report, null, 2));
      // An open channel to the parent would keep this process.
      if (process.connected) process.disconnect();
    });
}

/** The shop of these sizes. Throws `config_invalid` when one is out of its range. */
export function shopOf(params: ShopParams): Shop {
  try {
    return createShop(params);
  } catch (cause) {
    if (cause instanceof RangeError) throw new GatehouseError('config_invalid', cause.message, { cause });
    throw cause;
  }
}

/** Takes a shop's whole history in. Resolves when it is durable; a load that was cut off goes on where it stopped, because every event counts once. */
export async function loadHistory(open: OpenShop, shop: Shop, progress: ProgressReporter): Promise<void> {
  const { startMs, endMs } = shop.settings;
  const task = progress.task('history', 'events');
  await takeIn(open, shop.items(), [], startMs);
  let batch: TimedEvent[] = [];
  let done = 0;
  let writing: Promise<unknown> = Promise.resolve();
  const send = async (): Promise<void> => {
    // One batch is made while the one before it is on its way to the disk.
    await writing;
    writing = takeIn(open, [], batch, endMs);
    // Awaited a batch later: a failure meanwhile must not end the process unheard.
    writing.catch(() => {});
    done += batch.length;
    batch = [];
  };
  for (const event of shop.history()) {
    batch.push(event);
    if (batch.length < BATCH) continue;
    await send();
    // The share of time that has passed says how much is left; how many events there will be is not known before.
    task.update(done, Math.round((done * (endMs - startMs)) / Math.max(1, event.timestamp_ms - startMs)));
  }
  await send();
  await writing;
  await open.store.flush();
  task.end();
}
