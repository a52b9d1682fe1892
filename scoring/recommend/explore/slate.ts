import type { ActiveExploration, ExplorationLog } from '../../../contracts/exploration.ts';
import { diversify, groupVariety, type Variety, vectorVariety } from '../diversify.ts';
import { type CapCounts, capsOf, pinsAt, slotsOf, type WishedFor } from '../merchandise.ts';
import type { Placement } from '../placements.ts';
import { drawOf } from './draw.ts';
import { type Game, play, propensities } from './policy.ts';

const DAY_MS = 86_400_000;

/** Candidates that were ranked: positions 0 to n - 1, and what is known of each. */
export interface RankedCandidates extends WishedFor {
  /** Positions, the best first. */
  readonly order: Int32Array;
  /** By position. */
  readonly scores: ArrayLike<number>;
  id(position: number): string;
  /** Score of the last candidate; lower than that of the last position where the candidates are a pool of more. */
  readonly floor: number;
  /** What the logarithm of an item's click rate weighs in its score. Absent, or 0: scores do not say what they make of it, and `thompson` draws rates alone. */
  readonly appealWeight?: number | undefined;
  /** Below 0: none. */
  category(position: number): number;
  createdMs(position: number): number;
  /** Absent: variety is one of categories. */
  readonly vectors?: { readonly dimensions: number; copy(position: number, out: Float32Array): boolean } | undefined;
  /** Told why a candidate gave way to one with a lower score. */
  readonly onDrop?: ((position: number, reason: string) => void) | undefined;
}

export interface SlateRequest {
  readonly placement: Placement;
  readonly limit: number;
  readonly nowMs: number;
  /** The recommendation's id. */
  readonly seed: string;
  belief(itemId: string): { readonly a: number; readonly b: number };
}

export interface Slate {
  /** Positions of the candidates, in the order in which they are shown. */
  readonly shown: readonly number[];
  /** Undefined where nothing was left to chance. */
  readonly log: ExplorationLog | undefined;
}

/** From ranked candidates to what is shown: variety, the places of new items, then what the placement tries out. */
export function chooseSlate(ranked: RankedCandidates, request: SlateRequest): Slate {
  const { placement, limit, nowMs, seed, belief } = request;
  const arrangement = arrange(ranked, placement, limit, nowMs);
  const greedy = arrangement.places;
  const table = tableOf(ranked, arrangement, placement, nowMs);
  if (table === undefined) return { shown: greedy, log: undefined };
  const { pool, open, policy } = table;
  const beliefs = beliefsOf(table, ranked, belief);
  const game = gameOf(table, ranked, beliefs);
  const draw = drawOf(seed);
  const drawn = play(game, draw);
  const chances = propensities(game, pool.length, draw, drawn);
  const shown = [...greedy];
  const certain = greedy.map(() => 1);
  for (const [n, place] of open.entries()) {
    if (shown[place] !== pool[drawn[n]!]) ranked.onDrop?.(shown[place]!, 'exploration');
    shown[place] = pool[drawn[n]!]!;
    certain[place] = chances[n]![drawn[n]!]!;
  }
  return {
    shown,
    log: {
      policy,
      propensities: certain,
      items: pool.map((position) => ranked.id(position)),
      scores: pool.map((position) => ranked.scores[position]!),
      floor: ranked.floor,
      greedy: table.greedy,
      open,
      ...(beliefs.length > 0 ? { beliefs } : {}),
      ...(game.merits ? { appeal_weight: ranked.appealWeight! } : {}),
    },
  };
}

/** What a placement shows where nothing is tried. */
export function greedySlate(ranked: RankedCandidates, placement: Placement, limit: number, nowMs: number): number[] {
  return arrange(ranked, placement, limit, nowMs).places;
}

interface Arrangement {
  readonly places: number[];
  /** Positions that stand where they do because the placement says so: nothing is tried there. */
  readonly held: ReadonlySet<number>;
  /** The places that are kept for new items, as far as there are any; ascending. */
  readonly keptForNew: readonly number[];
}

