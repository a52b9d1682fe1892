import { GatehouseError } from '../../contracts/errors.ts';
import type { Alert } from '../../contracts/push.ts';
import {
  type BacktestResult,
  type CreateRuleRequest,
  RULE_VERSIONS_SHOWN,
  type Rule,
  type RuleState,
  type RulesResponse,
  type RuleVersion,
} from '../../contracts/rules.ts';
import type { BreakerTrip } from '../../scoring/risk/breaker.ts';
import { DEFAULT_RULES } from '../../scoring/risk/default-rules.ts';
import type { ListLookup } from '../../scoring/risk/rule-language.ts';
import { RULES_MAX, RuleBook } from '../../scoring/risk/rules.ts';
import type { DocChange, Store } from '../../store/contract.ts';
import type { Audit, Log } from '../audit.ts';
import type { Config } from '../config.ts';
import { changesOfFile } from './rules-file.ts';
import { Serial } from './serial.ts';
import { evaluated, inForce, RULESETS_COLLECTION, type Ruleset, readRules, ruleChange, ruleKey, rulesetName } from './stored.ts';

/** Who wrote the rules that ship with the gateway, and what the breaker does. */
export const SHIPPED_AUTHOR = 'gatehouse';
const BREAKER_ACTOR = 'circuit-breaker';

/** Which steps a person may take. A draft gets on by a finished backtest alone; what is retired is written anew. */
const STEPS: Readonly<Record<RuleState, readonly RuleState[]>> = {
  draft: ['retired'],
  backtest: ['shadow', 'live', 'retired'],
  shadow: ['live', 'retired'],
  live: ['shadow', 'retired'],
  retired: [],
};

export interface RuleStoreOptions {
  readonly store: Pick<Store<never>, 'docs' | 'doc' | 'write' | 'raise'>;
  readonly audit: Audit;
  readonly log: Log;
  readonly lists: ListLookup;
  readonly featureNames: readonly string[];
  readonly approval: Config['ruleApproval'];
  /** JSON of the rules file, read anew each time; undefined without one. */
  readonly file: (() => Promise<string>) | undefined;
  readonly now: () => number;
  /** The breaker starts to count a rule anew. */
  readonly onReset?: (rule: string, version: number) => void;
}

/**
 * The rules with their versions and lives. A version's text never changes: an edit makes the next one, and decisions cite id and version. Every
 * change is journalled in the same step as its documents, then the compiled rules are swapped whole.
 */
export class RuleStore {
  readonly #options: RuleStoreOptions;
  readonly #serial = new Serial();
  #versions = new Map<string, RuleVersion>();
  #book: RuleBook;

  private constructor(options: RuleStoreOptions) {
    this.#options = options;
    this.#book = new RuleBook([], options.featureNames, options.lists);
  }

  /** Reads the store and the rules file, or takes up the shipped rules. Throws `rule_invalid`, `input_unreadable`, `store_incompatible`. */
  static async open(options: RuleStoreOptions): Promise<RuleStore> {
    const rules = new RuleStore(options);
    await rules.reload();
    if (options.file) await rules.reloadFile();
    else await rules.#seed();
    return rules;
  }

  book(): RuleBook {
    return this.#book;
  }

