import { hash } from 'node:crypto';
import type { Fact } from '../contracts/fact.ts';

const DAY_MS = 86_400_000;
/** Lists of a day that are kept, drawn by a hash of their ids: a curve of a dozen places needs no more, and a busy shop's morning is not its day. */
export const LISTS_A_DAY = 300;
/** Older lists say nothing: the ranker learns from two periods of a month at the most. */
const DAYS_MAX = 60;
/** Places behind these are seen too seldom to say how often. */
export const PLACES_MAX = 24;

/** A list that the gateway gave, the shop showed, and somebody clicked on or not. */
export interface Impression {
  /** Answered in this journal record. */
  readonly record: number;
  readonly atMs: number;
  readonly placement: string;
  readonly userId: string | undefined;
  readonly sessionId: string | undefined;
  /** The page's own item and category. */
  readonly itemId: string | undefined;
  readonly category: string | undefined;
  readonly country: string | undefined;
  /** By place. */
  readonly items: readonly string[];
  /** By place: whether the shop said that it was shown, and whether it was clicked on. */
  readonly shown: Uint8Array;
  readonly clicked: Uint8Array;
}

/**
 * The gateway's own lists with what became of them: `view_item_list` and `select_item` events that name the recommendation. Of a shop that sends none
 * there is nothing. Memory is bounded by days and lists a day.
 */
export class Impressions {
  /** By day, then by recommendation. */
  readonly #days = new Map<number, Map<string, Kept>>();

  take(fact: Fact, record: number): void {
    if (fact.kind === 'recommendation') this.#answered(fact, record);
    else if (fact.kind === 'event' && fact.event.recommendation_id !== undefined) {
      const { name, recommendation_id: id, items = [], timestamp_ms } = fact.event;
      const field = name === 'view_item_list' ? 'shown' : name === 'select_item' ? 'clicked' : undefined;
      if (field !== undefined) for (const { item_id } of items) this.#mark(id, item_id, timestamp_ms, field);
    }
  }

  /** Lists of [fromMs, untilMs) that were shown, at most `limit` of them, drawn by the hash; in the journal's order. */
  between(fromMs: number, untilMs: number, limit: number): Impression[] {
    return [...this.#days.values()]
      .flatMap((day) => [...day.values()])
      .filter(({ impression: { atMs, shown } }) => atMs >= fromMs && atMs < untilMs && shown.includes(1))
      .sort((a, b) => (a.order < b.order ? -1 : 1))
      .slice(0, limit)
      .map(({ impression }) => impression)
      .sort((a, b) => a.record - b.record);
  }

  #answered({ request, response, at_ms }: Extract<Fact, { kind: 'recommendation' }>, record: number): void {
    const day = Math.floor(at_ms / DAY_MS);
    const kept = this.#days.get(day) ?? this.#begin(day);
    const items = response.items.slice(0, PLACES_MAX).map(({ item_id }) => item_id);
    const impression: Impression = {
      record,
      atMs: at_ms,
      placement: response.placement,
      userId: request.user_id,
      sessionId: request.session_id,
      itemId: request.item_id,
      category: request.category,
      country: request.country,
      items,
      shown: new Uint8Array(items.length),
      clicked: new Uint8Array(items.length),
    };
    kept.set(response.recommendation_id, { order: hash('sha1', response.recommendation_id, 'hex'), impression });
    if (kept.size >= 2 * LISTS_A_DAY) halve(kept);
  }

  #begin(day: number): Map<string, Kept> {
    for (const [other, kept] of this.#days) {
      if (other <= day - DAYS_MAX) this.#days.delete(other);
      else if (kept.size > LISTS_A_DAY && other < day) halve(kept);
    }
    const kept = new Map<string, Kept>();
    this.#days.set(day, kept);
    return kept;
  }

  /** A list may be clicked on after midnight. */
  #mark(id: string | undefined, itemId: string, atMs: number, field: 'shown' | 'clicked'): void {
    const day = Math.floor(atMs / DAY_MS);
    const impression = (this.#days.get(day)?.get(id!) ?? this.#days.get(day - 1)?.get(id!))?.impression;
    const place = impression?.items.indexOf(itemId) ?? -1;
    if (place < 0) return;
    impression!.shown[place] = 1;
    impression![field][place] = 1;
  }
}

interface Kept {
  readonly order: string;
  readonly impression: Impression;
}

function halve(kept: Map<string, Kept>): void {
  const dropped = [...kept].sort(([, a], [, b]) => (a.order < b.order ? -1 : 1)).slice(LISTS_A_DAY);
  for (const [id] of dropped) kept.delete(id);
}
