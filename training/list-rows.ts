import { NO_HANDLE } from '../contracts/handles.ts';
import { Gathering } from '../scoring/recommend/candidates/gather.ts';
import { RANK_SET } from '../scoring/recommend/pipeline.ts';
import type { RetrievalModels } from '../scoring/recommend/retrieval.ts';
import type { Impression } from './impressions.ts';
import { CANDIDATES_MAX, CAPS } from './ranker-rows.ts';
import type { Replay } from './replay.ts';

/** What was shown in one list: a row of the `rank` set each, as the ranker would have seen it then. */
export interface SeenList {
  readonly placement: string;
  /** Who saw it, to keep a visitor's lists together. */
  readonly visitor: string;
  /** From 0, one a row. */
  readonly places: Uint8Array;
  readonly clicked: Uint8Array;
  readonly rows: Float32Array;
}

export interface StoredLists {
  readonly width: number;
  readonly lists: readonly SeenList[];
}

/** Takes the rows of one period's shown lists as the replay comes by. */
export class ListRows {
  readonly #models: RetrievalModels;
  #gathering: Gathering | undefined;
  #width = 0;
  #lists: SeenList[] = [];

  constructor(models: RetrievalModels) {
    this.#models = models;
  }

  get lists(): readonly SeenList[] {
    return this.#lists;
  }

  get width(): number {
    return this.#width;
  }

  stored(): StoredLists {
    return { width: this.#width, lists: this.#lists };
  }

  restore({ width, lists }: StoredLists): void {
    this.#width = width;
    this.#lists = [...lists];
  }

  /** What was shown stands among the candidates of every source, so that places by a source mean what they mean where the ranker is asked. */
  async ask(replay: Replay, seen: Impression): Promise<void> {
    const { engine, catalogue, itemNumbers } = replay;
    const user = replay.state('user', seen.userId);
    const session = replay.state('session', seen.sessionId);
    this.#gathering ??= new Gathering({ ...replay, candidatesMax: CANDIDATES_MAX });
    const { set } = this.#gathering;
    const handleOf = (id: string): number => catalogue.handles.find(id);
    const places = seen.items.flatMap((id, place) => (seen.shown[place] === 1 && catalogue.at(handleOf(id)) !== undefined ? [place] : []));
    if (places.length < 2) return;
    const pins = places.map((place) => handleOf(seen.items[place]!));
    const pinned = new Set(pins);
    this.#gathering.begin(user, session);
    await this.#gathering.gather(
      {
        nowMs: seen.atMs,
        caps: CAPS,
        item: seen.itemId === undefined ? NO_HANDLE : handleOf(seen.itemId),
        category: seen.category,
        country: seen.country,
        pins,
        allow: (handle) => pinned.has(handle) || catalogue.sellable(handle),
      },
      this.#models,
    );
    itemNumbers.refreshFrom((id) => replay.state('item', id), set.handles, set.count, seen.atMs);
    const context = engine.contextKeys(RANK_SET).map((key) => set.column(key));
    this.#width = engine.names(RANK_SET).length;
    // Pins are the first candidates, in their order.
    const rows = new Float32Array(places.length * this.#width);
    const candidates = { count: places.length, handles: set.handles, items: catalogue, context, itemNumbers: itemNumbers.values };
    engine.rows(RANK_SET, { nowMs: seen.atMs, states: { user, session } }, candidates, rows);
    this.#lists.push({
      placement: seen.placement,
      visitor: seen.userId ?? seen.sessionId ?? `${seen.record}`,
      places: Uint8Array.from(places),
      clicked: Uint8Array.from(places, (place) => seen.clicked[place]!),
      rows,
    });
  }
}
