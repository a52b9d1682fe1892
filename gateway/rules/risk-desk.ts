import { readFile } from 'node:fs/promises';
import { GatehouseError } from '../../contracts/errors.ts';
import type { RuleHit } from '../../contracts/score.ts';
import { DeclineBreaker } from '../../scoring/risk/breaker.ts';
import type { RuleBook } from '../../scoring/risk/rules.ts';
import type { Store } from '../../store/contract.ts';
import type { Audit, Log } from '../audit.ts';
import type { Config } from '../config.ts';
import type { Metrics } from '../metrics.ts';
import { backtestInChild } from './backtest-process.ts';
import { Backtests } from './backtests.ts';
import { ListStore } from './list-store.ts';
import { RuleStore } from './rule-store.ts';

export interface RiskDeskOptions {
  readonly config: Pick<
    Config,
    | 'featuresFile'
    | 'rulesFile'
    | 'ruleApproval'
    | 'adminToken'
    | 'adminTokens'
    | 'breakerWindowMs'
    | 'breakerDecisionsMin'
    | 'breakerRulePercent'
    | 'breakerOverallPercent'
    | 'store'
    | 'dataDir'
    | 'redisUrl'
    | 'redisPrefix'
  >;
  readonly store: Pick<Store<never>, 'docs' | 'doc' | 'write' | 'raise' | 'onForeignFact'>;
  readonly audit: Audit;
  readonly log: Log;
  readonly metrics: Pick<Metrics, 'counter' | 'gauge'>;
  readonly featureNames: readonly string[];
  readonly now: () => number;
}

/** Everything that a fraud team runs beside the model: rules, lists, backtests and the circuit breaker. */
export interface RiskDesk {
  readonly rules: RuleStore;
  readonly lists: ListStore;
  readonly backtests: Backtests;
  readonly book: () => RuleBook;
  /** Counts a decision for the circuit breaker, which may take a rule out of action. */
  observe(hits: readonly RuleHit[], nowMs: number): void;
  close(): Promise<void>;
}

/** Opens rules and lists. Throws `rule_invalid`, `input_unreadable`, `store_incompatible` or `config_invalid`. */
export async function openRiskDesk({ config, store, audit, log, metrics, featureNames, now }: RiskDeskOptions): Promise<RiskDesk> {
  if (config.ruleApproval === 'two_person' && config.adminTokens.length + (config.adminToken === undefined ? 0 : 1) < 2)
    throw new GatehouseError('config_invalid', 'GATEHOUSE_RULE_APPROVAL=two_person needs two operators: see GATEHOUSE_ADMIN_TOKENS');
  const breaker = new DeclineBreaker({
    windowMs: config.breakerWindowMs,
    decisionsMin: config.breakerDecisionsMin,
    ruleShareMax: config.breakerRulePercent / 100,
    overallShareMax: config.breakerOverallPercent / 100,
  });
  const lists = await ListStore.open({ store, audit, now });
  const rules = await RuleStore.open({
    store,
    audit,
    log,
    lists: lists.lists,
    featureNames,
    approval: config.ruleApproval,
    file: config.rulesFile === undefined ? undefined : fileReader(config.rulesFile),
    now,
    onBroken: (count) => metrics.gauge('rulesBroken').set(count),
    onReset: (rule, version) => breaker.reset(rule, version),
  });
  const { store: kind, dataDir, redisUrl, redisPrefix, featuresFile } = config;
  const backtests = new Backtests({ rules, journal: { store: kind, dataDir, redisUrl, redisPrefix }, featuresFile, run: backtestInChild, log, now });
  const unsubscribe = store.onForeignFact(({ fact }) => {
    if (fact.kind !== 'admin') return;
    const reload = fact.action.startsWith('list.') ? lists.reload() : fact.action.startsWith('rule.') ? rules.reload() : undefined;
    reload?.catch((err: unknown) => log.error({ err }, 'what another gateway changed could not be read: the old rules and lists stay'));
  });
  return {
    rules,
    lists,
    backtests,
    book: () => rules.book(),
    observe(hits, nowMs) {
      const trip = breaker.observe(hits, nowMs);
      if (!trip) return;
      metrics.counter('ruleTrips', trip.rule).inc();
      void rules.trip(trip);
    },
    async close() {
      unsubscribe();
      await backtests.close();
    },
  };
}

function fileReader(path: string): () => Promise<string> {
  return async () => {
    try {
      return await readFile(path, 'utf8');
    } catch (cause) {
      throw new GatehouseError('input_unreadable', `the rules file ${path} cannot be read`, { cause });
    }
  };
}
