import type { TimedEvent } from '../contracts/event.ts';
import type { Examined } from '../contracts/examined.ts';
import type { Fact } from '../contracts/fact.ts';
import type { Item } from '../contracts/item.ts';
import { ClickCounts } from '../scoring/recommend/explore/click-counts.ts';
import { chooseSlate, greedySlate, type RankedCandidates } from '../scoring/recommend/explore/slate.ts';
import { DEFAULT_PLACEMENTS, type Placement } from '../scoring/recommend/placements.ts';
import type { FactSource } from './facts.ts';
import { type Random, seededRandom } from './learners/random.ts';

const START_MS = 1_750_000_000_000;
const MINUTE_MS = 60_000;
export const ITEMS = 12;
export const LIMIT = 4;
export const EXPLORING: Placement = {
  ...DEFAULT_PLACEMENTS[0]!,
  limit: LIMIT,
  diversity: 0,
  new_share: 0,
  exploration: { policy: 'epsilon_greedy', epsilon: 0.5, by: 'slot', among: 'all', slots: LIMIT, pool: ITEMS },
};
/** Variety above all: another four items of those that rank best. */
export const VARIED: Placement = { ...EXPLORING, diversity: 0.6, exploration: { policy: 'none' } };

const CATALOGUE: Item[] = Array.from({ length: ITEMS }, (_, i) => ({
  item_id: `i${i}`,
  category: `c${i >> 2}`,
  created_ms: START_MS - 1e9 - i * 1e8,
}));

/** How often each place is looked at. */
export const EXAMINED: readonly number[] = Array.from({ length: LIMIT }, (_, place) => 1 / (1 + 0.5 * place));

/** The ranker likes the first category; the shoppers like the others. */
function clickRate(item: number, place: number): number {
  return (0.06 + 0.1 * (item >> 2)) * EXAMINED[place]!;
}

function rankedFor(random: Random): RankedCandidates {
  const scores = CATALOGUE.map((_, i) => 2 - 0.1 * i + 0.05 * random.next());
  const order = Int32Array.from(scores, (_, i) => i).sort((a, b) => scores[b]! - scores[a]!);
  return {
    order,
    id: (i) => `i${i}`,
    scores,
    floor: scores[order.at(-1)!]!,
    item: (i) => CATALOGUE[i],
    isFrom: () => false,
    category: (i) => i >> 2,
    createdMs: (i) => CATALOGUE[i]!.created_ms!,
  };
}

export interface Journal {
  readonly source: FactSource;
  /** Clicks of a recommendation that the varied placement would have got. */
  readonly truth: number;
}

export interface JournalOptions {
  /** Whether events name their recommendation. */
  readonly named?: boolean;
  /** The bundle that answers, and how often it believes that places are looked at. */
  readonly bundle?: { readonly version: string; readonly examined: Examined };
  readonly wanted?: Placement;
}

/** Recommendations of a placement over an hour or a few, with the clicks on them; beliefs are counted as a gateway does. */
export function journal(placement: Placement, count: number, seed: number, { named = true, bundle, wanted = VARIED }: JournalOptions = {}): Journal {
  const counts = new ClickCounts([placement.id]);
  if (bundle) counts.weigh(bundle.examined);
  const random = seededRandom(seed);
  const facts: Fact[] = CATALOGUE.map((item) => ({ kind: 'item_put', at_ms: START_MS, item }));
  let truth = 0;
  for (let n = 0; n < count; n++) {
    const ranked = rankedFor(random);
    const atMs = START_MS + n * MINUTE_MS;
    const recommendation_id = `r${seed}.${n}`;
    const request = { placement, limit: LIMIT, nowMs: atMs, seed: recommendation_id, belief: (id: string) => counts.belief(placement.id, id, atMs) };
    const { shown, log } = chooseSlate(ranked, request);
    for (const [place, item] of greedySlate(ranked, wanted, LIMIT, atMs).entries()) truth += clickRate(item, place) / count;
    const who = { user_id: `u${n % 200}` };
    const items = shown.map((i) => ({ item_id: `i${i}`, score: ranked.scores[i]!, sources: [], reason: '' }));
    facts.push({
      kind: 'recommendation',
      at_ms: atMs,
      request: who,
      response: { recommendation_id, placement: placement.id, items, bundle: bundle?.version ?? null, degraded: false },
      ...(log === undefined ? {} : { exploration: log }),
    });
    const from = { placement: placement.id, ...(named && { recommendation_id }) };
    const happens = (name: TimedEvent['name'], ids: readonly number[]): void => {
      const event: TimedEvent = {
        event_id: `${name}${n}.${ids[0]}`,
        name,
        timestamp_ms: atMs,
        ...who,
        ...from,
        items: ids.map((i) => ({ item_id: `i${i}`, price: 5 })),
      };
      counts.add(event);
      facts.push({ kind: 'event', at_ms: atMs, event });
    };
    happens('view_item_list', shown);
    for (const [place, item] of shown.entries()) {
      if (random.next() >= clickRate(item, place)) continue;
      happens('select_item', [item]);
      happens('purchase', [item]);
    }
  }
  const records = facts.map((fact, n) => ({ offset: n + 1, fact }));
  const read = async function* () {
    yield* records;
  };
  return { source: { count: records.length, read }, truth };
}
