import type { EntityState } from '../scoring/features/contract.ts';
import type { JournalRecord, Store } from '../store/contract.ts';

/** Records read at once: large enough that a page costs nothing beside its records, small enough to hold. */
const PAGE = 5_000;

/**
 * The journal from its oldest record to the newest one at the time of the call. A training run reads it twice, and what arrives meanwhile
 * belongs to the next run.
 */
export async function* factsOf(store: Pick<Store<EntityState>, 'bounds' | 'read'>, upTo?: number): AsyncGenerator<JournalRecord> {
  const { first, last } = await store.bounds();
  const end = upTo === undefined ? last : Math.min(upTo, last);
  for (let after = first - 1; after < end; ) {
    const records = await store.read(after, Math.min(PAGE, end - after));
    const newest = records.at(-1);
    if (!newest) return;
    yield* records;
    after = newest.offset;
  }
}

/** A journal that can be read from its beginning, as often as it takes. `count` is how many records there are, for progress. */
export interface FactSource {
  readonly count: number;
  read(): AsyncIterable<JournalRecord>;
}

/** The store's journal as it stands now, or as it stood when `upTo` was its newest record. */
export async function journalSource(store: Pick<Store<EntityState>, 'bounds' | 'read'>, upTo = Number.POSITIVE_INFINITY): Promise<FactSource> {
  const { first, last: newest } = await store.bounds();
  const last = Math.min(newest, upTo);
  return { count: last - first + 1, read: () => factsOf(store, last) };
}
