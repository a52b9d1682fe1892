import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { Restriction } from '../../contracts/restriction.ts';
import type { Rule } from '../../contracts/rules.ts';
import { DECISIONS, RULE_ACTIONS, type ScoreRequest } from '../../contracts/score.ts';
import { DEFAULT_DECLARATIONS } from '../features/defaults.ts';
import { createFeatureEngine } from '../features/engine.ts';
import { type AnomalyModel, assess, FRAUD_SET, type FraudModel, judge } from './pipeline.ts';
import { RuleBook } from './rules.ts';

const NOW = 1_750_000_000_000;
const engine = createFeatureEngine(DEFAULT_DECLARATIONS);
const NAMES = engine.names(FRAUD_SET);
const request: ScoreRequest & { timestamp_ms: number } = { transaction_id: 't1', user_id: 'u1', amount: 250, currency: 'EUR', timestamp_ms: NOW };
const THRESHOLDS = { review: 0.3, challenge: 0.6, decline: 0.9 };

function modelOf(raw: number | Error | 'never', change: Partial<FraudModel> = {}): FraudModel {
  return {
    bundle: 'b1',
    thresholds: THRESHOLDS,
    predict: () => (raw === 'never' ? new Promise(() => undefined) : raw instanceof Error ? Promise.reject(raw) : Promise.resolve(raw)),
    calibrate: (value) => value,
    contributions: () => NAMES.map((_, i) => i / 100),
    ...change,
  };
}
const book = (rules: readonly Partial<Rule>[] = []): RuleBook =>
  new RuleBook(
    rules.map((rule, i) => ({ id: `r${i}`, version: 1, description: `rule ${i}`, when: 'true', action: 'review', state: 'live', ...rule }) as Rule),
    NAMES,
  );
const judged = (model: FraudModel | undefined, rules = book(), deadlineMs?: number) =>
  judge(engine, { request, model, rules, nowMs: NOW, vector: new Float32Array(NAMES.length), deadlineMs });

describe('with a model', () => {
  test.each([
    [0.1, 'approve'],
    [0.3, 'review'],
    [0.6, 'challenge'],
    [0.9, 'decline'],
  ] as const)('a probability of %f is a %s', async (raw, decision) => {
    const { response, failures } = await judged(modelOf(raw));
    expect(response).toMatchObject({ decision, score: raw, probability: raw, bundle: 'b1', degraded: false });
    expect(response.degraded_by).toBeUndefined();
    expect(failures).toEqual([]);
  });

  test('the calibrated probability decides, the raw one is reported beside it', async () => {
    const { response } = await judged(modelOf(0.2, { calibrate: (raw) => raw * 4 }));
    expect(response).toMatchObject({ score: 0.2, probability: 0.8, decision: 'challenge' });
  });

  test('reasons are the strongest contributions, each with its sentence', async () => {
    const { response } = await judged(modelOf(0.7));
    const strongest = NAMES.map((_, i) => NAMES.length - 1 - i).slice(0, 5);
    expect(response.reasons).toEqual(strongest.map((i) => ({ code: NAMES[i], text: engine.explain(FRAUD_SET, i, 0), contribution: i / 100 })));
    expect((await judged(modelOf(0.1))).response.reasons).toEqual([]);
  });
});

describe('when a part fails, the rest answers and says so', () => {
  const strict = book([{ action: 'challenge' }]);
  test.each<[string, FraudModel | undefined, string]>([
    ['no model', undefined, 'model_missing'],
    ['a model that throws', modelOf(new Error('broken')), 'model_failed'],
    ['a model that gives NaN', modelOf(Number.NaN), 'model_failed'],
    ['a calibration that gives infinity', modelOf(0.5, { calibrate: () => Number.POSITIVE_INFINITY }), 'model_failed'],
    ['a model that never answers', modelOf('never'), 'deadline'],
  ])('%s', async (_, model, reason) => {
    const { response, failures } = await judged(model, strict, 20);
    expect(response).toMatchObject({ decision: 'challenge', score: null, probability: null, degraded: true, degraded_by: [reason] });
    expect(failures.map((failure) => failure.reason)).toEqual([reason]);
    expect(() => JSON.stringify(response)).not.toThrow();
  });

  test('an explanation that throws leaves the verdict', async () => {
    const model = modelOf(0.95, {
      contributions: () => {
        throw new Error('no trees');
      },
    });
    const { response } = await judged(model, strict);
    expect(response).toMatchObject({ decision: 'decline', probability: 0.95, degraded_by: ['explanation_failed'] });
    expect(response.reasons).toEqual([{ code: 'rule:r0', text: 'rule 0' }]);
  });
});

