import { join } from 'node:path';
import { Command } from 'commander';
import { GatehouseError } from '../contracts/errors.ts';
import { bundlesDir } from '../gateway/main.ts';
import { openRules } from '../gateway/rules-file.ts';
import { indexReaders } from '../index/readers.ts';
import { eventKey } from '../scoring/ingest.ts';
import { type LoadedBundle, loadBundle } from '../scoring/models/bundle.ts';
import { FRAUD_SET, judge } from '../scoring/risk/pipeline.ts';
import { configOf, openShop } from './shared.ts';

/** Journal records looked through behind the payment for its decision: they stand next to each other but for what other requests wrote between. */
const DECISION_WITHIN_RECORDS = 10_000;

/** `gatehouse replay`: recomputes a past decision from the journal and the bundle that made it. */
export function replayCommand(): Command {
  return new Command('replay')
    .description('Recompute a past decision from the vector in the journal and the bundle that made it, and compare them bit for bit')
    .argument('<transaction>', 'transaction id')
    .option('--data-dir <dir>', 'folder of the store and the bundles')
    .action(async (transaction: string, { dataDir }: { dataDir?: string }) => {
      const config = configOf(dataDir);
      const shop = await openShop(config);
      let bundle: LoadedBundle | undefined;
      try {
        const found = await shop.store.lookup(eventKey(transaction));
        if (!found) throw new GatehouseError('transaction_not_found', `${transaction} is not in this store`);
        const records = await shop.store.read(found.offset, DECISION_WITHIN_RECORDS);
        const decision = records.map(({ fact }) => fact).find((fact) => fact.kind === 'decision' && fact.request.transaction_id === transaction);
        if (decision?.kind !== 'decision' || decision.vector === null)
          throw new GatehouseError('transaction_not_found', `${transaction} has no decision in the journal`);
        if (decision.feature_hash !== shop.engine.hash(FRAUD_SET)) {
          throw new GatehouseError(
            'bundle_incompatible',
            `${transaction} was decided on another feature set (${decision.feature_hash.slice(0, 12)})`,
          );
        }
        const { bundle: version } = decision.response;
        if (version !== null) bundle = await loadBundle(join(bundlesDir(config), version), { engine: shop.engine, ...indexReaders });
        const rules = await openRules(config.rulesFile, shop.engine.names(FRAUD_SET));
        const again = await judge(shop.engine, {
          request: decision.request,
          vector: Float32Array.from(decision.vector),
          // Where no model answered then, in time or at all, none is asked now.
          model: decision.response.score === null ? undefined : bundle?.fraud,
          rules: rules.book(),
          nowMs: decision.at_ms,
        });
        const then = decision.response;
        const same =
          again.response.score === then.score && again.response.probability === then.probability && again.response.decision === then.decision;
        console.log(JSON.stringify({ transaction, identical: same, then, again: again.response }, null, 2));
        if (!same) process.exitCode = 1;
      } finally {
        await bundle?.release();
        await shop.close();
      }
    });
}
