import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { Alert } from '../../contracts/push.ts';
import type { BacktestResult, RuleVersion } from '../../contracts/rules.ts';
import { DEFAULT_DECLARATIONS } from '../../scoring/features/defaults.ts';
import { createFeatureEngine } from '../../scoring/features/engine.ts';
import { FRAUD_SET } from '../../scoring/risk/pipeline.ts';
import type { Store } from '../../store/contract.ts';
import { openMemoryStore } from '../../store/memory.ts';
import { createAudit } from '../audit.ts';
import { Metrics } from '../metrics.ts';
import { ListStore } from './list-store.ts';
import { RuleStore } from './rule-store.ts';

// Several gateways on one store that do not hear of each other's changes: what a moment looks like before the journal has told.

const NAMES = createFeatureEngine(DEFAULT_DECLARATIONS).names(FRAUD_SET);
const quiet = { info: () => {}, warn: () => {}, error: () => {} };
let store: Store<never>;
let metrics: Metrics;
let broken: number[];
let nowMs: number;
const now = () => nowMs++;
beforeEach(() => {
  [store, metrics, broken, nowMs] = [openMemoryStore<never>(), new Metrics(), [], 1_700_000_000_000];
});
afterEach(() => metrics.close());

async function gateway(featureNames: readonly string[] = NAMES, file?: () => Promise<string>): Promise<RuleStore> {
  const audit = createAudit({ store, log: quiet, metrics, now });
  const { lists } = await ListStore.open({ store, audit, now });
  return RuleStore.open({ store, audit, log: quiet, lists, featureNames, approval: 'off', file, now, onBroken: (count) => broken.push(count) });
}
const draft = (id: string, when = 'tx.amount > 1.0') => ({ id, description: id, when, action: 'decline' as const });
async function live(rules: RuleStore, id: string, when?: string): Promise<RuleVersion> {
  const { version } = await rules.create(draft(id, when), 'anna');
  const figures = { id, version, hits: 1 } as BacktestResult['rules'][number];
  await rules.backtested({ transactions: 1, rules: [{ ...FIGURES, ...figures }] } as unknown as BacktestResult, 'anna');
  return rules.move(id, version, 'live', 'anna');
}
const FIGURES = {
  ...{ action: 'decline', fraud_hits: 0, precision: null, recall: null, amount_saved: 0, amount_hurt: 0, customers_hurt: 0 },
  ...{ hits_alone: 0, failed: 0, overlap: [] },
};
async function alerts(kind: string): Promise<Alert[]> {
  return (await store.alerts(0, 100)).map(({ alert }) => alert).filter(({ alert_id }) => alert_id.startsWith(kind));
}
const versionsOf = (rules: RuleStore, id: string) =>
  rules
    .list()
    .rules.filter((rule) => rule.id === id)
    .map(({ version, author, state }) => `${version} ${author} ${state}`);

describe('two gateways', () => {
  test('write one version once: whoever comes second gets the next one', async () => {
    const [one, two] = [await gateway(), await gateway()];
    const made = await Promise.all([one.create(draft('x', 'tx.amount > 1.0'), 'anna'), two.create(draft('x', 'tx.amount > 2.0'), 'bert')]);
    expect(made.map(({ version }) => version).sort()).toEqual([1, 2]);
    await one.reload();
    expect(versionsOf(one, 'x')).toEqual(expect.arrayContaining(made.map(({ version, author }) => `${version} ${author} draft`)));
    expect(made[0]!.when).not.toBe(made[1]!.when);
  });

  test('a step is taken from where the version is, not from where a gateway last saw it', async () => {
    const one = await gateway();
    await live(one, 'x');
    const two = await gateway();
    await one.move('x', 1, 'retired', 'anna');
    await expect(two.move('x', 1, 'shadow', 'bert')).rejects.toMatchObject({ code: 'rule_state_conflict' });
    expect(versionsOf(two, 'x')).toEqual(['1 anna retired']);
  });

  test('one breaker trip is written and told once', async () => {
    const one = await gateway();
    await live(one, 'x');
    const two = await gateway();
    const trip = { rule: 'x', version: 1, at_ms: 5, decisions: 100, stopped: 90, scope: 'rule' as const };
    await Promise.all([one.trip(trip), two.trip({ ...trip, at_ms: 6, stopped: 80 })]);
    expect(await alerts('trip-')).toHaveLength(1);
    const [first, second] = [one.get('x', 1), two.get('x', 1)];
    expect(first.tripped).toBeDefined();
    expect(second).toEqual(first);
  });
});

describe('a stored rule that does not compile any more', () => {
  const more = [...NAMES, 'gone_1h'];

  test('does not act, and is said to: in the list, in a warning, a metric and an alert', async () => {
    await live(await gateway(more), 'old', 'features.gone_1h > 1.0');
    const rules = await gateway();
    const problem = expect.stringContaining('gone_1h');
    expect(rules.list().rules.find(({ id }) => id === 'old')).toMatchObject({ state: 'live', problem });
    expect(rules.book().rules.map(({ id }) => id)).not.toContain('old');
    expect(rules.problems()).toEqual([expect.stringMatching(/^rule old \(version 1\) does not act: .*gone_1h/)]);
    expect(broken.at(-1)).toBe(1);
    expect(await alerts('rule-broken-')).toMatchObject([{ severity: 'critical', reasons: [problem, expect.any(String)] }]);
    // Once, not at each change of another gateway.
    await rules.reload();
    expect(await alerts('rule-broken-')).toHaveLength(1);
  });

  test('keeps nobody from changing other rules, from retiring it, or from writing it anew', async () => {
    await live(await gateway(more), 'old', 'features.gone_1h > 1.0');
    const rules = await gateway();
    expect((await live(rules, 'other')).state).toBe('live');
    await expect(rules.move('old', 1, 'shadow', 'anna')).rejects.toMatchObject({ code: 'rule_invalid' });
    expect((await live(rules, 'old', 'tx.amount > 3.0')).version).toBe(2);
    expect(versionsOf(rules, 'old')).toEqual(['2 anna live', '1 anna retired']);
    expect(rules.problems()).toEqual([]);
    expect(broken.at(-1)).toBe(0);
  });

  test('of the rules file is refused with the file', async () => {
    const text = JSON.stringify([{ ...draft('filed', 'features.gone_1h > 1.0'), version: 1, state: 'live' }]);
    await gateway(more, async () => text);
    await expect(gateway(NAMES, async () => text)).rejects.toMatchObject({ code: 'rule_invalid' });
  });
});
