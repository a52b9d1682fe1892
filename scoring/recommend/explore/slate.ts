import type { ActiveExploration, ExplorationLog } from '../../../contracts/exploration.ts';
import { diversify } from '../diversify.ts';
import type { Placement } from '../placements.ts';
import { drawOf } from './draw.ts';
import { type Game, play, propensities } from './policy.ts';

const DAY_MS = 86_400_000;

/** Candidates that were ranked: positions 0 to n - 1, and what is known of each. */
export interface RankedCandidates {
  /** Positions, the best first. */
  readonly order: Int32Array;
  /** By position. */
  readonly scores: ArrayLike<number>;
  id(position: number): string;
  /** Score of the last candidate; lower than that of the last position where the candidates are a pool of more. */
  readonly floor: number;
  /** Below 0: none. */
  category(position: number): number;
  createdMs(position: number): number;
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
  const greedy = greedySlate(ranked, placement, limit, nowMs);
  const table = tableOf(ranked, greedy, placement, nowMs);
  if (table === undefined) return { shown: greedy, log: undefined };
  const { pool, open, policy } = table;
  const beliefs = beliefsOf(table, ranked, belief);
  const game = gameOf(table, beliefs);
  const draw = drawOf(seed);
  const drawn = play(game, draw);
  const chances = propensities(game, pool.length, draw, drawn);
  const shown = [...greedy];
  const certain = greedy.map(() => 1);
  for (const [n, place] of open.entries()) {
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
    },
  };
}

/** What a placement shows where nothing is tried. */
export function greedySlate(ranked: RankedCandidates, placement: Placement, limit: number, nowMs: number): number[] {
  const picked = diversify(ranked.order, ranked.scores, (position) => ranked.category(position), limit, placement.diversity, ranked.floor);
  const reserved = placesForNew(placement, picked.length);
  if (reserved > 0) reserveNew(picked, reserved, ranked, newness(ranked, placement, nowMs));
  return picked;
}

/** Puts the best new items into the last places where too few made it on their own. */
function reserveNew(picked: number[], reserved: number, ranked: RankedCandidates, isNew: (position: number) => boolean): void {
  let missing = reserved - picked.filter(isNew).length;
  const taken = new Set(picked);
  let place = picked.length - 1;
  for (const position of ranked.order) {
    if (missing <= 0) break;
    if (taken.has(position) || !isNew(position)) continue;
    while (place >= 0 && isNew(picked[place]!)) place--;
    if (place < 0) break;
    picked[place--] = position;
    missing--;
  }
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
function tableOf(ranked: RankedCandidates, greedy: readonly number[], placement: Placement, nowMs: number): Table | undefined {
  const { exploration: policy } = placement;
  if (policy === undefined || policy.policy === 'none') return undefined;
  const isNew = newness(ranked, placement, nowMs);
  const takesPart = policy.among === 'new' ? isNew : () => true;
  // What is new and came in by its score alone has earned its place.
  const slots = policy.among === 'new' ? Math.min(policy.slots, placesForNew(placement, greedy.length)) : policy.slots;
  const open: number[] = [];
  for (let place = greedy.length - 1; place >= 0 && open.length < slots; place--) if (takesPart(greedy[place]!)) open.push(place);
  open.reverse();
  const isOpen = new Set(open);
  const fixed = new Set(greedy.filter((_, place) => !isOpen.has(place)));
  const standing = new Set(greedy);
  let room = policy.pool;
  const pool = [...ranked.order].filter((position) => {
    const mayTry = room > 0 && takesPart(position);
    if (mayTry) room--;
    return mayTry || standing.has(position);
  });
  const eligible = pool.flatMap((position, n) => (fixed.has(position) ? [] : [n]));
  if (open.length === 0 || eligible.length <= open.length) return undefined;
  const at = new Map(pool.map((position, n) => [position, n]));
  return { policy, pool, greedy: greedy.map((position) => at.get(position)!), open, eligible };
}

function beliefsOf({ policy, pool }: Table, ranked: RankedCandidates, belief: SlateRequest['belief']): number[] {
  if (policy.policy !== 'thompson') return [];
  return pool.flatMap((position) => {
    const { a, b } = belief(ranked.id(position));
    return [a, b];
  });
}

function gameOf({ policy, greedy, open, eligible }: Table, beliefs: readonly number[]): Game {
  return { policy, greedy: open.map((place) => greedy[place]!), eligible, beliefs };
}

/**
 * Probability that each candidate stands at each place of what the placement would show: one row a place, one number a position. Exact, but for
 * `thompson`: the share of its drawn lists.
 */
export function slateChances(ranked: RankedCandidates, { placement, limit, nowMs, seed, belief }: SlateRequest): Float64Array[] {
  const greedy = greedySlate(ranked, placement, limit, nowMs);
  const rows = greedy.map((position) => {
    const row = new Float64Array(ranked.order.length);
    row[position] = 1;
    return row;
  });
  const table = tableOf(ranked, greedy, placement, nowMs);
  if (table === undefined) return rows;
  const { pool, open } = table;
  const chances = propensities(gameOf(table, beliefsOf(table, ranked, belief)), pool.length, drawOf(seed));
  for (const [n, place] of open.entries()) {
    const row = rows[place]!.fill(0);
    for (const [at, chance] of chances[n]!.entries()) row[pool[at]!] = chance;
  }
  return rows;
}
