import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { TimedEvent } from '../contracts/event.ts';
import type { SnapshotManifest } from '../index/contract.ts';
import { type LiveIndex, type LiveIndexStats, openLiveIndex, REMOVE_RETRIES } from '../index/live.ts';
import { nextTurn } from '../index/turns.ts';
import type { EntityState, FeatureEngine } from '../scoring/features/contract.ts';
import type { OpenItems } from '../scoring/models/bundle.ts';
import type { Catalogue } from '../scoring/recommend/catalogue.ts';
import { FOLD_IN_REFUSALS, type FoldInRefusal, type ItemFoldIn, NEW_ITEMS_MAX, type NotedAct } from '../scoring/recommend/item-fold-in.ts';
import type { EntityRef, Store } from '../store/contract.ts';

/** Acts on new items that wait to be learned: some seconds of a busy shop's. One more is left out; the item learns from the next ones. */
export const ACTS_WAITING_MAX = 10_000;
/** Journal records since the training that a bundle learns new items from when it is loaded: read and learned from in the background within seconds. */
const CATCH_UP_RECORDS_MAX = 50_000;
const JOURNAL_PAGE = 1_000;

/** Why an item has no vector, or nothing was learned of an act: too many updates wait for a compaction, too many new items, too many acts wait. */
export const ITEM_REFUSALS = [...FOLD_IN_REFUSALS, 'waiting'] as const;
export type ItemRefusal = (typeof ITEM_REFUSALS)[number];

export interface ItemIndexesOptions {
  /** The gateway's own folder for what indexes write: emptied now, as it is all derived. */
  readonly dir: string;
  readonly catalogue: Catalogue;
  readonly engine: FeatureEngine;
  readonly store: Pick<Store<EntityState>, 'states' | 'bounds' | 'read'>;
  /** Milliseconds since 1970. */
  readonly now: () => number;
  readonly onRefused: (reason: ItemRefusal) => void;
  readonly onError: (error: unknown) => void;
}

/** The item indexes of the bundles in use, each in step with the catalogue and with what people do to items that its bundle does not know. */
export interface ItemIndexes {
  open(dir: string, manifest: SnapshotManifest): Promise<OpenItems>;
  /** Tells of an event that is in the states already. */
  acted(event: TimedEvent): void;
  /** Of the newest one that serves. */
  stats(): LiveIndexStats | undefined;
  /** Waits until those that were closed are, and removes the folder where none is open. */
  close(): Promise<void>;
}

export async function openItemIndexes(options: ItemIndexesOptions): Promise<ItemIndexes> {
  const { dir, catalogue, now, onError } = options;
  await rm(dir, { recursive: true, force: true, maxRetries: REMOVE_RETRIES });
  const open: BundleItems[] = [];
  const closing = new Set<Promise<void>>();
  return {
    async open(base, manifest) {
      await mkdir(dir, { recursive: true });
      const own = await mkdtemp(join(dir, 'index-'));
      const { dimensions, metric, count } = manifest;
      const live = openLiveIndex({
        dir: own,
        base: { dir: base, manifest },
        dimensions,
        metric,
        handles: catalogue.handles,
        capacityMax: count + NEW_ITEMS_MAX,
        now,
        onCompacted: () => items.compacted(),
        onError,
      });
      const index = await live.catch(async (cause: unknown) => {
        await rm(own, { recursive: true, force: true });
        throw cause;
      });
      const items = new BundleItems(options, index, own);
      open.push(items);
      return {
        index,
        refused: (reason) => items.refused(reason),
        serve: (foldIn, offset) => items.serve(foldIn, offset),
        close() {
          open.splice(open.indexOf(items), 1);
          const closed = items.close().finally(() => closing.delete(closed));
          closing.add(closed);
          return closed;
        },
      };
    },
    acted(event) {
      for (const items of open) items.acted(event);
    },
    stats: () => open.at(-1)?.index.stats(),
    async close() {
      await Promise.allSettled(closing);
      // As of content: a request that outlives the drain still holds one.
      if (open.length === 0) await rm(dir, { recursive: true, force: true });
    },
  };
}

interface Waiting {
  readonly act: NotedAct;
  readonly event: TimedEvent;
}

