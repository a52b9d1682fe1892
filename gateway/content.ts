import { mkdir, readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { GatehouseError } from '../contracts/errors.ts';
import { DELTA_SLOTS_MAX, type LiveIndex, type LiveIndexStats, openLiveIndex, REMOVE_RETRIES } from '../index/live.ts';
import { nextTurn } from '../index/turns.ts';
import type { OpenContent } from '../scoring/models/bundle.ts';
import type { Catalogue } from '../scoring/recommend/catalogue.ts';
import { type ContentModel, contentTokens, contentVector } from '../scoring/recommend/content-vector.ts';
import { Serial } from './serial.ts';

/**
 * Work of a comparison with the catalogue between two turns, in items that did not change: 3 us each, so it is some 200 us. One that changed takes up
 * to half a millisecond and counts for sixteen.
 */
const TURN_ITEMS = 64;
const CHANGED_ITEMS = 16;

/** Why an item's content is not in the index: too many updates wait for a compaction, or there is no room for more items. */
export const CONTENT_REFUSALS = ['busy', 'full'] as const;
export type ContentRefusal = (typeof CONTENT_REFUSALS)[number];

export interface ContentOptions {
  /** The gateway's own folder for what indexes write: a folder for each model, of which those that serve at the end are there at the next start. */
  readonly dir: string;
  readonly catalogue: Catalogue;
  /** Items whose content is indexed. */
  readonly itemsMax: number;
  /** Updates that may wait for a compaction; the index's own limit where absent. */
  readonly deltaSlotsMax?: number;
  /** Milliseconds since 1970. */
  readonly now: () => number;
  /** Told of each item that the index could not take; other sources and filters know it all the same. */
  readonly onRefused: (reason: ContentRefusal) => void;
  /** `snapshot_corrupt` where what an earlier life left cannot be used: the index is then built anew. */
  readonly onError: (error: unknown) => void;
}

/** The catalogue by content, once for each model in use: bundles with the same weights share one. */
export interface ContentIndexes {
  /**
   * Begins to open the index of a model; its content is served once it is open. `id` tells the model from every other, the next start included, and
   * names its folder: a model of another id never meets its vectors.
   */
  open(model: ContentModel, id: string): OpenContent;
  /** Of the newest one that is open. */
  stats(): LiveIndexStats | undefined;
  /** Waits until those that were closed are. */
  close(): Promise<void>;
}

export function openContentIndexes(options: ContentOptions): ContentIndexes {
  const spaces = new Map<string, { readonly space: CatalogueContent; users: number }>();
  const closing = new Map<string, Promise<void>>();
  const folders = new Serial();
  /** What no open index uses goes: another model's, and what earlier versions left. Between two of these no folder is made. */
  const tidy = async (): Promise<void> => {
    for (const name of await readdir(options.dir)) {
      if (!spaces.has(name) && !closing.has(name)) await rm(join(options.dir, name), { recursive: true, force: true, maxRetries: REMOVE_RETRIES });
    }
  };
  const folderOf = async (id: string, earlier: Promise<void> | undefined): Promise<string> => {
    await earlier;
    return folders.run(async () => {
      const dir = join(options.dir, id);
      await mkdir(dir, { recursive: true });
      await tidy();
      return dir;
    });
  };
  const close = async (id: string, space: CatalogueContent): Promise<void> => {
    const closed = space.close().finally(() => {
      if (closing.get(id) === closed) closing.delete(id);
    });
    closing.set(id, closed);
    await closed;
    // After a swap only the index that serves is of use. The last one is what the next start begins with.
    if (spaces.size > 0) await folders.run(tidy);
  };
  const ends = new Set<Promise<void>>();
  return {
    open(model, id) {
      const held = spaces.get(id) ?? { space: new CatalogueContent(options, model, folderOf(id, closing.get(id))), users: 0 };
      spaces.set(id, held);
      held.users++;
      let isOpen = true;
      return {
        get index() {
          return isOpen ? held.space.index : undefined;
        },
        async close() {
          if (!isOpen) return;
          isOpen = false;
          if (--held.users > 0) return;
          spaces.delete(id);
          const end = close(id, held.space).finally(() => ends.delete(end));
          ends.add(end);
          await end;
        },
      };
    },
    stats: () => [...spaces.values()].findLast(({ space }) => space.index !== undefined)?.space.index?.stats(),
    async close() {
      await Promise.allSettled(ends);
    },
  };
}

/**
 * An index that follows the catalogue: it begins with what an earlier life of the gateway compacted, else it is filled in the background; then it is
 * compared with the catalogue once, and from the beginning of that comparison on each change is in it before whoever sent it has the answer.
 *
 * The comparison is what makes a snapshot safe to begin with, however old it is and however the gateway ended: it asks of every item whether its vector
 * is the one that it should have. That costs less than reading as many records of the journal, and needs none of them: they may be trimmed, or another
 * journal's where a backup was put back.
 */
class CatalogueContent {
  readonly #options: ContentOptions;
  readonly #model: ContentModel;
  readonly #unwatch: () => void;
  readonly #opening: Promise<void>;
  #index: LiveIndex | undefined;
  #comparing: Promise<void> | undefined;
  /** An update was refused: the next compaction makes room, and the catalogue is compared again. */
  #isBehind = false;
  #closed = false;

  constructor(options: ContentOptions, model: ContentModel, dir: Promise<string>) {
    this.#options = options;
    this.#model = model;
    this.#unwatch = options.catalogue.watch((handle) => {
      if (this.#index) this.#follow(this.#index, handle);
    });
    this.#opening = this.#open(dir).catch(options.onError);
  }

  get index(): LiveIndex | undefined {
    return this.#index;
  }

  async close(): Promise<void> {
    this.#closed = true;
    this.#unwatch();
    const index = this.#index;
    this.#index = undefined;
    await index?.close();
    await this.#opening;
    await this.#comparing;
  }

  async #open(folder: Promise<string>): Promise<void> {
    const { catalogue, itemsMax, deltaSlotsMax = DELTA_SLOTS_MAX, now, onError } = this.#options;
    const dir = await folder;
    if (this.#closed) return;
    const index = await openLiveIndex({
      dir,
      dimensions: this.#model.dimensions,
      metric: 'cosine',
      handles: catalogue.handles,
      capacityMax: itemsMax,
      vectors: this.#vectors(),
      deltaSlotsMax,
      now,
      onCompacted: () => this.#compacted(),
      onError,
    });
    if (this.#closed) return index.close();
    this.#index = index;
    this.#compare();
  }

  *#vectors(): Generator<readonly [id: string, vector: Float32Array]> {
    const { catalogue, itemsMax } = this.#options;
    let left = itemsMax;
    for (let handle = 0; handle < catalogue.end && left > 0 && !this.#closed; handle++) {
      const vector = this.#vectorOf(handle);
      if (vector === undefined) continue;
      left--;
      yield [catalogue.handles.idOf(handle), vector];
    }
  }

  /** Undefined without an item, and of one that says nothing of itself: it is like no other. */
  #vectorOf(handle: number): Float32Array | undefined {
    const item = this.#options.catalogue.at(handle);
    const tokens = item && contentTokens(item);
    return tokens && tokens.size > 0 ? contentVector(this.#model, tokens) : undefined;
  }

  /** Makes the index say of an item what the catalogue says. Returns what kept it from that. */
  #follow(index: LiveIndex, handle: number): ContentRefusal | undefined {
    const { catalogue, itemsMax, onRefused } = this.#options;
    const id = catalogue.handles.idOf(handle);
    const vector = this.#vectorOf(handle);
    if (vector === undefined) {
      index.remove(id);
      return undefined;
    }
    if (index.size >= itemsMax && !index.has(id)) {
      onRefused('full');
      return 'full';
    }
    try {
      index.upsert(id, vector);
      return undefined;
    } catch (cause) {
      if (!(cause instanceof GatehouseError && cause.code === 'index_busy')) throw cause;
      this.#isBehind = true;
      onRefused('busy');
      return 'busy';
    }
  }

  #compacted(): void {
    if (!this.#isBehind) return;
    this.#isBehind = false;
    this.#compare();
  }

  #compare(): void {
    this.#comparing ??= this.#compareAll()
      .catch((error: unknown) => {
        if (!this.#closed) this.#options.onError(error);
      })
      .finally(() => {
        this.#comparing = undefined;
      });
  }

  async #compareAll(): Promise<void> {
    const { catalogue } = this.#options;
    // What the catalogue no longer has makes room for what it has. A snapshot may have brought ids that no item of today has.
    let spent = 0;
    for (let handle = 0; handle < catalogue.handles.size; handle++) {
      if (!this.#index) return;
      if (catalogue.at(handle) === undefined && this.#index.remove(catalogue.handles.idOf(handle))) spent += CHANGED_ITEMS;
      if (++spent < TURN_ITEMS) continue;
      spent = 0;
      await nextTurn();
    }
    for (let handle = 0; handle < catalogue.end; handle++) {
      if (!this.#index) return;
      const { version } = this.#index;
      // Each compaction that this waits for makes room for many more.
      if (this.#follow(this.#index, handle) === 'busy') {
        await this.#index.compact();
        handle--;
      }
      spent += this.#index?.version === version ? 1 : CHANGED_ITEMS;
      if (spent < TURN_ITEMS) continue;
      spent = 0;
      await nextTurn();
    }
  }
}
