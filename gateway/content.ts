import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { GatehouseError } from '../contracts/errors.ts';
import { DELTA_SLOTS_MAX, type LiveIndex, type LiveIndexStats, openLiveIndex, REMOVE_RETRIES } from '../index/live.ts';
import { nextTurn } from '../index/turns.ts';
import type { OpenContent } from '../scoring/models/bundle.ts';
import type { Catalogue } from '../scoring/recommend/catalogue.ts';
import { type ContentModel, contentTokens, contentVector } from '../scoring/recommend/content-vector.ts';

/** Items that are compared with the index between two turns: one that changed takes up to half a millisecond, one that did not some 15 us. */
const ITEMS_PER_TURN = 4;

/** Why an item's content is not in the index: too many updates wait for a compaction, or there is no room for more items. */
export const CONTENT_REFUSALS = ['busy', 'full'] as const;
export type ContentRefusal = (typeof CONTENT_REFUSALS)[number];

export interface ContentOptions {
  /** The gateway's own folder for what indexes write: emptied now, as it is all derived from the catalogue. */
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
  readonly onError: (error: unknown) => void;
}

/** The catalogue by content, once for each bundle in use: a bundle's model gives the vectors. */
export interface ContentIndexes {
  /** Begins to fill an index; its content is served once it is open. */
  open(model: ContentModel): OpenContent;
  /** Of the newest one that is open. */
  stats(): LiveIndexStats | undefined;
  /** Waits until those that were closed are, and removes the folder where none is open. */
  close(): Promise<void>;
}

/** The folder of one gateway: several of them may share a data folder (docs/guarantees.md), none its own port of a host. */
export function contentDir(dataDir: string, port: number): string {
  return join(dataDir, 'content', `${hostname()}-${port}`);
}

export async function openContentIndexes(options: ContentOptions): Promise<ContentIndexes> {
  await rm(options.dir, { recursive: true, force: true, maxRetries: REMOVE_RETRIES });
  const spaces: CatalogueContent[] = [];
  const closing = new Set<Promise<void>>();
  return {
    open(model) {
      const space = new CatalogueContent(options, model);
      spaces.push(space);
      return {
        get index() {
          return space.index;
        },
        close() {
          spaces.splice(spaces.indexOf(space), 1);
          const closed = space.close().finally(() => closing.delete(closed));
          closing.add(closed);
          return closed;
        },
      };
    },
    stats: () => spaces.findLast(({ index }) => index !== undefined)?.index?.stats(),
    async close() {
      await Promise.allSettled(closing);
      // A request that outlives the drain still holds one, which writes there when it ends. The next start empties the folder.
      if (spaces.length === 0) await rm(options.dir, { recursive: true, force: true });
    },
  };
}

/**
 * An index that follows the catalogue: it is filled in the background, then compared with the catalogue once, as that went on changing, and from the
 * beginning of that comparison on each change is in it before whoever sent it has the answer.
 */
class CatalogueContent {
  readonly #options: ContentOptions;
  readonly #model: ContentModel;
  readonly #unwatch: () => void;
  readonly #opening: Promise<void>;
  #dir: string | undefined;
  #index: LiveIndex | undefined;
  #comparing: Promise<void> | undefined;
  /** An update was refused: the next compaction makes room, and the catalogue is compared again. */
  #isBehind = false;
  #closed = false;

  constructor(options: ContentOptions, model: ContentModel) {
    this.#options = options;
    this.#model = model;
    this.#unwatch = options.catalogue.watch((handle) => {
      if (this.#index) this.#follow(this.#index, handle);
    });
    this.#opening = this.#open().catch(options.onError);
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
    if (this.#dir !== undefined) await rm(this.#dir, { recursive: true, force: true });
  }

  async #open(): Promise<void> {
    const { dir, catalogue, itemsMax, deltaSlotsMax = DELTA_SLOTS_MAX, now, onError } = this.#options;
    await mkdir(dir, { recursive: true });
    this.#dir = await mkdtemp(join(dir, 'index-'));
    const index = await openLiveIndex({
      dir: this.#dir,
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
    for (let handle = 0; handle < catalogue.end; handle++) {
      if (handle % ITEMS_PER_TURN === 0) await nextTurn();
      if (!this.#index) return;
      // Each compaction that this waits for makes room for many more.
      if (this.#follow(this.#index, handle) === 'busy') {
        await this.#index.compact();
        handle--;
      }
    }
  }
}
