import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { GatehouseError } from '../../contracts/errors.ts';
import type { Rule } from '../../contracts/rules.ts';
import { DECISIONS, RULE_ACTIONS, type ScoreRequest } from '../../contracts/score.ts';
import { DEFAULT_DECLARATIONS } from '../features/defaults.ts';
import { createFeatureEngine } from '../features/engine.ts';
import { decide, modelDecision } from './decision.ts';
import { DEFAULT_LISTS, DEFAULT_RULES } from './default-rules.ts';
import { RiskList, RiskLists } from './lists.ts';
import { FRAUD_SET } from './pipeline.ts';
import { type LiveRule, RuleBook, type RuleOutcome } from './rules.ts';

const NAMES = ['attempts', 'mean'];
const NOW = 1_750_000_000_000;
const request: ScoreRequest = { transaction_id: 't1', user_id: 'u1', amount: 250, country: 'DE', card_id: 'c1' };

function rule(when: string, change: Partial<Rule> = {}): Rule {
  return { id: 'r', version: 1, description: 'a rule', when, action: 'review', state: 'live', ...change };
}
function listsOf(): RiskLists {
  const lists = new RiskLists();
  lists.lists.set('bad_cards', new RiskList({ kind: 'block', of: 'card' }));
  lists.lists.set('good_users', new RiskList({ kind: 'allow', of: 'user' }));
  lists.lists.get('bad_cards')!.set({ value: 'c1', reason: 'stolen', author: 'anna', created_ms: NOW - 10, expires_ms: NOW + 10 });
  return lists;
}
const evaluated = (rules: readonly Rule[], nowMs = NOW): RuleOutcome =>
  new RuleBook(rules, NAMES, listsOf()).evaluate({ request, vector: new Float32Array(2), score: 0, probability: 0, anomaly: 0, nowMs });
function hits(rules: Rule[], vector: number[], probability = Number.NaN, anomaly = Number.NaN): string[] {
  return new RuleBook(rules, NAMES)
    .evaluate({ request, vector: Float32Array.from(vector), score: probability, probability, anomaly, nowMs: NOW })
    .live.map(({ hit }) => hit.rule);
}
function problem(act: () => unknown): string {
  try {
    act();
  } catch (error) {
    if (error instanceof GatehouseError && error.code === 'rule_invalid') return error.detail;
    throw error;
  }
  throw new Error('it was taken');
}

describe('a rule', () => {
  test('reads transaction, features, probability and anomaly', () => {
    expect(hits([rule('tx.amount > 200.0 && features.attempts >= 3.0 && tx.country in ["DE", "FR"]')], [3, 0])).toEqual(['r']);
    expect(hits([rule('probability > 0.5')], [0, 0], 0.6)).toEqual(['r']);
    expect(hits([rule('anomaly > 0.99')], [0, 0], 0.1, 0.995)).toEqual(['r']);
    expect(hits([rule('anomaly > 0.99')], [0, 0], 0.995, 0.1)).toEqual([]);
  });

  test('is not hit by what is missing', () => {
    expect(hits([rule('features.mean < 5.0 || features.mean >= 5.0 || probability >= 0.0')], [0, Number.NaN])).toEqual([]);
    expect(hits([rule('anomaly < 0.5 || anomaly >= 0.5 || anomaly == -1.0')], [0, 0])).toEqual([]);
    expect(hits([rule('tx.device_id == ""')], [0, 0])).toEqual(['r']);
  });

  test('compares with the number that a person reads', () => {
    expect(hits([rule('features.mean <= 0.1 && features.mean == 0.1')], [0, 0.1])).toEqual(['r']);
    expect(hits([rule('tx.user_id != "a matches(b)"')], [0, 0])).toEqual(['r']);
  });

  test('acts only when live; a shadow rule is told apart', () => {
    const rules = (['draft', 'backtest', 'shadow', 'live', 'retired'] as const).map((state) => rule('true', { id: state, state }));
    const outcome = evaluated(rules);
    expect(outcome.live.map(({ hit }) => hit.rule)).toEqual(['live']);
    expect(outcome.shadow.map((hit) => hit.rule)).toEqual(['shadow']);
  });

  test.each([
    ['an unknown feature', 'features.atempts > 1.0', 'line 1, column 10: No such key: atempts; is attempts meant?'],
    ['an unknown field', 'tx.amont > 1.0', 'line 1, column 4: No such key: amont; is amount meant?'],
    ['an unknown variable', 'true &&\n  nope > 1', 'line 2, column 3: Unknown variable: nope; rules read'],
    ['a syntax error', 'features.attempts >', 'line 1, column 20: Unexpected token: EOF; the expression ends too early'],
    ['a single =', 'features.attempts = 1.0', 'equality is =='],
    ['a word for an operator', 'features.attempts > 1.0 and true', 'written &&'],
    ['types that do not go together', 'tx.country > 2', 'line 1, column 1: no such overload: string > int; both sides'],
    ['another type than bool', 'tx.amount', 'is a double, and a rule needs a bool'],
    ['a pattern, whose time has no bound', 'tx.user_id.matches("^(a+)+$")', 'startsWith'],
    ['an unknown list', 'in_list("bad_card", tx.card_id)', 'line 1, column 9: there is no list bad_card; is bad_cards meant?'],
    ['a list that the payment names', 'in_list(tx.user_id, tx.card_id)', 'needs the name of a list in quotes'],
    ['a list asked for a number', 'in_list("bad_cards", tx.amount)', 'found no matching overload'],
  ])('is refused for %s, with the place', (_, when, part) => {
    expect(problem(() => new RuleBook([rule(when)], NAMES, listsOf()))).toContain(part);
  });

  test('stands once; another version of it may be in shadow beside it', () => {
    expect(problem(() => new RuleBook([rule('true'), rule('false')], NAMES))).toContain('twice');
    expect(problem(() => new RuleBook([rule('true'), rule('true', { version: 2 })], NAMES))).toContain('twice');
    const outcome = evaluated([rule('true'), rule('true', { version: 2, state: 'shadow' })]);
    expect([outcome.live[0]?.hit.version, outcome.shadow[0]?.version]).toEqual([1, 2]);
  });

  test('asks lists, and the outcome says what they said yes to', () => {
    const asks = rule('in_list("bad_cards", tx.card_id) || in_list("good_users", tx.user_id)');
    const outcome = evaluated([asks, rule('in_list("bad_cards", tx.card_id)', { id: 's', state: 'shadow' })]);
    expect(outcome.live).toHaveLength(1);
    expect(outcome.listHits).toEqual(['bad_cards=c1']);
    // Before it was made and after its end, an entry is none.
    for (const nowMs of [NOW - 11, NOW + 10]) expect(evaluated([asks], nowMs)).toMatchObject({ live: [], listHits: [] });
  });
});