/** Pins first, then the best by relevance and variety within the caps, then the shares of the placement, then new items. */
function arrange(ranked: RankedCandidates, placement: Placement, limit: number, nowMs: number): Arrangement {
  const caps = capsOf(placement);
  const variety = varietyOf(ranked, placement);
  const pins = pinnedPositions(ranked, placement, limit, nowMs);
  const held = new Set(pins.values());
  for (const position of held) {
    caps.take(ranked.item(position));
    variety.picked(position);
  }
  const order = held.size === 0 ? ranked.order : ranked.order.filter((position) => !held.has(position));
  const picked = diversify(order, ranked.scores, {
    limit: limit - held.size,
    lambda: placement.diversity,
    worst: ranked.floor,
    variety,
    admits(position) {
      const field = caps.full(ranked.item(position));
      if (field !== undefined) ranked.onDrop?.(position, `cap_${field}`);
      return field === undefined;
    },
    take: (position) => caps.take(ranked.item(position)),
  });
  const places = withPins(picked, pins);
  for (const slot of slotsOf(placement, places.length, ranked)) reserve(places, slot.places, { ranked, caps, held, fits: slot.fits, holds: true });
  const reserved = placesForNew(placement, places.length);
  if (reserved === 0) return { places, held, keptForNew: [] };
  const isNew = newness(ranked, placement, nowMs);
  reserve(places, reserved, { ranked, caps, held, fits: isNew, holds: false });
  return { places, held, keptForNew: raiseNew(places, reserved, placement.new_place, held, isNew) };
}

function varietyOf(ranked: RankedCandidates, placement: Placement): Variety {
  const groups = groupVariety((position) => ranked.category(position));
  const { vectors } = ranked;
  if (placement.diversity_by !== 'vector' || vectors === undefined) return groups;
  return vectorVariety(vectors.dimensions, (position, out) => vectors.copy(position, out), groups);
}

/** Positions of pinned candidates by their places. A pin that is no candidate may not be shown. */
function pinnedPositions(ranked: RankedCandidates, placement: Placement, limit: number, nowMs: number): Map<number, number> {
  const found = new Map<number, number>();
  if (placement.pins === undefined) return found;
  const wanted = pinsAt(placement, nowMs);
  const byId = new Map([...wanted].map(([place, id]) => [id, place]));
  for (const position of ranked.order) {
    const place = byId.get(ranked.id(position));
    if (place !== undefined && place < limit) found.set(place, position);
  }
  return found;
}

/** Pins at their places and the picks around them; where the picks run out, pins move up. */
function withPins(picked: readonly number[], pins: ReadonlyMap<number, number>): number[] {
  if (pins.size === 0) return [...picked];
  const left = [...picked];
  const waiting = [...pins].sort(([a], [b]) => a - b);
  const places: number[] = [];
  while (left.length > 0 || waiting.length > 0) {
    const isDue = waiting.length > 0 && (waiting[0]![0] <= places.length || left.length === 0);
    places.push(isDue ? waiting.shift()![1] : left.shift()!);
  }
  return places;
}

interface Reservation {
  readonly ranked: RankedCandidates;
  readonly caps: CapCounts;
  readonly held: Set<number>;
  readonly fits: (position: number) => boolean;
  /** Whether what fits keeps its place from then on. */
  readonly holds: boolean;
}

/** Puts the best that fit into the last places where too few made it on their own. */
function reserve(places: number[], wanted: number, { ranked, caps, held, fits, holds }: Reservation): void {
  const standing = places.filter(fits);
  let missing = wanted - standing.length;
  if (holds) for (const position of standing.slice(0, wanted)) held.add(position);
  const taken = new Set(places);
  let place = places.length - 1;
  for (const position of ranked.order) {
    if (missing <= 0) break;
    if (taken.has(position) || !fits(position)) continue;
    while (place >= 0 && (fits(places[place]!) || held.has(places[place]!))) place--;
    if (place < 0) break;
    const displaced = places[place]!;
    caps.release(ranked.item(displaced));
    if (caps.full(ranked.item(position)) !== undefined) {
      caps.take(ranked.item(displaced));
      continue;
    }
    caps.take(ranked.item(position));
    ranked.onDrop?.(displaced, holds ? 'slot' : 'new_share');
    places[place--] = position;
    if (holds) held.add(position);
    missing--;
  }
}

