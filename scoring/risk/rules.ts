import { Environment } from '@marcbachmann/cel-js';
import Type, { type Static } from 'typebox';
import { Compile } from 'typebox/compile';
import { GatehouseError } from '../../contracts/errors.ts';
import { Id } from '../../contracts/event.ts';
import type { RuleHit, ScoreRequest } from '../../contracts/score.ts';
import { DECISIONS, type DecisionName } from '../../contracts/score.ts';

/** More rules than this cost more than a model; a team with so many has lost sight of them. */
export const RULES_MAX = 500;

/** A rule as it stands in the rules file. `when` is CEL over `tx`, `features`, `score` and `probability`. */
export const Rule = Type.Object(
  {
    id: Id,
    version: Type.Integer({ minimum: 1 }),
    description: Type.String({ minLength: 1, maxLength: 300 }),
    when: Type.String({ minLength: 1, maxLength: 4000 }),
    action: Type.Enum(DECISIONS.filter((name) => name !== 'approve')),
    /** `live` acts; `shadow` is evaluated and counted but does not act; `draft` and `retired` are not evaluated. */
    state: Type.Enum(['draft', 'shadow', 'live', 'retired']),
  },
  { additionalProperties: false },
);
export type Rule = Static<typeof Rule>;

const RulesFile = Compile(Type.Array(Rule, { maxItems: RULES_MAX }));

/** The two classic cases, and what the features say plainly without a model. Thresholds are those that card schemes' velocity guides start from. */
export const DEFAULT_RULES: readonly Rule[] = [
  {
    id: 'many-cards-short-time',
    version: 1,
    description: 'Many payment methods tried in a short time',
    when: 'features.device_cards_10m >= 4.0 || features.user_cards_24h >= 4.0 || features.user_payment_methods_10m >= 4.0',
    action: 'restrict_payment_method',
    state: 'live',
  },
  {
    id: 'many-payments-short-time',
    version: 1,
    description: 'Many payments in a short time',
    when: 'features.user_attempts_10m >= 8.0 || features.card_attempts_10m >= 8.0',
    action: 'review',
    state: 'live',
  },
  {
    id: 'shared-device-new-card',
    version: 1,
    description: 'A device that many users share pays a large amount',
    when: 'features.device_customers_30d >= 4.0 && tx.amount > 200.0',
    action: 'challenge',
    state: 'live',
  },
];

/** What rules may read of the transaction. Absent strings are empty, so that a rule never fails on a missing field. */
const TX_STRINGS = [
  'transaction_id',
  'user_id',
  'session_id',
  'card_id',
  'device_id',
  'ip',
  'email_domain',
  'address_id',
  'merchant_id',
  'payment_method',
  'currency',
  'country',
] as const;

class Tx {
  readonly request: ScoreRequest;
  constructor(request: ScoreRequest) {
    this.request = request;
  }
  get amount(): number {
    return this.request.amount;
  }
}
for (const field of TX_STRINGS) {
  Object.defineProperty(Tx.prototype, field, {
    get(this: Tx): string {
      return this.request[field] ?? '';
    },
  });
}

export interface RuleInput {
  readonly request: ScoreRequest;
  /**
   * In the order of the feature set. A missing feature is NaN, for which <, <=, >, >= and == are false and `!=` and any negation true: a rule says
   * `features.x >= 5.0`, never `!(features.x < 5.0)`, which what is missing would fire.
   */
  readonly vector: Float32Array;
  /** Raw model output and calibrated probability; NaN when no model answered. */
  readonly score: number;
  readonly probability: number;
}

export interface RuleOutcome {
  readonly live: readonly RuleHit[];
  readonly shadow: readonly RuleHit[];
  /** Rules whose evaluation threw; they count as not hit. */
  readonly failed: readonly string[];
}