test('a rules file is checked as a whole', () => {
  expect(RuleBook.parseFile(JSON.stringify([rule('true')]))).toHaveLength(1);
  expect(problem(() => RuleBook.parseFile('['))).toContain('JSON');
  expect(problem(() => RuleBook.parseFile('[{"id":"a"}]'))).toContain('/0');
  expect(problem(() => RuleBook.parseFile(JSON.stringify([{ ...rule('true'), action: 'approve' }])))).toContain('action');
});

test('the shipped rules compile against the shipped features and lists', () => {
  const lists = new RiskLists();
  for (const list of DEFAULT_LISTS) lists.lists.set(list.name, new RiskList(list));
  const book = new RuleBook(DEFAULT_RULES, createFeatureEngine(DEFAULT_DECLARATIONS).names(FRAUD_SET), lists);
  expect([...book.listsOf.values()].flat().sort()).toEqual(DEFAULT_LISTS.map(({ name }) => name).sort());
  const vector = new Float32Array(createFeatureEngine(DEFAULT_DECLARATIONS).names(FRAUD_SET).length).fill(Number.NaN);
  const strange = (anomaly: number) => book.evaluate({ request, vector, score: 0, probability: 0, anomaly, nowMs: NOW });
  // A strange payment is noted and nothing more.
  expect(strange(0.9995)).toMatchObject({ live: [], shadow: [{ rule: 'strange-large-payment' }], failed: [] });
  for (const anomaly of [0.999, Number.NaN]) expect(strange(anomaly)).toMatchObject({ live: [], shadow: [], failed: [] });
});

describe('a decision', () => {
  const live = (action: Rule['action'], overridable = true): LiveRule => ({
    hit: { rule: action, version: 1, action },
    description: '',
    overridable,
  });
  const decided = (model: (typeof DECISIONS)[number], rules: readonly LiveRule[]) => decide(model, rules).decision;

  test('follows the thresholds', () => {
    const thresholds = { review: 0.1, challenge: 0.3, decline: 0.8 };
    expect([0.05, 0.1, 0.29, 0.3, 0.8, 1].map((p) => modelDecision(p, thresholds))).toEqual([
      'approve',
      'review',
      'review',
      'challenge',
      'decline',
      'decline',
    ]);
  });

  test('is the strongest of all that was said', () => {
    expect(decided('approve', [])).toBe('approve');
    expect(decided('challenge', [live('review')])).toBe('challenge');
    expect(decided('review', [live('restrict_payment_method'), live('suspend'), live('decline')])).toBe('suspend');
  });

  test('an allow rule stands against the model and overridable rules, and against nothing else', () => {
    expect(decide('decline', [live('decline'), live('allow')])).toEqual({
      decision: 'approve',
      hits: [
        { rule: 'decline', version: 1, action: 'decline', overruled: true },
        { rule: 'allow', version: 1, action: 'allow' },
      ],
    });
    expect(decided('decline', [live('allow'), live('challenge', false), live('decline')])).toBe('challenge');
  });

  test('what an allow rule does not override: what says so, a suspension, and whatever asks a block list', () => {
    const allow = rule('true', { id: 'allow', action: 'allow' });
    const verdict = (other: Partial<Rule>, when = 'true') =>
      decide('decline', evaluated([rule(when, { action: 'decline', ...other }), allow]).live).decision;
    expect(verdict({})).toBe('approve');
    expect(verdict({ overridable: false })).toBe('decline');
    expect(verdict({ action: 'suspend', overridable: true })).toBe('suspend');
    expect(verdict({ overridable: true }, 'in_list("bad_cards", tx.card_id)')).toBe('decline');
  });

  test('keeps to the precedence, whatever rules hit in whatever order', () => {
    const anyRule = fc.record({ action: fc.constantFrom(...RULE_ACTIONS), overridable: fc.boolean() });
    fc.assert(
      fc.property(fc.constantFrom(...DECISIONS), fc.array(anyRule, { maxLength: 6 }), (model, rules) => {
        const allowed = rules.some(({ action }) => action === 'allow');
        const said = rules.filter(({ overridable }) => !allowed || !overridable).map(({ action }) => action);
        const strongest = DECISIONS.find((name) => said.includes(name as Rule['action']) || (!allowed && name === model)) ?? 'approve';
        expect(
          decided(
            model,
            rules.map(({ action, overridable }) => live(action, overridable)),
          ),
        ).toBe(strongest);
      }),
      { seed: 4, numRuns: 500 },
    );
  });
});
