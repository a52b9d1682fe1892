import { type ASTNode, Environment } from '@marcbachmann/cel-js';
import { GatehouseError } from '../../contracts/errors.ts';
import type { ListKind } from '../../contracts/lists.ts';
import type { ScoreRequest } from '../../contracts/score.ts';
import { closureOf, type RuleNames } from './rule-closures.ts';

/** What rules may ask of lists. */
export interface ListLookup {
  /** Undefined where there is no such list. */
  kind(name: string): ListKind | undefined;
  names(): readonly string[];
  /** Whether the value stands on the list at that time. */
  has(name: string, value: string, atMs: number): boolean;
}

export const NO_LISTS: ListLookup = { kind: () => undefined, names: () => [], has: () => false };

/** What a rule is evaluated on; one object is used again for every payment, because evaluation never waits. */
export interface RuleContext {
  tx: object;
  features: object;
  score: number;
  probability: number;
  anomaly: number;
}

export interface CompiledRule {
  readonly when: (context: RuleContext) => unknown;
  /** The lists that it asks. */
  readonly lists: readonly string[];
}

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
export type TxString = (typeof TX_STRINGS)[number];

export class Tx {
  request: ScoreRequest;
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

/** A view over the vector: building a map of 60 entries for every request costs more than all the rules. */
export interface FeatureView {
  vector: Float32Array;
}

/** Names that a mistyped one is compared with; further apart than this many edits it is no typing error. */
const EDITS_MAX = 3;

/** CEL for rules over one feature set and its lists: compiles, and says where an expression is wrong and what to write instead. */
export class RuleLanguage {
  readonly Features: new (
    vector: Float32Array,
  ) => FeatureView;
  readonly #environment: Environment;
  readonly #featureNames: readonly string[];
  readonly #lists: ListLookup;
  readonly #names: RuleNames;

  /** `asked` answers `in_list` while a rule is evaluated. */
  constructor(featureNames: readonly string[], lists: ListLookup, asked: (name: string, value: string) => boolean) {
    this.#featureNames = featureNames;
    this.#lists = lists;
    this.#names = { features: featureNames, strings: TX_STRINGS, readable, asked };
    this.Features = featureView(featureNames);
    const txFields: Record<string, string> = { amount: 'double' };
    for (const field of TX_STRINGS) txFields[field] = 'string';
    this.#environment = new Environment()
      .registerType('Tx', { ctor: Tx, fields: txFields })
      .registerType('Features', { ctor: this.Features, fields: Object.fromEntries(featureNames.map((name) => [name, 'double'])) })
      .registerVariable('tx', 'Tx')
      .registerVariable('features', 'Features')
      .registerVariable('score', 'double')
      .registerVariable('probability', 'double')
      .registerVariable('anomaly', 'double')
      .registerFunction('in_list(string, string): bool', asked);
  }