/**
 * Finds a new item for each of `count` places from `newPlace` on (from 1; the last ones where nothing is said): one that stands there or higher, else
 * the best of those below, which is moved up to it. The others make room, and what is held stays. Returns where they stand, ascending.
 */
function raiseNew(
  places: number[],
  count: number,
  newPlace: number | undefined,
  held: ReadonlySet<number>,
  isNew: (position: number) => boolean,
): number[] {
  const free = places.flatMap((position, place) => (held.has(position) ? [] : [place]));
  const order = free.map((place) => places[place]!);
  const last = Math.max(0, order.length - count);
  const wished = newPlace === undefined ? -1 : free.findIndex((place) => place >= newPlace - 1);
  const from = wished < 0 ? last : Math.min(wished, last);
  const kept: number[] = [];
  for (let target = from; target < Math.min(from + count, order.length); target++) {
    const above = order.findLastIndex((position, n) => n <= target && isNew(position) && !kept.includes(n));
    const below = order.findIndex((position, n) => n > target && isNew(position));
    if (above < 0 && below < 0) break;
    if (above < 0) order.splice(target, 0, ...order.splice(below, 1));
    kept.push(above < 0 ? target : above);
  }
  free.forEach((place, n) => {
    places[place] = order[n]!;
  });
  return kept.map((n) => free[n]!).sort((a, b) => a - b);
}

function placesForNew({ new_share }: Placement, places: number): number {
  return Math.round(new_share * places);
}

function newness(ranked: RankedCandidates, placement: Placement, nowMs: number): (position: number) => boolean {
  return (position) => nowMs - ranked.createdMs(position) <= placement.new_days * DAY_MS;
}

/** The pool of a policy and its places; `greedy` and `eligible` are positions in the pool. */
interface Table {
  readonly policy: ActiveExploration;
  /** Positions of the candidates, the best ranked first: what stands at the places, and what may. */
  readonly pool: readonly number[];
  readonly greedy: readonly number[];
  readonly open: readonly number[];
  readonly eligible: readonly number[];
}

/** Undefined where the placement leaves nothing to chance. */
function tableOf(
  ranked: RankedCandidates,
  { places: greedy, held, keptForNew }: Arrangement,
  placement: Placement,
  nowMs: number,
): Table | undefined {
  const { exploration: policy } = placement;
  if (policy === undefined || policy.policy === 'none') return undefined;
  const takesPart = policy.among === 'new' ? newness(ranked, placement, nowMs) : () => true;
  // What is new and came in by its score alone has earned its place.
  const mayOpen = policy.among === 'new' ? keptForNew : greedy.flatMap((position, place) => (held.has(position) ? [] : [place]));
  const open = mayOpen.slice(-policy.slots);
  const isOpen = new Set(open);
  const fixed = new Set(greedy.filter((_, place) => !isOpen.has(place)));
  const standing = new Set(greedy);
  let room = policy.pool;
  const pool = [...ranked.order].filter((position) => {
    const mayTry = room > 0 && takesPart(position) && !held.has(position);
    if (mayTry) room--;
    return mayTry || standing.has(position);
  });
  const eligible = withinCaps(ranked, placement, pool, greedy, fixed);
  if (open.length === 0 || eligible.length <= open.length) return undefined;
  const at = new Map(pool.map((position, n) => [position, n]));
  return { policy, pool, greedy: greedy.map((position) => at.get(position)!), open, eligible };
}

/** Positions in the pool that may stand at the open places, whichever of them are drawn together: what stands there, and others as far as the caps go. */
function withinCaps(
  ranked: RankedCandidates,
  placement: Placement,
  pool: readonly number[],
  greedy: readonly number[],
  fixed: ReadonlySet<number>,
): number[] {
  const caps = capsOf(placement);
  for (const position of greedy) caps.take(ranked.item(position));
  const standing = new Set(greedy);
  return pool.flatMap((position, n) => {
    if (fixed.has(position)) return [];
    if (standing.has(position)) return [n];
    if (caps.full(ranked.item(position)) !== undefined) return [];
    caps.take(ranked.item(position));
    return [n];
  });
}

