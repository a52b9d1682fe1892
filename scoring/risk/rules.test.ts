import { describe, expect, test } from 'vitest';
import { GatehouseError } from '../../contracts/errors.ts';
import type { ScoreRequest } from '../../contracts/score.ts';
import { DEFAULT_DECLARATIONS } from '../features/defaults.ts';
import { createFeatureEngine } from '../features/engine.ts';
import { decide, modelDecision } from './decision.ts';
import { FRAUD_SET } from './pipeline.ts';
import { DEFAULT_RULES, type Rule, RuleBook } from './rules.ts';

const NAMES = ['attempts', 'mean'];
const request: ScoreRequest = { transaction_id: 't1', user_id: 'u1', amount: 250, country: 'DE' };

function rule(when: string, change: Partial<Rule> = {}): Rule {
  return { id: 'r', version: 1, description: 'a rule', when, action: 'review', state: 'live', ...change };
}
function hits(rules: Rule[], vector: number[], probability = Number.NaN): string[] {
  return new RuleBook(rules, NAMES)
    .evaluate({ request, vector: Float32Array.from(vector), score: probability, probability })
    .live.map((hit) => hit.rule);
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
  test('reads transaction, features and probability', () => {
    expect(hits([rule('tx.amount > 200.0 && features.attempts >= 3.0 && tx.country in ["DE", "FR"]')], [3, 0])).toEqual(['r']);
    expect(hits([rule('probability > 0.5')], [0, 0], 0.6)).toEqual(['r']);
  });

  test('is not hit by what is missing', () => {
    expect(hits([rule('features.mean < 5.0 || features.mean >= 5.0 || probability >= 0.0')], [0, Number.NaN])).toEqual([]);
    expect(hits([rule('tx.card_id == ""')], [0, 0])).toEqual(['r']);
  });

  test('compares with the number that a person reads', () => {
    expect(hits([rule('features.mean <= 0.1 && features.mean == 0.1')], [0, 0.1])).toEqual(['r']);
    expect(hits([rule('tx.user_id != "a matches(b)"')], [0, 0])).toEqual(['r']);
  });

  test('acts only when live; a shadow rule is told apart', () => {
    const rules = (['draft', 'shadow', 'live', 'retired'] as const).map((state) => rule('true', { id: state, state }));
    const outcome = new RuleBook(rules, NAMES).evaluate({ request, vector: new Float32Array(2), score: 0, probability: 0 });
    expect(outcome.live.map((hit) => hit.rule)).toEqual(['live']);
    expect(outcome.shadow.map((hit) => hit.rule)).toEqual(['shadow']);
  });

  test.each([
    ['an unknown feature', 'features.nope > 1.0', 'nope'],
    ['an unknown variable', 'nope > 1', 'nope'],
    ['a syntax error', 'features.attempts >', 'EOF'],
    ['types that do not go together', 'tx.country > 2', 'overload'],
    ['another type than bool', 'tx.amount', 'double'],
    ['a pattern, whose time has no bound', 'tx.user_id.matches("^(a+)+$")', 'matches'],
  ])('is refused for %s, with the place', (_, when, part) => {
    expect(problem(() => new RuleBook([rule(when)], NAMES))).toContain(part);
  });

  test('stands once', () => {
    expect(problem(() => new RuleBook([rule('true'), rule('false')], NAMES))).toContain('twice');
  });
});

test('a rules file is checked as a whole', () => {
  expect(RuleBook.parse(JSON.stringify([rule('true')]), NAMES).rules).toHaveLength(1);
  expect(problem(() => RuleBook.parse('[', NAMES))).toContain('JSON');
  expect(problem(() => RuleBook.parse('[{"id":"a"}]', NAMES))).toContain('/0');
  expect(problem(() => RuleBook.parse(JSON.stringify([{ ...rule('true'), action: 'approve' }]), NAMES))).toContain('action');
});

test('the shipped rules compile against the shipped features', () => {
  const engine = createFeatureEngine(DEFAULT_DECLARATIONS);
  expect(new RuleBook(DEFAULT_RULES, engine.names(FRAUD_SET)).rules).toBe(DEFAULT_RULES);
});

describe('a decision', () => {
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
    const hit = (action: Rule['action']) => ({ rule: 'r', version: 1, action });
    expect(decide('approve', [])).toBe('approve');
    expect(decide('challenge', [hit('review')])).toBe('challenge');
    expect(decide('review', [hit('restrict_payment_method'), hit('suspend'), hit('decline')])).toBe('suspend');
  });
});