  list(): RulesResponse {
    const rules = [...this.#versions.values()].sort((a, b) => (a.id === b.id ? b.version - a.version : a.id < b.id ? -1 : 1));
    let shown = 0;
    const newest = rules.filter(({ id, state }, i) => {
      shown = rules[i - 1]?.id === id ? shown + 1 : 1;
      return shown <= RULE_VERSIONS_SHOWN || state === 'live' || state === 'shadow';
    });
    return { approval: this.#options.approval, ruleset: this.#book.ruleset, rules: newest };
  }

  /** Throws `rule_not_found`. */
  get(id: string, version: number): RuleVersion {
    const rule = this.#versions.get(ruleKey(id, version));
    if (!rule) throw new GatehouseError('rule_not_found', `there is no version ${version} of a rule ${id}`);
    return rule;
  }

  /** Writes the next version of a rule, as a draft. Rejects with `rule_invalid`, with the place, and then nothing was written. */
  create(request: CreateRuleRequest, actor: string): Promise<RuleVersion> {
    return this.#serial.run(async () => {
      const newest = this.#newest(request.id);
      if (!newest && new Set([...this.#versions.values()].map(({ id }) => id)).size >= RULES_MAX)
        throw new GatehouseError('rule_invalid', `there are ${RULES_MAX} rules already: write a new version of one`);
      const rule = this.#fresh({ ...request, version: (newest?.version ?? 0) + 1, state: 'draft' }, actor);
      new RuleBook([inForce(rule)], this.#options.featureNames, this.#options.lists);
      await this.#write(actor, 'rule.create', { ...request, version: rule.version }, [rule]);
      return rule;
    });
  }

  /** Takes a version one step on. A version that goes live, or into shadow, takes the place of the one that was there. */
  move(id: string, version: number, state: RuleState, actor: string): Promise<RuleVersion> {
    return this.#serial.run(async () => {
      const rule = this.get(id, version);
      if (!STEPS[rule.state].includes(state)) throw new GatehouseError('rule_state_conflict', stepProblem(rule, state));
      if (state === 'live' && this.#options.approval === 'two_person' && rule.approved_by === undefined)
        throw new GatehouseError('approval_required', `someone other than ${rule.author} has to approve version ${version} of ${id}`);
      const changes = [this.#moved(rule, state, actor)];
      if (state === 'live' || state === 'shadow') {
        for (const other of this.#versions.values())
          if (other.id === id && other.version !== version && other.state === state) changes.push(this.#moved(other, 'retired', actor));
      }
      await this.#write(actor, 'rule.state', { id, version, from: rule.state, to: state }, changes);
      this.#options.onReset?.(id, version);
      return this.get(id, version);
    });
  }

  /** Agrees to a version's text. Its author may not. */
  approve(id: string, version: number, actor: string): Promise<RuleVersion> {
    return this.#serial.run(async () => {
      const rule = this.get(id, version);
      if (rule.state === 'retired') throw new GatehouseError('rule_state_conflict', `version ${version} of ${id} is retired`);
      if (rule.author === actor)
        throw new GatehouseError('approval_required', `${actor} wrote version ${version} of ${id}: someone else has to approve it`);
      await this.#write(actor, 'rule.approve', { id, version }, [{ ...rule, approved_by: actor }]);
      return this.get(id, version);
    });
  }

  /**
   * The breaker takes a live rule out of action: at once in memory, then in the store with an audit entry and an alert. What can't be written is
   * logged; the rule stays out.
   */
  async trip(trip: BreakerTrip): Promise<void> {
    const { rule: id, version, ...figures } = trip;
    const rule = this.#versions.get(ruleKey(id, version));
    if (rule?.state !== 'live' || rule.tripped) return;
    const tripped: RuleVersion = { ...rule, tripped: figures };
    this.#versions.set(ruleKey(id, version), tripped);
    this.#book = this.#compiled(this.#versions).book;
    try {
      await this.#serial.run(() => this.#write(BREAKER_ACTOR, 'rule.trip', { id, version, ...figures }, [tripped]));
      await this.#options.store.raise(tripAlert(rule, figures));
    } catch (err) {
      this.#options.log.error({ err, rule: id, version }, 'a rule that the breaker took out of action could not be journalled as such');
    }
  }

  /** An analyst puts a tripped rule back into action. */
  reset(id: string, version: number, actor: string): Promise<RuleVersion> {
    return this.#serial.run(async () => {
      const { tripped, ...rule } = this.get(id, version);
      if (!tripped) throw new GatehouseError('rule_state_conflict', `the breaker does not hold version ${version} of ${id}`);
      await this.#write(actor, 'rule.reset', { id, version, tripped }, [{ ...rule, changed_by: actor, changed_ms: this.#options.now() }]);
      this.#options.onReset?.(id, version);
      return this.get(id, version);
    });
  }

  /** Keeps what a finished backtest found, and takes drafts that it ran on to `backtest`. */
  backtested(result: BacktestResult, actor: string): Promise<void> {
    return this.#serial.run(async () => {
      const atMs = this.#options.now();
      const changes: RuleVersion[] = [];
      for (const figures of result.rules) {
        const rule = this.#versions.get(ruleKey(figures.id, figures.version));
        if (!rule) continue;
        const moved = rule.state === 'draft' ? this.#moved(rule, 'backtest', actor) : rule;
        changes.push({ ...moved, backtest: { at_ms: atMs, transactions: result.transactions, figures } });
      }
      const rules = result.rules.map(({ id, version, hits }) => ({ id, version, hits }));
      await this.#write(actor, 'rule.backtest', { transactions: result.transactions, rules }, changes);
    });
  }

  /** Reads the rules file again. Rejects with `rule_invalid` or `input_unreadable`; the old rules then stay in force. */
  reloadFile(): Promise<void> {
    return this.#serial.run(async () => {
      const { file } = this.#options;
      if (!file) return this.#read();
      const changes = changesOfFile(RuleBook.parseFile(await file()), [...this.#versions.values()], (rule, author) => this.#fresh(rule, author));
      // Even where nothing changes: the file may name a feature or a list that is gone.
      await this.#write('rules-file', 'rule.file', { changed: changes.map(({ id, version, state }) => ({ id, version, state })) }, changes);
    });
  }

