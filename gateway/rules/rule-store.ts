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
import { isConflict, Serial } from '../serial.ts';
import { changesOfFile } from './rules-file.ts';
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
  /** How many rules in force do not compile and so do not act. */
  readonly onBroken?: (count: number) => void;
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
  /** The same as the store has them, as far as this gateway has read: a change is written only where nobody else made one since. */
  #stored = new Map<string, RuleVersion>();
  /** Versions that this gateway can't compile, with what is wrong: a feature or a list that they name is gone. They do not act. */
  #broken = new Map<string, string>();
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
    const listed = newest.map((rule) => {
      const problem = this.#broken.get(ruleKey(rule.id, rule.version));
      return problem === undefined ? rule : { ...rule, problem };
    });
    return { approval: this.#options.approval, ruleset: this.#book.ruleset, rules: listed };
  }

  /** A sentence for each rule in force that does not act, because it does not compile any more. */
  problems(): string[] {
    return this.#brokenInForce().map(({ rule, problem }) => `rule ${rule.id} (version ${rule.version}) does not act: ${problem}`);
  }

  /** Throws `rule_not_found`. */
  get(id: string, version: number): RuleVersion {
    const rule = this.#versions.get(ruleKey(id, version));
    if (!rule) throw new GatehouseError('rule_not_found', `there is no version ${version} of a rule ${id}`);
    return rule;
  }

  /** Writes the next version of a rule, as a draft. Rejects with `rule_invalid`, with the place, and then nothing was written. */
  create(request: CreateRuleRequest, actor: string): Promise<RuleVersion> {
    return this.#change(async () => {
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
    return this.#change(async () => {
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
    return this.#change(async () => {
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
    this.#book = this.#compiled(this.#versions, this.#broken).book;
    try {
      await this.#serial.run(() => this.#write(BREAKER_ACTOR, 'rule.trip', { id, version, ...figures }, [tripped]));
      await this.#options.store.raise(tripAlert(rule, figures));
    } catch (err) {
      // Another gateway was first: it wrote the trip, or what an analyst did, and raised the alert.
      if (isConflict(err)) return this.reload();
      this.#options.log.error({ err, rule: id, version }, 'a rule that the breaker took out of action could not be journalled as such');
    }
  }

  /** An analyst puts a tripped rule back into action. */
  reset(id: string, version: number, actor: string): Promise<RuleVersion> {
    return this.#change(async () => {
      const { tripped, ...rule } = this.get(id, version);
      if (!tripped) throw new GatehouseError('rule_state_conflict', `the breaker does not hold version ${version} of ${id}`);
      await this.#write(actor, 'rule.reset', { id, version, tripped }, [{ ...rule, changed_by: actor, changed_ms: this.#options.now() }]);
      this.#options.onReset?.(id, version);
      return this.get(id, version);
    });
  }

  /** Keeps what a finished backtest found, and takes drafts that it ran on to `backtest`. */
  backtested(result: BacktestResult, actor: string): Promise<void> {
    return this.#change(async () => {
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
    return this.#change(async () => {
      const { file } = this.#options;
      if (!file) return this.#read();
      const rules = RuleBook.parseFile(await file());
      // Even where nothing changes: the file may name a feature or a list that is gone.
      new RuleBook(rules, this.#options.featureNames, this.#options.lists);
      const changes = changesOfFile(rules, [...this.#versions.values()], (rule, author) => this.#fresh(rule, author));
      await this.#write('rules-file', 'rule.file', { changed: changes.map(({ id, version, state }) => ({ id, version, state })) }, changes);
    });
  }

  /** Reads the store again, after another gateway changed it. */
  reload(): Promise<void> {
    return this.#serial.run(() => this.#read());
  }

  async #read(): Promise<void> {
    const versions = new Map((await readRules(this.#options.store)).map((rule) => [ruleKey(rule.id, rule.version), rule]));
    const known = this.#broken;
    this.#versions = versions;
    this.#stored = new Map(versions);
    this.#broken = new Map();
    for (const rule of versions.values()) this.#check(rule);
    this.#book = this.#compiled(versions, this.#broken).book;
    const broken = this.#brokenInForce();
    this.#options.onBroken?.(broken.length);
    for (const { rule, problem } of broken) if (!known.has(ruleKey(rule.id, rule.version))) await this.#sayBroken(rule, problem);
  }

  /** The shipped rules that this store has never seen. */
  async #seed(): Promise<void> {
    await this.#change(async () => {
      const missing = DEFAULT_RULES.filter(({ id }) => !this.#newest(id)).map((rule) => this.#fresh(rule, SHIPPED_AUTHOR));
      await this.#write(SHIPPED_AUTHOR, 'rule.shipped', { added: missing.map(({ id }) => id) }, missing);
    });
  }

  #change<T>(work: () => Promise<T>): Promise<T> {
    return this.#serial.change(work, () => this.#read());
  }

  #brokenInForce(): { readonly rule: RuleVersion; readonly problem: string }[] {
    return [...this.#broken].flatMap(([key, problem]) => {
      const rule = this.#versions.get(key);
      return rule?.state === 'live' || rule?.state === 'shadow' ? [{ rule, problem }] : [];
    });
  }

  /** Notes whether this gateway can compile the version. */
  #check(rule: RuleVersion): void {
    const key = ruleKey(rule.id, rule.version);
    this.#broken.delete(key);
    try {
      new RuleBook([inForce(rule)], this.#options.featureNames, this.#options.lists);
    } catch (error) {
      if (!(error instanceof GatehouseError)) throw error;
      this.#broken.set(key, error.detail);
    }
  }

  async #sayBroken(rule: RuleVersion, problem: string): Promise<void> {
    const { log, store, now } = this.#options;
    log.error({ rule: rule.id, version: rule.version, problem }, 'a stored rule does not compile any more: it does not act');
    try {
      await store.raise(brokenAlert(rule, problem, now()));
    } catch (err) {
      log.error({ err, rule: rule.id }, 'the alert of a rule that does not act could not be raised');
    }
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
    // What is changed has to compile; what was broken before keeps nobody from changing the rest, or from retiring it.
    const broken = new Map(this.#broken);
    for (const rule of changes) broken.delete(ruleKey(rule.id, rule.version));
    const { book, ruleset } = this.#compiled(versions, broken);
    const documents: DocChange[] = changes.map((rule) => ({
      ...ruleChange(rule),
      expected: { value: this.#stored.get(ruleKey(rule.id, rule.version)) },
    }));
    const known = await this.#options.store.doc(RULESETS_COLLECTION, book.ruleset);
    if (known === undefined) documents.push({ collection: RULESETS_COLLECTION, id: book.ruleset, value: ruleset });
    if (documents.length > 0) await this.#options.audit.record({ actor, action, detail }, documents);
    // The breaker may have tripped a rule while the disk was waited for.
    for (const rule of changes) {
      this.#versions.set(ruleKey(rule.id, rule.version), rule);
      this.#stored.set(ruleKey(rule.id, rule.version), rule);
      this.#check(rule);
    }
    this.#book = this.#compiled(this.#versions, this.#broken).book;
    this.#options.onBroken?.(this.#brokenInForce().length);
  }

  /** Without the broken ones: a gateway that does not start can't be mended. Throws `rule_invalid` for any other that does not compile. */
  #compiled(versions: ReadonlyMap<string, RuleVersion>, broken: ReadonlyMap<string, string>): { readonly book: RuleBook; readonly ruleset: Ruleset } {
    const { featureNames, lists } = this.#options;
    const rules = evaluated(versions.values()).filter(({ id, version }) => !broken.has(ruleKey(id, version)));
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

function brokenAlert({ id, version, state }: RuleVersion, problem: string, atMs: number): Alert {
  return {
    alert_id: `rule-broken-${atMs}-${id}-${version}`,
    kind: 'system',
    severity: state === 'live' ? 'critical' : 'medium',
    at_ms: atMs,
    title: `Rule ${id} (version ${version}) does not compile any more and does not act`,
    reasons: [problem, 'Write a new version of it, or retire it.'],
  };
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
