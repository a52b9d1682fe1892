import { SESSION_SEARCHES, type SessionSearchName } from '../contracts/bundle.ts';
import { SERVED_SESSIONS } from '../index/readers.ts';
import type { SessionTable } from '../index/sessions.ts';
import type { ShopLog } from './collect.ts';
import type { Progress } from './learners/contract.ts';
import { fitNextItem, NEXT_ITEM_DEFAULTS } from './learners/neural/nextItem.ts';
import type { NextItemModel } from './learners/neural/nextItemModel.ts';
import { sampleSorted, seededRandom } from './learners/random.ts';
import { fitVmis, type SessionRows } from './learners/vmis.ts';
import { historySequences, visitSequences } from './sequences.ts';
import { isNextActLog } from './session-log.ts';

export interface SessionParams {
  /** Past sessions as neighbours. */
  readonly neighbours: boolean;
  /** A sequence encoder over the visit. */
  readonly nextItem: boolean;
  /** Next items to predict that one fit may see, all epochs together: what bounds its time. A machine-independent budget, so that the same data give the same model. */
  readonly nextItemTargets: number;
  /** The same where the next act is all that is asked for (session-log.ts): there the encoder is most of what is known. */
  readonly nextItemTargetsOfNextActs: number;
  /** Below so many next items in all, an encoder learns less than neighbours say: it has ten thousands of weights beside the items' vectors. */
  readonly nextItemTargetsMin: number;
}

export const SESSION_DEFAULTS: SessionParams = {
  neighbours: true,
  nextItem: true,
  // About a minute and a half a fit on two cores.
  nextItemTargets: 1_500_000,
  // Eight epochs of 750,000 clicks, about six minutes a fit on two cores: two epochs of Diginetica cost 2 points of HR@20.
  nextItemTargetsOfNextActs: 6_000_000,
  nextItemTargetsMin: 20_000,
};

/** Below so many visits with two items, what others did next is chance. */
const NEIGHBOURS_SESSIONS_MIN = 100;
/** Draws a step against which a next item is told apart: no more than there are items, and enough to be a sample where there are few. */
const NEGATIVES_MIN = 64;

/**
 * Few next items are gone through more often, until so many were looked at or so many epochs are over. HR@20 + MRR@20 of validation parts after 8, 16 and 32
 * epochs: .301, .343, .352 of 74,000 ratings of films; after 8, 16 and 24 of 134,000 clicks in a clothes shop .987, .998, .994.
 */
const TARGETS_ENOUGH = 2_400_000;
const EPOCHS_MAX = 32;

/** An encoder that goes on from an earlier one has this share of the budget and of the epochs: with a quarter the newest visits are learned too little from. */
const GO_ON_SHARE = 1 / 2;

export interface LearnedSessions {
  readonly sessions?: SessionTable;
  readonly sessionSearch?: SessionSearchName;
  readonly nextItem?: { readonly model: NextItemModel; readonly ids: readonly string[] };
}

/**
 * What visits before `untilMs` tell of the next item; empty where there are too few of them. `earlier` is what the same log told
 * up to an earlier time: the encoder goes on from there (`GO_ON_SHARE`).
 */
export async function learnSessions(
  log: ShopLog,
  untilMs: number,
  params: SessionParams,
  seed: number,
  progress: (label: string) => Progress,
  earlier?: LearnedSessions,
): Promise<LearnedSessions> {
  // What is made is decided on the whole journal: were it missing from the earlier of the moments that a training looks from, the ranker would
  // learn half of its rows without a source that it is then served with.
  const all = Number.POSITIVE_INFINITY;
  const rows = params.neighbours ? visitSequences(log, untilMs) : undefined;
  const sessions =
    rows && longOnes(rows) > 0 && longOnes(visitSequences(log, all)) >= NEIGHBOURS_SESSIONS_MIN
      ? {
          sessions: fitVmis(rows, {}, { seed, progress: progress('sessions') }).table,
          // Chosen once: a ranker that learned from one search would be served with the numbers of another.
          sessionSearch: earlier?.sessionSearch ?? chooseSearch(rows, seed),
        }
      : undefined;
  const histories = params.nextItem ? historySequences(log, untilMs) : undefined;
  const targets = histories ? targetsOf(histories) : 0;
  const nextItem =
    histories && targets > 0 && targetsOf(historySequences(log, all)) >= params.nextItemTargetsMin
      ? await fitNext(
          histories,
          targets,
          isNextActLog(log) ? params.nextItemTargetsOfNextActs : params.nextItemTargets,
          seed,
          progress('next item'),
          earlier?.nextItem,
        )
      : undefined;
  return { ...sessions, ...(nextItem && { nextItem }) };
}