test('the decision is the strongest of the model and the live rules', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.double({ min: 0, max: 1, noNaN: true }),
      fc.array(fc.record({ action: fc.constantFrom(...RULE_ACTIONS.filter((name) => name !== 'allow')), state: fc.constantFrom('live', 'shadow') }), {
        maxLength: 4,
      }),
      async (raw, rules) => {
        const byModel = raw >= 0.9 ? 'decline' : raw >= 0.6 ? 'challenge' : raw >= 0.3 ? 'review' : 'approve';
        const actions = rules.filter(({ state }) => state === 'live').map(({ action }) => action);
        const strongest = Math.min(...[byModel, ...actions].map((name) => DECISIONS.indexOf(name as (typeof DECISIONS)[number])));
        const { response, alert, decision } = await judged(modelOf(raw), book(rules as Partial<Rule>[]));
        expect(response.decision).toBe(DECISIONS[strongest]);
        expect(alert === undefined).toBe(response.decision === 'approve');
        expect(decision.shadow_hits?.length ?? 0).toBe(rules.length - actions.length);
      },
    ),
    { seed: 9, numRuns: 200 },
  );
});

test('a decision can be judged again from its vector, bit for bit; a twin makes the same alert', async () => {
  const fact = { ...request, event_id: 't1', name: 'payment_attempt' as const, value: 250 };
  const states = { user: engine.apply({ kind: 'user', id: 'u1' }, undefined, fact, () => undefined) };
  const model = modelOf(0, { predict: async (vector) => 1 / (1 + Math.exp(-vector.reduce((sum, x) => sum + (Number.isNaN(x) ? 0 : x), 0) / 100)) });
  const rules = book([{ when: 'features.user_attempts_10m >= 1.0' }]);
  const first = await assess(engine, { request, event: fact, states, model, rules, nowMs: NOW });
  expect(first.response.rule_hits).toHaveLength(1);
  const vector = Float32Array.from(first.decision.vector ?? []);
  const again = await judge(engine, { request, model, rules, nowMs: NOW + 1000, vector });
  expect(again.response).toEqual(first.response);
  expect(again.decision.vector).toEqual(first.decision.vector);
  expect(again.alert?.alert_id).toBe(first.alert?.alert_id);
});

test('an explanation that is asked for has the features that were seen, and reasons for an approval too', async () => {
  const vector = Float32Array.from(NAMES, (_, i) => (i === 1 ? Number.NaN : i / 2));
  const ask = (explain: boolean) => judge(engine, { request: { ...request, explain }, model: modelOf(0.1), rules: book(), nowMs: NOW, vector });
  const { response } = await ask(true);
  expect(response).toMatchObject({ decision: 'approve', features: { [NAMES[0]!]: 0, [NAMES[1]!]: null, [NAMES[3]!]: 1.5 } });
  expect(Object.keys(response.features!)).toEqual(NAMES);
  expect(response.reasons).toHaveLength(5);
  expect((await ask(false)).response.features).toBeUndefined();
});

describe('another model that is tried', () => {
  const asked = (other: FraudModel) =>
    judge(engine, { request, model: modelOf(0.1), other, rules: book(), nowMs: NOW, vector: new Float32Array(NAMES.length), deadlineMs: 50 });

  test('is recorded and decides nothing', async () => {
    const { response, decision } = await asked(modelOf(0.95, { bundle: 'b2', calibrate: (raw) => raw - 0.01 }));
    expect(response).toMatchObject({ decision: 'approve', bundle: 'b1', degraded: false });
    expect(decision.other_model).toEqual({ bundle: 'b2', score: 0.95, probability: 0.95 - 0.01, decision: 'decline' });
  });

  test.each<[string, number | Error | 'never']>([
    ['fails', new Error('x')],
    ['gives no number', Number.NaN],
    ['never answers', 'never'],
  ])('that %s changes nothing', async (_, raw) => {
    const { response, decision, failures } = await asked(modelOf(raw));
    expect(response).toMatchObject({ decision: 'approve', degraded: false });
    expect(decision.other_model).toBeUndefined();
    expect(failures).toEqual([]);
  });
});

