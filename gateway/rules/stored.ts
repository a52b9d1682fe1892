import { createHash } from 'node:crypto';
import { Compile } from 'typebox/compile';
import { GatehouseError } from '../../contracts/errors.ts';
import type { ListKind } from '../../contracts/lists.ts';
import { type Rule, type RuleState, RuleVersion } from '../../contracts/rules.ts';
import { RULE_ACTIONS } from '../../contracts/score.ts';
import type { DocChange, Store } from '../../store/contract.ts';

/** One document a version, never deleted: decisions cite it. */
export const RULES_COLLECTION = 'rules';
/** Which versions were in force, by the name that decisions cite. */
export const RULESETS_COLLECTION = 'rulesets';

/** The rules that were evaluated at some time, without their text, which the versions have. */
export interface Ruleset {
  readonly rules: readonly (readonly [id: string, version: number, state: RuleState])[];
  readonly lists: Readonly<Record<string, ListKind>>;
}

const StoredRule = Compile(RuleVersion);

export function ruleKey(id: string, version: number): string {
  return `${id}@${version}`;
}

export function ruleChange(rule: RuleVersion): DocChange {
  return { collection: RULES_COLLECTION, id: ruleKey(rule.id, rule.version), value: rule };
}

/** A version as it was stored. Throws `store_incompatible` on a form that this version of the gateway does not know. */
export function storedRule(id: string, value: unknown): RuleVersion {
  if (StoredRule.Check(value)) return value;
  throw new GatehouseError('store_incompatible', `the rule ${id} in the store has a form that this version does not know`);
}

/** Short, because every decision has it; 64 bits of SHA-256 tell any number of rulesets apart. */
export function rulesetName(ruleset: Ruleset): string {
  return createHash('sha256').update(JSON.stringify(ruleset)).digest('hex').slice(0, 16);
}

/** A version as the engine evaluates it: one that the breaker holds is in shadow. */
export function inForce({ id, version, description, when, action, overridable, state, tripped }: RuleVersion): Rule {
  return { id, version, description, when, action, overridable, state: tripped && state === 'live' ? 'shadow' : state };
}

/** The strongest action first, so that the first reason of a decision is the one that made it. */
export function byPrecedence(a: Rule, b: Rule): number {
  return RULE_ACTIONS.indexOf(a.action) - RULE_ACTIONS.indexOf(b.action) || (a.id === b.id ? a.version - b.version : a.id < b.id ? -1 : 1);
}

/** The rules that a decision was made with, from the store. Undefined where the store does not have that ruleset. */
export async function rulesOf(
  store: Pick<Store<never>, 'doc'>,
  name: string,
): Promise<{ readonly rules: readonly Rule[]; readonly lists: Readonly<Record<string, ListKind>> } | undefined> {
  const ruleset = (await store.doc(RULESETS_COLLECTION, name)) as Ruleset | undefined;
  if (ruleset === undefined) return undefined;
  const rules: Rule[] = [];
  for (const [id, version, state] of ruleset.rules) {
    const key = ruleKey(id, version);
    const { tripped: _, ...rule } = storedRule(key, await store.doc(RULES_COLLECTION, key));
    rules.push(inForce({ ...rule, state }));
  }
  return { rules, lists: ruleset.lists };
}

/** Every version in the store. */
export async function readRules(store: Pick<Store<never>, 'docs'>): Promise<RuleVersion[]> {
  const rules: RuleVersion[] = [];
  for await (const { id, value } of store.docs(RULES_COLLECTION)) rules.push(storedRule(id, value));
  return rules;
}

/** What a gateway on this store evaluates of these. */
export function evaluated(rules: Iterable<RuleVersion>): Rule[] {
  return [...rules]
    .map(inForce)
    .filter(({ state }) => state === 'live' || state === 'shadow')
    .sort(byPrecedence);
}
