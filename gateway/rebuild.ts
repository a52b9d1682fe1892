import { createHash } from 'node:crypto';
import { join } from 'node:path';
import { GatehouseError } from '../contracts/errors.ts';
import type { Fact } from '../contracts/fact.ts';
import type { Item } from '../contracts/item.ts';
import type { EntityState, FeatureEngine } from '../scoring/features/contract.ts';
import { ENGINE_VERSION } from '../scoring/features/tiles.ts';
import { Catalogue } from '../scoring/recommend/catalogue.ts';
import { openLmdbRebuild } from '../store/lmdb.ts';
import type { RebuildProgress, StatesRebuild } from '../store/rebuild.ts';
import type { Config } from './config.ts';
import { ITEMS_COLLECTION } from './data/items.ts';
import { countedSince, listed, notFilled } from './feature-change.ts';
import { ERASE, ERASE_DONE } from './privacy/erasures.ts';

/** Journal records read at once. */
const PAGE = 5_000;

export interface RebuildReport {
  /** Journal records that were read, from the oldest that is kept. */
  readonly records: number;
  readonly states: number;
  /** The record that an earlier try had come to; 0 without one. */
  readonly resumed_at: number;
  /** Where the journal's beginning is past retention: what its first record's time is, and which features events since then do not fill. */
  readonly incomplete?: { readonly since: string; readonly features: readonly string[]; readonly also: string };
}

export interface RebuildOptions {
  readonly config: Pick<Config, 'store' | 'dataDir' | 'stateTtlMs' | 'stateCacheEntries'>;
  readonly engine: FeatureEngine;
  /** Forget what an earlier try has come to. */
  readonly anew: boolean;
  /** Also where features end with less than they have. */
  readonly partial: boolean;
  /** Changed states that are written at once; as the store chooses where absent. */
  readonly flushStates?: number;
  /** Journal records read at once; PAGE where absent. */
  readonly pageRecords?: number;
  readonly onProgress: (done: number, total: number) => void;
  readonly now: () => number;
  readonly signal?: AbortSignal;
}

/**
 * Makes the states of all entities anew from the journal, as today's declarations count them, and puts them in the place of those in force, whole. Memory holds as many states as
 * the gateway caches. What is stopped, or killed, goes on where it was. Throws `rebuild_unsupported`, `rebuild_incomplete`, `cancelled`, `store_locked`, `input_unreadable` and
 * the store's errors; the old states then stay.
 */
export async function rebuildStates(options: RebuildOptions): Promise<RebuildReport> {
  const { config, engine } = options;
  // Several gateways may serve from a Redis, and nothing there tells that none does: each would move old states on while new ones are made.
  if (config.store !== 'lmdb') throw new GatehouseError('rebuild_unsupported', 'on Redis nothing tells that no gateway is at work');
  const rebuild = await openLmdbRebuild<EntityState>(join(config.dataDir, 'store'), {
    codec: engine.codec,
    stateTtlMs: config.stateTtlMs,
    cacheEntriesMax: config.stateCacheEntries,
    ...(options.flushStates !== undefined && { flushStates: options.flushStates }),
  });
  try {
    const incomplete = await missingOf(rebuild, options);
    const journal = await replayed(rebuild, options);
    // A whole journal counts from the first event on.
    const states = await rebuild.swap([countedSince(engine.declarations, incomplete?.sinceMs ?? 0)]);
    return {
      ...journal,
      states,
      ...(incomplete && {
        incomplete: {
          since: new Date(incomplete.sinceMs).toISOString(),
          features: incomplete.features,
          also: 'histories and last values from before then',
        },
      }),
    };
  } finally {
    await rebuild.close();
  }
}

/** Undefined where the journal is whole. Throws `rebuild_incomplete` where features would lose what they have, unless that was asked for. */
async function missingOf(
  { journal }: StatesRebuild<EntityState>,
  { engine, partial, now }: RebuildOptions,
): Promise<{ readonly sinceMs: number; readonly features: readonly string[] } | undefined> {
  const { first } = await journal.bounds();
  const [oldest] = await journal.read(first - 1, 1);
  if (first === 1 || oldest === undefined) return undefined;
  const sinceMs = oldest.fact.at_ms;
  const features = notFilled(engine.declarations, sinceMs, now());
  if (features.length > 0 && !partial)
    throw new GatehouseError(
      'rebuild_incomplete',
      `the journal begins on ${new Date(sinceMs).toISOString()}, the rest is past retention: less than their window would be counted for ${listed(features)}`,
    );
  return { sinceMs, features };
}

async function replayed(
  rebuild: StatesRebuild<EntityState>,
  { engine, anew, onProgress, signal, pageRecords = PAGE }: RebuildOptions,
): Promise<Pick<RebuildReport, 'records' | 'resumed_at'>> {
  const { first, last } = await rebuild.journal.bounds();
  const of = createHash('sha256')
    .update(JSON.stringify([ENGINE_VERSION, engine.declarations]))
    .digest('hex');
  const start: RebuildProgress = { of, offset: 0, clockMs: 0, states: 0 };
  const before = anew ? start : rebuild.progress(of);
  // Behind retention there may be events that an earlier try counted and this one would not.
  const from = before.offset >= first ? before : start;
  const resumed = await pass(from);
  if (resumed) return { records: last - first + 1, resumed_at: from.offset };
  await pass(start);
  return { records: last - first + 1, resumed_at: 0 };

  /** False where states that an earlier try made hold a person who was erased since. */
  async function pass(begin: RebuildProgress): Promise<boolean> {
    await rebuild.begin(begin);
    const catalogue = await catalogueBefore(rebuild, first);
    const lookup = (itemId: string): Item | undefined => catalogue.get(itemId);
    let { clockMs } = begin;
    for (let after = first - 1; after < last; ) {
      const page = await rebuild.journal.read(after, Math.min(pageRecords, last - after));
      for (const { offset, fact } of page) {
        if (fact.kind === 'item_put') catalogue.put(fact.item);
        else if (fact.kind === 'item_delete') catalogue.delete(fact.item_id);
        if (offset <= begin.offset) continue;
        if (begin.offset > 0 && isErasure(fact)) return false;
        // As the store's own clock: an import writes events of any time.
        clockMs = Math.max(clockMs, fact.at_ms);
        if (fact.kind !== 'event') continue;
        const { event } = fact;
        for (const ref of engine.entities(event)) rebuild.bring(ref, clockMs, (state) => engine.apply(ref, state, event, lookup));
      }
      after = page.at(-1)?.offset ?? last;
      onProgress(after - first + 1, last - first + 1);
      const stopped = signal?.aborted === true;
      if (after > begin.offset && (stopped || rebuild.full || after >= last)) await rebuild.flush(after, clockMs);
      if (stopped) throw new GatehouseError('cancelled', 'the rebuild was stopped; the states are as they were, and the next one goes on from here');
    }
    return true;
  }
}

/** The items as they were before the journal's first record, as far as that is known: of one that is past retention, the present ones. */
async function catalogueBefore({ journal }: StatesRebuild<EntityState>, first: number): Promise<Catalogue> {
  const catalogue = new Catalogue();
  if (first > 1) for await (const { value } of journal.docs(ITEMS_COLLECTION)) catalogue.put(value as Item);
  return catalogue;
}

function isErasure(fact: Fact): boolean {
  return fact.kind === 'admin' && (fact.action === ERASE || fact.action === ERASE_DONE);
}