/** One bundle's: acts are learned one after the other, behind the answers that wait for them. */
class BundleItems {
  readonly index: LiveIndex;
  readonly #options: ItemIndexesOptions;
  readonly #dir: string;
  #foldIn: ItemFoldIn | undefined;
  #unfollow: (() => void) | undefined;
  readonly #waiting: Waiting[] = [];
  #work: Promise<void> | undefined;
  #comparing: Promise<void> | undefined;
  /** Acts that came while the journal was being read: they are behind it. */
  #catchingUp: Promise<void> | undefined;
  #isBehind = false;
  #closed = false;

  constructor(options: ItemIndexesOptions, index: LiveIndex, dir: string) {
    this.#options = options;
    this.index = index;
    this.#dir = dir;
  }

  serve(foldIn: ItemFoldIn, offset: number): void {
    this.#foldIn = foldIn;
    this.#unfollow = foldIn.follow(this.#options.catalogue);
    this.#compare();
    this.#catchingUp = this.#catchUp(foldIn, offset)
      .catch((error: unknown) => this.#fail(error))
      .finally(() => {
        this.#catchingUp = undefined;
        this.#start();
      });
  }

  acted(event: TimedEvent): void {
    const act = this.#foldIn?.note(event);
    if (act === undefined) return;
    if (this.#waiting.length >= ACTS_WAITING_MAX) this.#options.onRefused('waiting');
    else this.#waiting.push({ act, event });
    this.#start();
  }

  /** What was refused as busy finds room now. */
  compacted(): void {
    if (!this.#isBehind) return;
    this.#isBehind = false;
    this.#compare();
  }

  /** After `busy` the next compaction makes room, and the catalogue is compared again. */
  refused(reason: FoldInRefusal): void {
    if (reason === 'busy') this.#isBehind = true;
    this.#options.onRefused(reason);
  }

  async close(): Promise<void> {
    this.#closed = true;
    this.#unfollow?.();
    this.#waiting.length = 0;
    await Promise.all([this.#work, this.#comparing, this.#catchingUp]);
    await this.index.close();
    await rm(this.#dir, { recursive: true, force: true });
  }

  #compare(): void {
    this.#comparing ??= this.#foldIn
      ?.compare(() => !this.#closed)
      .catch((error: unknown) => this.#fail(error))
      .finally(() => {
        this.#comparing = undefined;
      });
  }

  /** What happened since the training, with people as they are by now. */
  async #catchUp(foldIn: ItemFoldIn, offset: number): Promise<void> {
    const { store } = this.#options;
    const { first, last } = await store.bounds();
    for (let after = Math.max(first - 1, offset, last - CATCH_UP_RECORDS_MAX); after < last && !this.#closed; ) {
      const records = await store.read(after, Math.min(JOURNAL_PAGE, last - after));
      if (records.length === 0) return;
      for (const { fact } of records) {
        const act = fact.kind === 'event' && !this.#closed ? foldIn.note(fact.event) : undefined;
        if (act && fact.kind === 'event') await this.#learn(foldIn, { act, event: fact.event });
      }
      after = records[records.length - 1]!.offset;
    }
  }

  #start(): void {
    if (this.#foldIn === undefined || this.#catchingUp || this.#waiting.length === 0) return;
    this.#work ??= this.#learnAll(this.#foldIn)
      .catch((error: unknown) => this.#fail(error))
      .finally(() => {
        this.#work = undefined;
        if (!this.#closed) this.#start();
      });
  }

  async #learnAll(foldIn: ItemFoldIn): Promise<void> {
    for (let next = this.#waiting.shift(); next && !this.#closed; next = this.#waiting.shift()) await this.#learn(foldIn, next);
  }

  async #learn(foldIn: ItemFoldIn, { act, event }: Waiting): Promise<void> {
    const { store, engine } = this.#options;
    const { user_id, session_id } = event;
    // States may be at hand and models hold the event loop while they run: without this nobody else would have a turn.
    await nextTurn();
    const refs: EntityRef[] = [];
    if (user_id !== undefined) refs.push({ kind: 'user', id: user_id });
    if (session_id !== undefined) refs.push({ kind: 'session', id: session_id });
    const states = await store.states(refs);
    if (this.#closed) return;
    await foldIn.learn(act, engine, user_id === undefined ? undefined : states[0], session_id === undefined ? undefined : states[refs.length - 1]);
  }

  #fail(error: unknown): void {
    if (!this.#closed) this.#options.onError(error);
  }
}
