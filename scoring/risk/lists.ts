import type { CreateListRequest, ListEntry, ListKind, ListSubject } from '../../contracts/lists.ts';
import { formatIpRange, IpRanges, parseIpRange } from './ip-ranges.ts';
import type { ListLookup } from './rule-language.ts';

/** The value as it is kept and asked for, or undefined when it is none of that subject. */
export function canonicalValue(of: ListSubject, value: string): string | undefined {
  const text = value.trim();
  if (text === '') return undefined;
  switch (of) {
    case 'ip': {
      const range = parseIpRange(text);
      return range && formatIpRange(range);
    }
    case 'email_domain': {
      const domain = text.toLowerCase().replace(/^@/, '');
      return /^[a-z0-9.-]{1,253}$/.test(domain) ? domain : undefined;
    }
    case 'value':
      return text;
    default:
      // Ids of the wire, which have no spaces.
      return /^[!-~]{1,128}$/.test(text) ? text : undefined;
  }
}

/** One list in memory. Values are canonical. */
export class RiskList {
  readonly kind: ListKind;
  readonly #of: ListSubject;
  readonly #entries = new Map<string, ListEntry>();
  readonly #ranges = new IpRanges<ListEntry>();

  constructor({ kind, of }: Pick<CreateListRequest, 'kind' | 'of'>) {
    this.kind = kind;
    this.#of = of;
  }

  get size(): number {
    return this.#entries.size;
  }

  get(value: string): ListEntry | undefined {
    return this.#entries.get(value);
  }

  values(): IterableIterator<ListEntry> {
    return this.#entries.values();
  }

  set(entry: ListEntry): void {
    // Put behind the others: the newest is last.
    this.#entries.delete(entry.value);
    this.#entries.set(entry.value, entry);
    if (this.#of === 'ip') this.#ranges.set(parseIpRange(entry.value)!, entry);
  }

  delete(value: string): boolean {
    if (this.#of === 'ip' && this.#entries.has(value)) this.#ranges.delete(parseIpRange(value)!);
    return this.#entries.delete(value);
  }

  has(value: string, atMs: number): boolean {
    if (this.#entries.size === 0 || value === '') return false;
    if (this.#of === 'ip') return this.#ranges.some(value, (entry) => holds(entry, atMs));
    const entry = this.#entries.get(this.#of === 'email_domain' ? value.toLowerCase() : value);
    return entry !== undefined && holds(entry, atMs);
  }
}

/** From when it was made to when it ends. */
function holds({ created_ms, expires_ms }: ListEntry, atMs: number): boolean {
  return created_ms <= atMs && (expires_ms === undefined || atMs < expires_ms);
}

/** All lists, as rules ask them. */
export class RiskLists implements ListLookup {
  readonly lists = new Map<string, RiskList>();

  kind(name: string): ListKind | undefined {
    return this.lists.get(name)?.kind;
  }

  names(): readonly string[] {
    return [...this.lists.keys()];
  }

  has(name: string, value: string, atMs: number): boolean {
    return this.lists.get(name)?.has(value, atMs) ?? false;
  }

  /** Entries of all lists. */
  get entries(): number {
    let sum = 0;
    for (const list of this.lists.values()) sum += list.size;
    return sum;
  }
}

/** The answers that a decision got: what it was told yes to, and no to everything else. */
export function recordedLists(kinds: Readonly<Record<string, ListKind>>, listHits: readonly string[]): ListLookup {
  const hits = new Set(listHits);
  return { kind: (name) => kinds[name], names: () => Object.keys(kinds), has: (name, value) => hits.has(`${name}=${value}`) };
}
