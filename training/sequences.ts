import type { ShopLog } from './collect.ts';
import type { SessionRows } from './learners/vmis.ts';
import { hasUserVisits } from './session-log.ts';

/** A user's history is learned from in pieces of so many acts, so that what is newest is told apart from what is old. */
const PIECE_ACTS = 100;

/**
 * The items of each visit before `untilMs`, visits in the order of their first act. A visit is a session of the shop; of users without session ids, what
 * they did without a rest (`VISIT_GAP_MS`), where that tells anything.
 */
export function visitSequences(log: ShopLog, untilMs: number): SessionRows {
  const { acts, visits } = log;
  const ofUsers = hasUserVisits(log);
  const isVisit = (act: number): boolean => visits[acts.visit[act]!] !== undefined || (ofUsers && acts.user[act]! >= 0);
  return sequences(log, untilMs, visits.length, (act) => (isVisit(act) ? acts.visit[act]! : -1));
}

/**
 * What a sequence model is served with: the items of each session of the shop, and of users without session ids their histories, whatever rests
 * they had; in the order of their first act.
 */
export function historySequences(log: ShopLog, untilMs: number): SessionRows {
  const { acts, users, visits } = log;
  const ofUsers = hasUserVisits(log);
  const numbers = new Map<number, number>();
  const done = new Uint32Array(users.size);
  const piece = new Int32Array(users.size);
  let count = 0;
  return sequences(log, untilMs, acts.length, (act) => {
    const [visit, user] = [acts.visit[act]!, acts.user[act]!];
    if (visits[visit] !== undefined) {
      const known = numbers.get(visit);
      if (known !== undefined) return known;
      numbers.set(visit, count);
      return count++;
    }
    if (!ofUsers || user < 0) return -1;
    if (done[user]! % PIECE_ACTS === 0) piece[user] = count++;
    done[user]! += 1;
    return piece[user]!;
  });
}

/** `sequenceOf` gives each act's sequence, below `limit`, or -1; it is asked once of each, in order. */
function sequences({ acts, items }: ShopLog, untilMs: number, limit: number, sequenceOf: (act: number) => number): SessionRows {
  const of = new Int32Array(acts.length).fill(-1);
  const starts = new Uint32Array(limit + 1);
  for (let act = 0; act < acts.length; act++) {
    if (acts.atMs[act]! >= untilMs) continue;
    of[act] = sequenceOf(act);
    if (of[act]! >= 0) starts[of[act]! + 1]! += 1;
  }
  for (let sequence = 0; sequence < limit; sequence++) starts[sequence + 1]! += starts[sequence]!;
  const next = starts.slice();
  const indices = new Uint32Array(starts[limit]!);
  for (let act = 0; act < acts.length; act++) if (of[act]! >= 0) indices[next[of[act]!]!++] = acts.item[act]!;
  return { indptr: starts, indices, ids: Array.from({ length: items.size }, (_, item) => items.name(item)) };
}
