import { Command } from 'commander';
import { exportFraudRows, journalSource } from '../training/index.ts';
import { timeOf } from './import.ts';
import { configOf, openShop, terminalProgress } from './shared.ts';

interface Options {
  readonly dataDir?: string;
  readonly fraudFrom?: string;
  readonly fraudTo?: string;
  readonly labelsUntil?: string;
}

/** `gatehouse export-rows`: what the fraud model is trained on, for those who train their own. */
export function exportRowsCommand(): Command {
  return new Command('export-rows')
    .description('Replay the journal and write the rows that the fraud model is trained on (docs/bring-your-own-model.md)')
    .argument('<file>', 'a .parquet or .csv file')
    .option('--data-dir <dir>', 'folder of the store and the bundles')
    .option('--fraud-from <date>', 'payments from this time on')
    .option('--fraud-to <date>', 'and before this time')
    .option('--labels-until <date>', 'with the labels that had arrived by this time')
    .action(async (path: string, options: Options) => {
      const shop = await openShop(configOf(options.dataDir));
      try {
        const exported = await exportFraudRows({
          facts: await journalSource(shop.store),
          engine: shop.engine,
          path,
          params: {
            ...(options.fraudFrom === undefined ? {} : { fraudFromMs: timeOf('--fraud-from', options.fraudFrom) }),
            ...(options.fraudTo === undefined ? {} : { fraudToMs: timeOf('--fraud-to', options.fraudTo) }),
            ...(options.labelsUntil === undefined ? {} : { labelsUntilMs: timeOf('--labels-until', options.labelsUntil) }),
          },
          progress: terminalProgress(),
        });
        console.log(JSON.stringify({ path, ...exported }, null, 2));
      } finally {
        await shop.close();
      }
    });
}