describe('an anomaly model', () => {
  const saying = (share: number | Error | 'never'): AnomalyModel => ({
    share: () => (share === 'never' ? new Promise(() => undefined) : share instanceof Error ? Promise.reject(share) : Promise.resolve(share)),
  });
  const strange = book([{ when: 'anomaly > 0.99' }]);
  const asked = (anomaly: AnomalyModel | undefined, model: FraudModel | undefined = modelOf(0.1), rules = strange) =>
    judge(engine, { request, model, anomaly, rules, nowMs: NOW, vector: new Float32Array(NAMES.length), deadlineMs: 20 });

  test('is read by rules and stated in the answer, which the decision records', async () => {
    const { response, decision } = await asked(saying(0.995));
    expect(response).toMatchObject({ decision: 'review', anomaly: 0.995, score: 0.1, degraded: false });
    expect(decision.response.anomaly).toBe(0.995);
    expect((await asked(saying(0.5))).response).toMatchObject({ decision: 'approve', anomaly: 0.5 });
  });

  test('that the bundle lacks degrades nothing, and rules find no number', async () => {
    const { response, failures } = await asked(undefined, modelOf(0.1), book([{ when: 'anomaly <= 1.0' }]));
    expect(response).toMatchObject({ decision: 'approve', anomaly: null, degraded: false });
    expect(failures).toEqual([]);
  });

  test('answers where there is no fraud model', async () => {
    const { response } = await judge(engine, {
      ...{ request, model: undefined, anomaly: saying(0.995), rules: strange },
      ...{ nowMs: NOW, vector: new Float32Array(NAMES.length) },
    });
    expect(response).toMatchObject({ decision: 'review', anomaly: 0.995, probability: null, degraded_by: ['model_missing'] });
  });

  test.each<[string, number | Error | 'never', string]>([
    ['fails', new Error('x'), 'anomaly_failed'],
    ['gives no number', Number.NaN, 'anomaly_failed'],
    ['never answers', 'never', 'anomaly_deadline'],
  ])('that %s is said to, and the rest decides', async (_, share, reason) => {
    const { response, failures } = await asked(saying(share), modelOf(0.7));
    expect(response).toMatchObject({ decision: 'challenge', anomaly: null, probability: 0.7, degraded: true, degraded_by: [reason] });
    expect(failures.map((failure) => failure.reason)).toEqual([reason]);
    // A line in the log for each late payment would make overload worse: the reason is counted.
    expect(failures[0]!.cause === undefined).toBe(share === 'never');
  });

  test('waits beside the fraud model, not behind it', async () => {
    const order: string[] = [];
    const model = modelOf(0.1, {
      predict: async () => {
        order.push('fraud asked');
        await new Promise(setImmediate);
        order.push('fraud answers');
        return 0.1;
      },
    });
    const anomaly: AnomalyModel = {
      share: async () => {
        order.push('anomaly asked');
        return 0.5;
      },
    };
    await asked(anomaly, model);
    expect(order.at(-1)).toBe('fraud answers');
    expect(order).toContain('anomaly asked');
  });
});

describe('restrictions', () => {
  const terms = { suspend: 7_000, restrict_payment_method: 1_000 };
  const held: Restriction = {
    restriction_id: 'r1',
    action: 'restrict_payment_method',
    entity: { kind: 'user', id: 'u1' },
    reason: 'Earlier',
    from_ms: 0,
    until_ms: NOW + 1,
  };
  const judgedUnder = (raw: number, standing: readonly Restriction[], rules = book()) =>
    judge(engine, {
      request: { ...request, card_id: 'c1' },
      model: modelOf(raw),
      standing,
      terms,
      rules,
      nowMs: NOW,
      vector: new Float32Array(NAMES.length),
    });

  test('that stand are never weakened, and raise no alert of their own', async () => {
    const { response, alert, imposed } = await judgedUnder(0.1, [held]);
    expect(response).toMatchObject({ decision: 'restrict_payment_method', restrictions: [held], reasons: [{ code: 'restriction:r1' }] });
    expect(alert).toBeUndefined();
    expect(imposed).toBeUndefined();
  });

  test('give way to what is stronger', async () => {
    const { response, alert, imposed } = await judgedUnder(0.1, [held], book([{ action: 'suspend' }]));
    expect(response.decision).toBe('suspend');
    expect(alert?.severity).toBe('critical');
    expect(imposed).toMatchObject({ action: 'suspend', entity: { kind: 'user', id: 'u1' }, until_ms: NOW + 7_000 });
    expect(response.restrictions).toEqual([held, imposed]);
  });
});