/** The rules in force, compiled. Immutable: a reload makes a new one and swaps it whole. */
export class RuleBook {
  readonly rules: readonly Rule[];
  readonly #compiled: { readonly hit: RuleHit; readonly shadow: boolean; readonly when: (context: Record<string, unknown>) => unknown }[] = [];
  readonly #Features: new (
    vector: Float32Array,
  ) => object;

  /** Compiles every live and shadow rule. Throws `rule_invalid` with the rule, and the position within its expression. */
  constructor(rules: readonly Rule[], featureNames: readonly string[]) {
    this.rules = rules;
    const { environment, Features } = createEnvironment(featureNames);
    this.#Features = Features;
    const seen = new Set<string>();
    for (const rule of rules) {
      if (seen.has(rule.id)) throw new GatehouseError('rule_invalid', `rule ${rule.id} stands twice`);
      seen.add(rule.id);
      const when = compileRule(environment, rule);
      if (rule.state !== 'live' && rule.state !== 'shadow') continue;
      this.#compiled.push({
        hit: { rule: rule.id, version: rule.version, action: rule.action as DecisionName },
        shadow: rule.state === 'shadow',
        when,
      });
    }
  }

  /** Parses a rules file (JSON). Throws `rule_invalid`. */
  static parse(text: string, featureNames: readonly string[]): RuleBook {
    let value: unknown;
    try {
      value = JSON.parse(text);
    } catch (cause) {
      throw new GatehouseError('rule_invalid', 'the rules file is not JSON', { cause });
    }
    if (!RulesFile.Check(value)) {
      const errors = RulesFile.Errors(value).map((error) => ({ path: error.instancePath, message: error.message }));
      throw new GatehouseError('rule_invalid', `the rules file does not match its schema at ${errors[0]?.path ?? '/'}: ${errors[0]?.message ?? ''}`, {
        errors,
      });
    }
    return new RuleBook(value, featureNames);
  }

  evaluate(input: RuleInput): RuleOutcome {
    const live: RuleHit[] = [];
    const shadow: RuleHit[] = [];
    const failed: string[] = [];
    const context = { tx: new Tx(input.request), features: new this.#Features(input.vector), score: input.score, probability: input.probability };
    for (const rule of this.#compiled) {
      try {
        if (rule.when(context) === true) (rule.shadow ? shadow : live).push(rule.hit);
      } catch {
        failed.push(rule.hit.rule);
      }
    }
    return { live, shadow, failed };
  }
}

/** A float32 as its shortest decimal: a rule that says `<= 0.1` means the 0.1 that the vector holds as 0.10000000149. */
function readable(value: number): number {
  return Number.isInteger(value) || !Number.isFinite(value) ? value : Number(value.toPrecision(7));
}

/** String literals of CEL, so that what stands in one is not taken for a call. */
const LITERALS = /"(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*'/g;

/**
 * A pattern that backtracks takes seconds on an id of 27 characters, and ids come from clients: no pattern is safe by its look. Use `startsWith`,
 * `endsWith` and `contains`.
 */
export function refuseMatches({ when }: Pick<Rule, 'when'>): void {
  if (/\bmatches\s*\(/.test(when.replace(LITERALS, "''"))) {
    throw new Error('matches() is not allowed: the time that a pattern takes has no bound; use startsWith, endsWith or contains');
  }
}

function createEnvironment(featureNames: readonly string[]) {
  // A view over the vector: building a map of 60 entries for every request costs more than all the rules.
  class Features {
    readonly vector: Float32Array;
    constructor(vector: Float32Array) {
      this.vector = vector;
    }
  }
  const featureFields: Record<string, string> = {};
  featureNames.forEach((name, i) => {
    featureFields[name] = 'double';
    Object.defineProperty(Features.prototype, name, {
      get(this: Features): number {
        return readable(this.vector[i]!);
      },
    });
  });
  const txFields: Record<string, string> = { amount: 'double' };
  for (const field of TX_STRINGS) txFields[field] = 'string';
  const environment = new Environment()
    .registerType('Tx', { ctor: Tx, fields: txFields })
    .registerType('Features', { ctor: Features, fields: featureFields })
    .registerVariable('tx', 'Tx')
    .registerVariable('features', 'Features')
    .registerVariable('score', 'double')
    .registerVariable('probability', 'double');
  return { environment, Features };
}

function compileRule(environment: Environment, rule: Rule): (context: Record<string, unknown>) => unknown {
  try {
    refuseMatches(rule);
    const parsed = environment.parse(rule.when);
    const check = parsed.check();
    if (!check.valid) throw check.error ?? new Error('the expression has type errors');
    if (check.type !== 'bool') throw new Error(`the expression is a ${check.type}, and a rule needs a bool`);
    return parsed;
  } catch (cause) {
    throw new GatehouseError('rule_invalid', `rule ${rule.id}: ${cause instanceof Error ? cause.message : String(cause)}`, { cause });
  }
}