function beliefsOf({ policy, pool }: Table, ranked: RankedCandidates, belief: SlateRequest['belief']): number[] {
  if (policy.policy !== 'thompson') return [];
  return pool.flatMap((position) => {
    const { a, b } = belief(ranked.id(position));
    return [a, b];
  });
}

function gameOf({ policy, pool, greedy, open, eligible }: Table, ranked: RankedCandidates, beliefs: readonly number[]): Game {
  return { policy, greedy: open.map((place) => greedy[place]!), eligible, beliefs, merits: meritsOf(pool, ranked, beliefs) };
}

/**
 * The score with the drawn rate in place of the believed one, in units of the rate's logarithm: what is tried is what this visitor would want most if the
 * draw were true. Rates alone would show everybody the same items, and pay for it with what each is known to like.
 */
function meritsOf(pool: readonly number[], { scores, appealWeight }: RankedCandidates, beliefs: readonly number[]): number[] | undefined {
  if (!appealWeight || beliefs.length === 0) return undefined;
  return pool.map((position, n) => {
    const [a, b] = [beliefs[2 * n]!, beliefs[2 * n + 1]!];
    return scores[position]! / appealWeight - Math.log(a / (a + b));
  });
}

/**
 * Probability that each candidate stands at each place of what the placement would show: one row a place, one number a position. Exact, but for
 * `thompson`: the share of its drawn lists.
 */
export function slateChances(ranked: RankedCandidates, { placement, limit, nowMs, seed, belief }: SlateRequest): Float64Array[] {
  const arrangement = arrange(ranked, placement, limit, nowMs);
  const greedy = arrangement.places;
  const rows = greedy.map((position) => {
    const row = new Float64Array(ranked.order.length);
    row[position] = 1;
    return row;
  });
  const table = tableOf(ranked, arrangement, placement, nowMs);
  if (table === undefined) return rows;
  const { pool, open } = table;
  const chances = propensities(gameOf(table, ranked, beliefsOf(table, ranked, belief)), pool.length, drawOf(seed));
  for (const [n, place] of open.entries()) {
    const row = rows[place]!.fill(0);
    for (const [at, chance] of chances[n]!.entries()) row[pool[at]!] = chance;
  }
  return rows;
}

/** Chances that are computed twice agree to this. */
const SAME = 1e-9;

/**
 * Probability that each item of a logged pool stood at each place: one row a place, one number a position in the pool. `ranked` is that pool, `shown` are its
 * positions that were shown, `seed` is the recommendation's id, by which the draws are made again. Undefined where that does not give what the log
 * says: caps or the catalogue have changed since.
 */
export function loggedChances(
  ranked: RankedCandidates,
  log: ExplorationLog,
  { placement, shown, seed }: { readonly placement: Placement; readonly shown: ArrayLike<number>; readonly seed: string },
): Float64Array[] | undefined {
  const { policy, greedy, open, beliefs = [] } = log;
  const isOpen = new Set(open);
  const fixed = new Set(greedy.filter((_, place) => !isOpen.has(place)));
  const pool = log.items.map((_, n) => n);
  const game = gameOf({ policy, pool, greedy, open, eligible: withinCaps(ranked, placement, pool, greedy, fixed) }, ranked, beliefs);
  const draw = drawOf(seed);
  const drawn = play(game, draw);
  const chances = propensities(game, pool.length, draw, drawn);
  const isSame = open.every((place, n) => drawn[n] === shown[place] && Math.abs(chances[n]![drawn[n]!]! - log.propensities[place]!) < SAME);
  if (!isSame) return undefined;
  const rows: Float64Array[] = greedy.map((position) => {
    const row = new Float64Array(pool.length);
    row[position] = 1;
    return row;
  });
  for (const [n, place] of open.entries()) rows[place] = chances[n]!;
  return rows;
}
