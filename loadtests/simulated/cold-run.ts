import type { TimedEvent } from '../../contracts/event.ts';
import { Handles } from '../../contracts/handles.ts';
import { drawOf } from '../../scoring/recommend/explore/draw.ts';
import { DEFAULT_PLACEMENTS } from '../../scoring/recommend/placements.ts';
import { Trending } from '../../scoring/recommend/trending.ts';
import type { Shop } from '../../simulator/index.ts';
import { ACT_GRADE } from '../../training/collect.ts';
import { ARMS } from './arms.ts';
import { type Gate, openGate } from './gate.ts';
import { HOUR_MS } from './options.ts';

/** As many as the shop's pages show. */
const PLACES = 8;
const BATCH = 1_000;

export const RANKINGS = ['bundle', 'no bundle', 'popular', 'drawn'] as const;
export type Ranking = (typeof RANKINGS)[number];

/** Mean over strangers: true want of the list over that of the best list, and NDCG with wants as gains. */
export interface Worth {
  readonly share: number;
  readonly ndcg: number;
}

export interface ColdRow {
  /** What a stranger had done before the list was asked for. */
  readonly acts: number;
  readonly strangers: number;
  readonly worth: Readonly<Record<Ranking, Worth>>;
}

/**
 * The gateway knows the shop's history without some of its people. Afterwards these come, as strangers, and do what they did, act by act. Each list is
 * asked of a gateway that has no bundle yet, and, of people under other names, when it has been trained.
 */
export async function measureColdStart(shop: Shop, steps: readonly number[], strangersMax: number): Promise<ColdRow[]> {
  const { seed, endMs } = shop.settings;
  const actsMax = Math.max(...steps);
  const strangers = strangersOf(shop, actsMax, strangersMax);
  const handles = new Handles();
  const trending = new Trending(handles);
  let nowMs = shop.settings.startMs;
  const gate = await openGate(DEFAULT_PLACEMENTS.map(ARMS['none']!.placement), seed, () => nowMs);
  try {
    const offered = shop.items().filter(({ created_ms = 0, stock }) => created_ms <= endMs && stock !== 0);
    for (const { item_id } of offered) handles.intern(item_id);
    await gate.client.putItems(offered);
    await tell(gate, shop, strangers, trending, (atMs) => {
      nowMs = atMs;
    });
    nowMs = endMs;
    const ids = offered.map(({ item_id }) => item_id);
    const popular = Array.from(trending.top(endMs), (handle) => handles.idOf(handle)).slice(0, PLACES);
    const lists = new Map<Ranking, (readonly string[])[][]>();
    lists.set('no bundle', await ask(gate, strangers, steps, 'before', endMs));
    await gate.activate((await gate.train()).version);
    lists.set('bundle', await ask(gate, strangers, steps, 'after', nowMs + HOUR_MS));
    const draw = drawOf(`cold ${seed}`);
    return steps.map((acts, step) => {
      const sums = new Map(RANKINGS.map((ranking) => [ranking, { share: 0, ndcg: 0 }]));
      [...strangers.keys()].forEach((userId, n) => {
        const want = (id: string): number => shop.affinity(userId, id, endMs);
        const best = ids
          .map(want)
          .sort((a, b) => b - a)
          .slice(0, PLACES);
        for (const ranking of RANKINGS) {
          const list =
            lists.get(ranking)?.[step]?.[n] ?? (ranking === 'popular' ? popular : Array.from({ length: PLACES }, () => ids[draw.int(ids.length)]!));
          const wants = list.map(want);
          const sum = sums.get(ranking)!;
          sum.share += total(wants) / total(best) / strangers.size;
          sum.ndcg += dcg(wants) / dcg(best) / strangers.size;
        }
      });
      return { acts, strangers: strangers.size, worth: Object.fromEntries(sums) as Record<Ranking, Worth> };
    });
  } finally {
    await gate.close();
  }

  /** A list for each step and each stranger. Acts are an hour apart, those of all people side by side. */
  async function ask(
    gate: Gate,
    people: ReadonlyMap<string, readonly TimedEvent[]>,
    at: readonly number[],
    name: string,
    fromMs: number,
  ): Promise<string[][][]> {
    const all: string[][][] = [];
    for (let done = 0; done <= actsMax; done++) {
      nowMs = fromMs + done * HOUR_MS;
      if (at.includes(done)) {
        const step: string[][] = [];
        for (const userId of people.keys()) {
          const { items } = await gate.client.recommend({ placement: 'home', user_id: `${userId}.${name}`, limit: PLACES });
          step.push(items.map(({ item_id }) => item_id));
        }
        all.push(step);
      }
      const next = [...people].flatMap(([userId, acts]) => {
        const act = acts[done];
        const session = `${act?.session_id}.${name}`;
        return act ? [{ ...act, event_id: `${act.event_id}.${name}`, user_id: `${userId}.${name}`, session_id: session, timestamp_ms: nowMs }] : [];
      });
      if (done < actsMax && next.length > 0) await gate.client.events(next);
    }
    return all;
  }
}

/** People with enough acts, spread over all there are, and these acts. */
function strangersOf(shop: Shop, actsMax: number, strangersMax: number): ReadonlyMap<string, readonly TimedEvent[]> {
  const acts = new Map<string, TimedEvent[]>();
  for (const event of shop.history()) {
    if (event.user_id === undefined || ACT_GRADE[event.name] === undefined) continue;
    const mine = acts.get(event.user_id);
    if (mine === undefined) acts.set(event.user_id, [event]);
    else if (mine.length < actsMax) mine.push(event);
  }
  const enough = [...acts].filter(([, mine]) => mine.length === actsMax).sort(([a], [b]) => (a < b ? -1 : 1));
  const every = Math.max(2, Math.ceil(enough.length / strangersMax));
  return new Map(enough.filter((_, n) => n % every === 0));
}

/** The history of everybody else. */
async function tell(
  gate: Gate,
  shop: Shop,
  strangers: ReadonlyMap<string, unknown>,
  trending: Trending,
  passTo: (atMs: number) => void,
): Promise<void> {
  const sessions = new Set<string>();
  let waiting: TimedEvent[] = [];
  for (const event of shop.history()) {
    if (event.user_id !== undefined && strangers.has(event.user_id) && event.session_id !== undefined) sessions.add(event.session_id);
    if (event.user_id !== undefined ? strangers.has(event.user_id) : sessions.has(event.session_id ?? '')) continue;
    trending.add(event);
    waiting.push(event);
    passTo(event.timestamp_ms);
    if (waiting.length < BATCH) continue;
    await gate.client.events(waiting);
    waiting = [];
  }
  if (waiting.length > 0) await gate.client.events(waiting);
}

const total = (wants: readonly number[]): number => wants.reduce((sum, want) => sum + want, 0);
const dcg = (wants: readonly number[]): number => wants.reduce((sum, want, place) => sum + want / Math.log2(place + 2), 0);