/** Of the visits with two items the newest tell which search is better, a twentieth of them but no more than these. */
const CHOOSE_SHARE = 1 / 20;
const CHOOSE_SESSIONS_MAX = 4_000;
/** Clicks that are asked for: HR is sure to about one point. */
const CHOOSE_CLICKS_MAX = 4_000;
const CHOOSE_CUT = 20;

/**
 * The search that expects the newest visits best when it knows all before them, by HR + MRR at 20 as the protocol of next clicks has it. Which one that
 * is depends on the shop: where pages lead from item to item, what came after the last one is nearly all there is to know.
 */
export function chooseSearch(rows: SessionRows, seed: number): SessionSearchName {
  const { indptr, indices, ids } = rows;
  const long: number[] = [];
  for (let s = 0; s + 1 < indptr.length; s++) if (indptr[s + 1]! - indptr[s]! >= 2) long.push(s);
  const held = Math.min(CHOOSE_SESSIONS_MAX, Math.floor(long.length * CHOOSE_SHARE));
  if (held === 0) return SESSION_SEARCHES[0];
  const first = long[long.length - held]!;
  const index = fitVmis({ indptr: indptr.slice(0, first + 1), indices: indices.slice(0, indptr[first]!), ids }, {}, { seed });
  const asked: [session: number, at: number][] = [];
  for (const s of long.slice(-held)) for (let at = indptr[s]! + 1; at < indptr[s + 1]!; at++) asked.push([s, at]);
  const drawn = Array.from(sampleSorted(seededRandom(seed), asked.length, CHOOSE_CLICKS_MAX), (i) => asked[i]!);
  const worthOf = (name: SessionSearchName): number => {
    let worth = 0;
    for (const [s, at] of drawn) {
      const place = index.searchNumbers(indices.subarray(indptr[s]!, at), CHOOSE_CUT, SERVED_SESSIONS[name]).items.indexOf(indices[at]!);
      if (place >= 0) worth += 1 + 1 / (place + 1);
    }
    return worth;
  };
  const worths = SESSION_SEARCHES.map(worthOf);
  return SESSION_SEARCHES[worths.indexOf(Math.max(...worths))]!;
}

function targetsOf({ indptr }: SessionRows): number {
  let targets = 0;
  for (let s = 0; s + 1 < indptr.length; s++) targets += Math.max(0, indptr[s + 1]! - indptr[s]! - 1);
  return targets;
}

function longOnes({ indptr }: SessionRows): number {
  let count = 0;
  for (let s = 0; s + 1 < indptr.length; s++) if (indptr[s + 1]! - indptr[s]! >= 2) count++;
  return count;
}

/**
 * Fits the encoder on the newest visits that the budget has room for, again and again where there is room left. One that goes on from an earlier one has
 * a part of the budget.
 */
async function fitNext(
  { indptr, indices, ids }: SessionRows,
  targets: number,
  budgetFromScratch: number,
  seed: number,
  progress: Progress,
  earlier: LearnedSessions['nextItem'],
): Promise<NonNullable<LearnedSessions['nextItem']>> {
  const share = earlier ? GO_ON_SHARE : 1;
  const budget = Math.ceil(budgetFromScratch * share);
  let from = indptr.length - 1;
  let kept = 0;
  while (from > 0 && kept < budget) {
    from--;
    kept += Math.max(0, indptr[from + 1]! - indptr[from]! - 1);
  }
  const number = new Int32Array(ids.length).fill(-1);
  const known: string[] = [];
  const clicks = indices.slice(indptr[from]!).map((item) => {
    if (number[item]! < 0) number[item] = known.push(ids[item]!) - 1;
    return number[item]!;
  });
  const rows = { items: known.length, indptr: indptr.slice(from).map((at) => at - indptr[from]!), clicks };
  const seen = Math.min(targets, kept);
  const enough = Math.max(NEXT_ITEM_DEFAULTS.epochs, Math.min(EPOCHS_MAX, Math.round(TARGETS_ENOUGH / seen)));
  const epochs = Math.min(Math.ceil(enough * share), Math.max(1, Math.round(budget / seen)));
  const negatives = Math.min(NEXT_ITEM_DEFAULTS.negatives, Math.max(NEGATIVES_MIN, known.length));
  const start = earlier && { start: { model: earlier.model, numbers: numbersIn(earlier.ids, known) } };
  return { model: await fitNextItem(rows, { epochs, negatives }, { seed, progress, ...start }), ids: known };
}

/** The place of each id in `among`, -1 where it has none. */
function numbersIn(among: readonly string[], ids: readonly string[]): Int32Array {
  const places = new Map(among.map((id, place) => [id, place]));
  return Int32Array.from(ids, (id) => places.get(id) ?? -1);
}
