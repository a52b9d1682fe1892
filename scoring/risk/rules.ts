import Type from 'typebox';
import { Compile } from 'typebox/compile';
import { GatehouseError } from '../../contracts/errors.ts';
import { Rule } from '../../contracts/rules.ts';
import type { RuleHit, ScoreRequest } from '../../contracts/score.ts';
import { type ListLookup, NO_LISTS, type RuleContext, RuleLanguage, Tx } from './rule-language.ts';

/** More rules than this cost more than a model; a team with so many has lost sight of them. */
export const RULES_MAX = 500;

const RulesFile = Compile(Type.Array(Rule, { maxItems: RULES_MAX }));

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
  /** Share of known payments that look less strange; NaN when no anomaly model answered. */
  readonly anomaly: number;
  /** When: entries of lists begin and end. */
  readonly nowMs: number;
}

export interface RuleOutcome {
  readonly live: readonly LiveRule[];
  readonly shadow: readonly RuleHit[];
  /** Rules whose evaluation threw; they count as not hit. */
  readonly failed: readonly RuleHit[];
  /** Questions to lists that were answered with yes, `name=value`, each once. */
  readonly listHits: readonly string[];
}

/** A rule that hit, with what its decision needs. */
export interface LiveRule {
  readonly hit: RuleHit;
  readonly description: string;
  /** False: an `allow` rule does not stand against it. */
  readonly overridable: boolean;
}

interface Evaluated extends LiveRule {
  readonly shadow: boolean;
  readonly when: (context: RuleContext) => unknown;
}

const NONE: readonly never[] = Object.freeze([]);

/** The rules in force, compiled. Immutable: a change makes a new one and swaps it whole. */
export class RuleBook {
  readonly rules: readonly Rule[];
  /** Names the rules in force and their states, for decisions to cite; empty where nobody keeps rulesets. */
  readonly ruleset: string;
  /** The lists that live and shadow rules ask, by rule (`id@version`). */
  readonly listsOf: ReadonlyMap<string, readonly string[]>;
  readonly #compiled: Evaluated[] = [];
  readonly #lists: ListLookup;
  readonly #context: RuleContext & { readonly tx: Tx };
  #nowMs = 0;
  #listHits: string[] | undefined;

  /** Compiles every rule, drafts too. Throws `rule_invalid` with the rule, and the place within its expression. */
  constructor(rules: readonly Rule[], featureNames: readonly string[], lists: ListLookup = NO_LISTS, ruleset = '') {
    this.rules = rules;
    this.ruleset = ruleset;
    this.#lists = lists;
    const language = new RuleLanguage(featureNames, lists, (name, value) => this.#asked(name, value));
    this.#context = { tx: new Tx({} as ScoreRequest), features: new language.Features(new Float32Array(0)), score: 0, probability: 0, anomaly: 0 };
    const seen = new Set<string>();
    const listsOf = new Map<string, readonly string[]>();
    for (const rule of rules) {
      // One version of a rule acts at a time; others may be in shadow beside it.
      for (const key of rule.state === 'live' ? [`${rule.id} ${rule.version}`, rule.id] : [`${rule.id} ${rule.version}`]) {
        if (seen.has(key)) throw new GatehouseError('rule_invalid', `rule ${rule.id} stands twice`);
        seen.add(key);
      }
      if (rule.state === 'retired') continue;
      const { when, lists: asks } = compileRule(language, rule);
      if (rule.state !== 'live' && rule.state !== 'shadow') continue;
      listsOf.set(`${rule.id}@${rule.version}`, asks);
      this.#compiled.push({
        hit: Object.freeze({ rule: rule.id, version: rule.version, action: rule.action }),
        description: rule.description,
        overridable: isOverridable(rule, asks, lists),
        shadow: rule.state === 'shadow',
        when,
      });
    }
    this.listsOf = listsOf;
  }

  /** Parses a rules file (JSON). Throws `rule_invalid`. */
  static parseFile(text: string): Rule[] {
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
    return value;
  }

  /** Evaluates every live and shadow rule. It does not wait, so one context serves all payments. */
  evaluate(input: RuleInput): RuleOutcome {
    const context = this.#context;
    context.tx.request = input.request;
    (context.features as { vector: Float32Array }).vector = input.vector;
    context.score = input.score;
    context.probability = input.probability;
    context.anomaly = input.anomaly;
    this.#nowMs = input.nowMs;
    this.#listHits = undefined;
    const live: LiveRule[] = [];
    const shadow: RuleHit[] = [];
    const failed: RuleHit[] = [];
    for (const rule of this.#compiled) {
      try {
        if (rule.when(context) !== true) continue;
        if (rule.shadow) shadow.push(rule.hit);
        else live.push(rule);
      } catch {
        failed.push(rule.hit);
      }
    }
    return { live, shadow, failed, listHits: this.#listHits ?? NONE };
  }

  #asked(name: string, value: string): boolean {
    if (!this.#lists.has(name, value, this.#nowMs)) return false;
    const question = `${name}=${value}`;
    if (this.#listHits === undefined) this.#listHits = [question];
    else if (!this.#listHits.includes(question)) this.#listHits.push(question);
    return true;
  }
}

/** A suspension, and what a block list says, stand against every `allow` rule, whatever the author wrote. */
function isOverridable(rule: Rule, asks: readonly string[], lists: ListLookup): boolean {
  return rule.overridable !== false && rule.action !== 'suspend' && !asks.some((name) => lists.kind(name) === 'block');
}

function compileRule(language: RuleLanguage, rule: Rule): ReturnType<RuleLanguage['compile']> {
  try {
    return language.compile(rule.when);
  } catch (cause) {
    if (!(cause instanceof GatehouseError)) throw cause;
    throw new GatehouseError('rule_invalid', `rule ${rule.id}: ${cause.detail}`, { cause, ...(cause.errors ? { errors: cause.errors } : {}) });
  }
}
