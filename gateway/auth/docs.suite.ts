import { isDeepStrictEqual } from 'node:util';
import type { Fact } from '../../contracts/fact.ts';
import type { DocChange, JournalRecord } from '../../store/contract.ts';
import { documentConflict } from '../../store/values.ts';

/** The documents and admin facts of a store, in memory, for tests of what needs no more of it. Several may share one `shared` to stand for processes. */
export class DocsStore {
  readonly facts: Fact[] = [];
  failure: Error | undefined;
  readonly #docs: Map<string, Map<string, unknown>>;
  readonly #listeners = new Set<(record: JournalRecord) => void>();

  constructor(shared: Map<string, Map<string, unknown>> = new Map()) {
    this.#docs = shared;
  }

  async write(facts: readonly Fact[], changes: readonly DocChange[] = []): Promise<void> {
    if (this.failure) throw this.failure;
    for (const { collection, id, expected } of changes) {
      if (expected !== undefined && !isDeepStrictEqual(this.#docs.get(collection)?.get(id), expected.value)) throw documentConflict(collection, id);
    }
    this.facts.push(...facts);
    for (const { collection, id, value } of changes) {
      const documents = this.#docs.get(collection) ?? new Map<string, unknown>();
      this.#docs.set(collection, documents);
      if (value === undefined) documents.delete(id);
      else documents.set(id, structuredClone(value));
    }
  }

  async doc(collection: string, id: string): Promise<unknown> {
    if (this.failure) throw this.failure;
    return this.#docs.get(collection)?.get(id);
  }

  async *docs(collection: string): AsyncGenerator<{ readonly id: string; readonly value: unknown }> {
    if (this.failure) throw this.failure;
    for (const [id, value] of this.#docs.get(collection) ?? []) yield { id, value };
  }

  onForeignFact(listener: (record: JournalRecord) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** As if another process had appended the fact. */
  foreign(fact: Fact): void {
    for (const listener of this.#listeners) listener({ offset: 1, fact });
  }
}
