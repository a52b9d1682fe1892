import type { SessionTable } from '../index/sessions.ts';
import type { ShopLog } from './collect.ts';
import type { Progress } from './learners/contract.ts';
import { fitNextItem, NEXT_ITEM_DEFAULTS } from './learners/neural/nextItem.ts';
import type { NextItemModel } from './learners/neural/nextItemModel.ts';
import { fitVmis, type SessionRows } from './learners/vmis.ts';
import { isSessionLog } from './session-log.ts';

export interface SessionParams {
  /** Past sessions as neighbours. */
  readonly neighbours: boolean;
  /** A sequence encoder over the visit. */
  readonly nextItem: boolean;
  /** Next items to predict that one fit may see, all epochs together: what bounds its time. A machine-independent budget, so that the same data give the same model. */
  readonly nextItemTargets: number;
  /** The same where the log is one of sessions (session-log.ts): there the encoder is most of what is known. */
  readonly nextItemTargetsOfSessions: number;
  /** Below so many next items in all, an encoder learns less than neighbours say: it has ten thousands of weights beside the items' vectors. */
  readonly nextItemTargetsMin: number;
}

export const SESSION_DEFAULTS: SessionParams = {
  neighbours: true,
  nextItem: true,
  // About a minute and a half a fit on two cores.
  nextItemTargets: 1_500_000,
  // Eight epochs of 750,000 clicks, about six minutes a fit on two cores: two epochs of Diginetica cost 2 points of HR@20.
  nextItemTargetsOfSessions: 6_000_000,
  nextItemTargetsMin: 20_000,
};

/** Below so many visits with two items, what others did next is chance. */
const NEIGHBOURS_SESSIONS_MIN = 100;
/** Draws a step against which a next item is told apart: no more than there are items, and enough to be a sample where there are few. */
const NEGATIVES_MIN = 64;

export interface LearnedSessions {
  readonly sessions?: SessionTable;
  readonly nextItem?: { readonly model: NextItemModel; readonly ids: readonly string[] };
}

/** What visits before `untilMs` tell of the next item; empty where the shop sends no session ids or too few of them. */
export async function learnSessions(
  log: ShopLog,
  untilMs: number,
  params: SessionParams,
  seed: number,
  progress: (label: string) => Progress,
): Promise<LearnedSessions> {
  const rows = sequencesOf(log, untilMs);
  const targets = targetsOf(rows);
  // What is made is decided on the whole journal: were it missing from the earlier of the moments that a training looks from, the ranker would
  // learn half of its rows without a source that it is then served with.
  const all = sequencesOf(log, Number.POSITIVE_INFINITY);
  const table =
    params.neighbours && longOnes(rows) > 0 && longOnes(all) >= NEIGHBOURS_SESSIONS_MIN
      ? fitVmis(rows, {}, { seed, progress: progress('sessions') }).table
      : undefined;
  const nextItem =
    params.nextItem && targets > 0 && targetsOf(all) >= params.nextItemTargetsMin
      ? await fitNext(rows, targets, isSessionLog(log) ? params.nextItemTargetsOfSessions : params.nextItemTargets, seed, progress('next item'))
      : undefined;
  return { ...(table && { sessions: table }), ...(nextItem && { nextItem }) };
}

/** The items of each visit that has a session id, visits in the order of their first act. */
function sequencesOf({ acts, visits, items }: ShopLog, untilMs: number): SessionRows {
  const starts = new Uint32Array(visits.length + 1);
  const counts = (act: number): boolean => acts.atMs[act]! < untilMs && visits[acts.visit[act]!] !== undefined;
  for (let act = 0; act < acts.length; act++) if (counts(act)) starts[acts.visit[act]! + 1]! += 1;
  for (let visit = 0; visit < visits.length; visit++) starts[visit + 1]! += starts[visit]!;
  const next = starts.slice();
  const indices = new Uint32Array(starts[visits.length]!);
  for (let act = 0; act < acts.length; act++) if (counts(act)) indices[next[acts.visit[act]!]!++] = acts.item[act]!;
  return { indptr: starts, indices, ids: Array.from({ length: items.size }, (_, item) => items.name(item)) };
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

/** Fits the encoder on the newest visits that the budget has room for, again and again where there is room left. */
async function fitNext(
  { indptr, indices, ids }: SessionRows,
  targets: number,
  budget: number,
  seed: number,
  progress: Progress,
): Promise<NonNullable<LearnedSessions['nextItem']>> {
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
  const epochs = Math.min(NEXT_ITEM_DEFAULTS.epochs, Math.max(1, Math.round(budget / Math.min(targets, kept))));
  const negatives = Math.min(NEXT_ITEM_DEFAULTS.negatives, Math.max(NEGATIVES_MIN, known.length));
  return { model: await fitNextItem(rows, { epochs, negatives }, { seed, progress }), ids: known };
}
