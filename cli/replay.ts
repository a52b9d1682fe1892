import { join } from 'node:path';
import { Command } from 'commander';
import { GatehouseError } from '../contracts/errors.ts';
import type { Fact } from '../contracts/fact.ts';
import type { Config } from '../gateway/config.ts';
import { bundlesDir } from '../gateway/resources.ts';
import { evaluated, readRules, rulesOf } from '../gateway/rules/stored.ts';
import { readLists } from '../gateway/rules/stored-lists.ts';
import { indexReaders } from '../index/readers.ts';
import { eventKey } from '../scoring/ingest.ts';
import { type LoadedBundle, loadBundle } from '../scoring/models/bundle.ts';
import { recordedLists } from '../scoring/risk/lists.ts';
import { type AnomalyModel, FRAUD_SET, type FraudModel, judge, type RiskResult } from '../scoring/risk/pipeline.ts';
import { RuleBook } from '../scoring/risk/rules.ts';
import { openBundleFolder } from './bundle-folder.ts';
import { configOf, type OpenShop, openShop } from './shared.ts';

/** Journal records looked through behind the payment for its decision: they stand next to each other but for what other requests wrote between. */
const DECISION_WITHIN_RECORDS = 10_000;

type Decision = Fact & { readonly kind: 'decision' };

/** `gatehouse replay`: recomputes a past decision from the journal, the bundle and the rules that made it, and says what today's would. */
export function replayCommand(): Command {
  return new Command('replay')
    .description(
      'Recompute a past decision with the vector, bundle and rules that made it, compare them bit for bit, and show what those of today would say',
    )
    .argument('<transaction>', 'transaction id')
    .option('--data-dir <dir>', 'folder of the store and the bundles')
    .action(async (transaction: string, { dataDir }: { dataDir?: string }) => {
      const config = configOf(dataDir);
      const shop = await openShop(config);
      try {
        const decision = await decisionOf(shop, transaction);
        const again = await judgeAgain(shop, config, decision);
        const today = await judgeToday(shop, config, decision);
        const identical = sameVerdict(decision, again);
        console.log(JSON.stringify(reportOf(decision, identical, again, today), null, 2));
        if (!identical) process.exitCode = 1;
      } finally {
        await shop.close();
      }
    });
}

function reportOf({ request, ruleset, response }: Decision, identical: boolean, again: RiskResult, today: RiskResult): Record<string, unknown> {
  const { shadow_hits = [] } = again.decision;
  return Object.fromEntries([
    ['transaction', request.transaction_id],
    ['identical', identical],
    ['ruleset', ruleset],
    // In a literal, `then` would make the report look like a promise.
    ['then', response],
    ['again', again.response],
    ['shadow_hits', shadow_hits],
    ['today', today.response],
  ]);
}

async function decisionOf(shop: OpenShop, transaction: string): Promise<Decision> {
  const found = await shop.store.lookup(eventKey(transaction));
  if (!found) throw new GatehouseError('transaction_not_found', `${transaction} is not in this store`);
  const [payment] = await shop.store.read(found.offset - 1, 1);
  if (payment?.offset === found.offset && payment.fact.kind === 'erased')
    throw new GatehouseError('erased', `${transaction} was erased with its user: what it was decided on is gone`);
  const records = await shop.store.read(found.offset, DECISION_WITHIN_RECORDS);
  const decision = records.map(({ fact }) => fact).find((fact) => fact.kind === 'decision' && fact.request.transaction_id === transaction);
  if (decision?.kind !== 'decision' || decision.vector === null)
    throw new GatehouseError('transaction_not_found', `${transaction} has no decision in the journal`);
  if (decision.feature_hash !== shop.engine.hash(FRAUD_SET))
    throw new GatehouseError('bundle_incompatible', `${transaction} was decided on another feature set (${decision.feature_hash.slice(0, 12)})`);
  return decision;
}

/** With what made it: the bundle, the versions of the rules that were in force, and the answers that lists gave. */
async function judgeAgain(shop: OpenShop, config: Config, decision: Decision): Promise<RiskResult> {
  const { bundle: version, score } = decision.response;
  const book = await bookOf(shop, decision);
  // Where no model answered then, in time or at all, none is asked now.
  const bundle = version !== null && score !== null ? await load(shop, config, version) : undefined;
  try {
    return await judgeWith(shop, config, decision, bundle?.fraud, recordedAnomaly(decision), book, decision.at_ms);
  } finally {
    await bundle?.release();
  }
}

/** What the anomaly model said then: rules may have read it. Where it said nothing, in time or at all, it says nothing now. */
function recordedAnomaly({ response: { anomaly } }: Decision): AnomalyModel | undefined {
  return typeof anomaly === 'number' ? { share: async () => anomaly } : undefined;
}

async function bookOf(shop: OpenShop, { ruleset, list_hits = [], response }: Decision): Promise<RuleBook> {
  const names = shop.engine.names(FRAUD_SET);
  if (ruleset === undefined)
    throw new GatehouseError('store_incompatible', `${response.transaction_id} was decided by a version that did not keep its rules`);
  const then = await rulesOf(shop.store, ruleset);
  if (!then) throw new GatehouseError('store_incompatible', `the store does not have the ruleset ${ruleset}`);
  return new RuleBook(then.rules, names, recordedLists(then.lists, list_hits), ruleset);
}

/** With the active bundle, and rules and lists as they are now. */
async function judgeToday(shop: OpenShop, config: Config, decision: Decision): Promise<RiskResult> {
  const active = (await (await openBundleFolder(config)).list()).find((entry) => entry.active);
  const bundle = active && !active.problem ? await load(shop, config, active.version) : undefined;
  try {
    const { lists } = await readLists(shop.store);
    const book = new RuleBook(evaluated(await readRules(shop.store)), shop.engine.names(FRAUD_SET), lists);
    return await judgeWith(shop, config, decision, bundle?.fraud, bundle?.anomaly, book, Date.now());
  } finally {
    await bundle?.release();
  }
}

function load(shop: OpenShop, config: Config, version: string): Promise<LoadedBundle> {
  return loadBundle(join(bundlesDir(config), version), { engine: shop.engine, ...indexReaders });
}

function judgeWith(
  shop: OpenShop,
  config: Config,
  { request, vector, response }: Decision,
  model: FraudModel | undefined,
  anomaly: AnomalyModel | undefined,
  rules: RuleBook,
  nowMs: number,
): Promise<RiskResult> {
  // What the decision imposed itself was not there before it.
  const standing = response.restrictions?.filter(({ transaction_id }) => transaction_id !== request.transaction_id) ?? [];
  const imposed = response.restrictions?.find(({ transaction_id }) => transaction_id === request.transaction_id);
  // For as long as it did then, whatever the settings say now.
  const term = imposed && imposed.until_ms - imposed.from_ms;
  const terms = { suspend: term ?? config.suspendMs, restrict_payment_method: term ?? config.restrictMs };
  return judge(shop.engine, { request, vector: Float32Array.from(vector!), model, anomaly, rules, standing, terms, nowMs });
}

/** Everything that decides: not `degraded_by`, because a model that was late then is missing now. */
function sameVerdict(then: Decision, again: RiskResult): boolean {
  const verdict = ({ response, shadow_hits = [] }: Decision) =>
    JSON.stringify([response.score, response.probability, response.decision, response.rule_hits, shadow_hits]);
  return verdict(then) === verdict(again.decision);
}