  /** Throws `rule_invalid` with line and column, both from 1, and a hint where there is one. */
  compile(when: string): CompiledRule {
    try {
      const parsed = this.#environment.parse(when);
      const calls = callsOf(parsed.ast);
      refuseMatches(calls);
      const lists = this.#listsOf(calls);
      const check = parsed.check();
      if (!check.valid) throw check.error ?? new Error('the expression has type errors');
      if (check.type !== 'bool') throw new PlaceError(`the expression is a ${check.type}, and a rule needs a bool`, 0, 'compare it with something');
      return { when: closureOf(parsed.ast, this.#names) ?? (parsed as unknown as CompiledRule['when']), lists };
    } catch (cause) {
      throw this.#explained(when, cause);
    }
  }

  /** The first argument has to be there when the rule is saved: a list that is named by the payment could not be checked. */
  #listsOf(calls: readonly Call[]): string[] {
    const names = new Set<string>();
    for (const { name, args, at } of calls) {
      if (name !== 'in_list') continue;
      const [list] = args;
      if (list === undefined || list.op !== 'value' || typeof list.args !== 'string')
        throw new PlaceError('in_list needs the name of a list in quotes', list?.start ?? at, `write in_list("name", tx.card_id)`);
      if (this.#lists.kind(list.args) === undefined)
        throw new PlaceError(`there is no list ${list.args}`, list.start, suggestion(list.args, this.#lists.names()));
      names.add(list.args);
    }
    return [...names];
  }

  #explained(when: string, cause: unknown): GatehouseError {
    const { code, summary, range } = cause as { code?: string; summary?: string; range?: { start: number } };
    const at = cause instanceof PlaceError ? cause.at : (range?.start ?? 0);
    const text = summary ?? (cause instanceof Error ? cause.message : String(cause));
    const hint = cause instanceof PlaceError ? cause.hint : this.#hint(code, text, when, at);
    const { line, column } = placeOf(when, at);
    const message = `${text}${hint ? `; ${hint}` : ''}`;
    return new GatehouseError('rule_invalid', `line ${line}, column ${column}: ${message}`, {
      cause,
      errors: [{ path: `/when:${line}:${column}`, message }],
    });
  }

  #hint(code: string | undefined, text: string, when: string, at: number): string | undefined {
    const word = /^[\w.]+/.exec(when.slice(at))?.[0] ?? '';
    const before = when.slice(0, at + 1);
    switch (code) {
      case 'no_such_key':
        return suggestion(word, /\btx\s*\.\s*\w?$/.test(before) ? ['amount', ...TX_STRINGS] : this.#featureNames);
      case 'unknown_variable':
        return 'rules read tx, features, score, probability, anomaly and in_list(name, value)';
      case 'no_such_overload':
        return 'both sides must be of one type: numbers are written 5.0, texts in quotes';
      case 'no_matching_overload':
        return 'compare its arguments with docs/rules.md';
      case 'unterminated_string':
        return 'close the quote';
      case 'unexpected_character':
        if (when[at] === '=') return 'equality is ==';
        return /\b(and|or|not)\b/i.test(when) ? 'and, or and not are written &&, || and !' : undefined;
      default:
        return /EOF/.test(text) ? 'the expression ends too early' : undefined;
    }
  }
}

/** A fault that this file finds, with its place. */
class PlaceError extends Error {
  readonly at: number;
  readonly hint: string | undefined;
  constructor(message: string, at: number, hint?: string) {
    super(message);
    this.at = at;
    this.hint = hint;
  }
}

function featureView(names: readonly string[]): RuleLanguage['Features'] {
  class Features {
    vector: Float32Array;
    constructor(vector: Float32Array) {
      this.vector = vector;
    }
  }
  names.forEach((name, i) => {
    Object.defineProperty(Features.prototype, name, {
      get(this: Features): number {
        return readable(this.vector[i]!);
      },
    });
  });
  return Features;
}

/** Digits that a float32 is sure of. */
const DIGITS = 7;
const TENS = Array.from({ length: 23 }, (_, i) => Number(`1e${i}`));

/**
 * A float32 as the decimal that a person means: a rule that says `<= 0.1` means the 0.1 that the vector holds as 0.10000000149. By a power of ten that a
 * double holds exactly, because `toPrecision` takes longer than the rest of a rule.
 */
function readable(value: number): number {
  if (Number.isInteger(value) || !Number.isFinite(value)) return value;
  const places = DIGITS - 1 - Math.floor(Math.log10(Math.abs(value)));
  const scale = TENS[places];
  // Fractions below 1e-15, and none above 1e7: a float32 has no fraction there.
  return scale === undefined ? Number(value.toPrecision(DIGITS)) : Math.round(value * scale) / scale;
}

export interface Call {
  readonly name: string;
  readonly args: readonly ASTNode[];
  readonly at: number;
}

function isNode(value: unknown): value is ASTNode {
  return typeof value === 'object' && value !== null && 'op' in value && 'args' in value;
}

/** Every call within an expression, however deep. */
export function callsOf(root: ASTNode): Call[] {
  const calls: Call[] = [];
  const visit = (value: unknown): void => {
    if (Array.isArray(value)) for (const part of value) visit(part);
    else if (isNode(value)) {
      if (value.op === 'call') calls.push({ name: value.args[0], args: value.args[1], at: value.start });
      if (value.op === 'rcall') calls.push({ name: value.args[0], args: value.args[2], at: value.start });
      visit(value.args);
    }
  };
  visit(root);
  return calls;
}

/**
 * A pattern that backtracks takes seconds on an id of 27 characters, and ids come from clients: no pattern is safe by its look. Use `startsWith`,
 * `endsWith` and `contains`.
 */
export function refuseMatches(calls: readonly Call[]): void {
  const found = calls.find(({ name }) => name === 'matches');
  if (found)
    throw new PlaceError('matches() is not allowed: the time that a pattern takes has no bound', found.at, 'use startsWith, endsWith or contains');
}

function placeOf(text: string, at: number): { readonly line: number; readonly column: number } {
  const before = text.slice(0, at);
  return { line: before.split('\n').length, column: at - before.lastIndexOf('\n') };
}

function suggestion(word: string, names: readonly string[]): string | undefined {
  let best: string | undefined;
  let bestEdits = EDITS_MAX + 1;
  for (const name of names) {
    const edits = editsBetween(word, name);
    if (edits < bestEdits) [best, bestEdits] = [name, edits];
  }
  return best === undefined ? undefined : `is ${best} meant?`;
}

/** Levenshtein distance. */
function editsBetween(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, j) => j);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) next.push(Math.min(row[j]! + 1, next[j - 1]! + 1, row[j - 1]! + (a[i - 1] === b[j - 1] ? 0 : 1)));
    row = next;
  }
  return row[b.length]!;
}