  /** Reads the store again, after another gateway changed it. */
  reload(): Promise<void> {
    return this.#serial.run(() => this.#read());
  }

  async #read(): Promise<void> {
    const versions = new Map((await readRules(this.#options.store)).map((rule) => [ruleKey(rule.id, rule.version), rule]));
    this.#versions = versions;
    this.#book = this.#compiled(versions, true).book;
  }

  /** The shipped rules that this store has never seen. */
  async #seed(): Promise<void> {
    const missing = DEFAULT_RULES.filter(({ id }) => !this.#newest(id)).map((rule) => this.#fresh(rule, SHIPPED_AUTHOR));
    await this.#serial.run(() => this.#write(SHIPPED_AUTHOR, 'rule.shipped', { added: missing.map(({ id }) => id) }, missing));
  }

  #newest(id: string): RuleVersion | undefined {
    let newest: RuleVersion | undefined;
    for (const rule of this.#versions.values()) if (rule.id === id && (newest === undefined || rule.version > newest.version)) newest = rule;
    return newest;
  }

  #fresh(rule: Rule, author: string): RuleVersion {
    const atMs = this.#options.now();
    return { ...rule, overridable: rule.overridable ?? true, author, created_ms: atMs, changed_by: author, changed_ms: atMs };
  }

  #moved({ tripped: _, ...rule }: RuleVersion, state: RuleState, actor: string): RuleVersion {
    return { ...rule, state, changed_by: actor, changed_ms: this.#options.now() };
  }

  /** Compiles first, writes, then swaps: what does not compile changes nothing, and what is not durable does not act. */
  async #write(actor: string, action: string, detail: Record<string, unknown>, changes: readonly RuleVersion[]): Promise<void> {
    const versions = new Map(this.#versions);
    for (const rule of changes) versions.set(ruleKey(rule.id, rule.version), rule);
    const { book, ruleset } = this.#compiled(versions);
    const documents: DocChange[] = changes.map(ruleChange);
    const known = await this.#options.store.doc(RULESETS_COLLECTION, book.ruleset);
    if (known === undefined) documents.push({ collection: RULESETS_COLLECTION, id: book.ruleset, value: ruleset });
    if (documents.length > 0) await this.#options.audit.record({ actor, action, detail }, documents);
    // The breaker may have tripped a rule while the disk was waited for.
    for (const rule of changes) this.#versions.set(ruleKey(rule.id, rule.version), rule);
    this.#book = this.#compiled(this.#versions).book;
  }

  /** `lenient`: a stored rule that this version can't compile any more (a feature is gone) is left out and logged, because a gateway that does not start can't be mended. */
  #compiled(versions: ReadonlyMap<string, RuleVersion>, lenient = false): { readonly book: RuleBook; readonly ruleset: Ruleset } {
    const { featureNames, lists, log } = this.#options;
    const rules = evaluated(versions.values()).filter((rule) => {
      if (!lenient) return true;
      try {
        new RuleBook([rule], featureNames, lists);
        return true;
      } catch (err) {
        log.error({ err, rule: rule.id, version: rule.version }, 'a stored rule does not compile any more: it does not act');
        return false;
      }
    });
    const asked = [...new Set([...new RuleBook(rules, featureNames, lists).listsOf.values()].flat())].sort();
    const ruleset: Ruleset = {
      rules: rules.map(({ id, version, state }) => [id, version, state]),
      lists: Object.fromEntries(asked.map((name) => [name, lists.kind(name)!])),
    };
    return { book: new RuleBook(rules, featureNames, lists, rulesetName(ruleset)), ruleset };
  }
}

function stepProblem({ id, version, state }: RuleVersion, wanted: RuleState): string {
  if (state === 'draft') return `version ${version} of ${id} is a draft: run a backtest of it first`;
  if (state === 'retired') return `version ${version} of ${id} is retired: write a new version`;
  return `version ${version} of ${id} is ${state} and cannot become ${wanted}`;
}

function tripAlert({ id, version }: RuleVersion, { at_ms, decisions, stopped }: Omit<BreakerTrip, 'rule' | 'version'>): Alert {
  return {
    alert_id: `trip-${at_ms}-${version}`,
    kind: 'system',
    severity: 'critical',
    at_ms,
    title: `The circuit breaker took rule ${id} (version ${version}) out of action: it stopped ${stopped} of ${decisions} payments`,
    reasons: ['It is in shadow until an analyst resets it on the rules page.'],
  };
}
