import { BOUGHT, type ShopLog } from '../collect.ts';
import { sampleSorted, seededRandom } from '../learners/random.ts';
import { NO_PAGE, pagesBefore } from '../pages.ts';
import { isNextActLog } from '../session-log.ts';

/** A purchase this long after the question still answers it: the horizon of the accuracy protocols. */
const PURCHASE_HORIZON_MS = 30 * 86_400_000;

/**
 * What is asked. The next purchases of who was there before, once with all items and once without those that they had bought; after each act of a
 * visit, the item of the next one, once on a page of no item and once, where it is another, on the page of the item that was looked at last; where hardly
 * anything is bought, the first item of the next visit of who was there before; and, before somebody meets items that nobody had met by then, these.
 */
export const TASKS = [
  'next purchase',
  'next purchase, new items',
  'next in the visit',
  'first of a later visit',
  'next on a product page',
  'items newer than the training',
] as const;
export type Task = (typeof TASKS)[number];

export interface HeldOutQuestion {
  readonly task: Task;
  /** Asked just before this journal record. */
  readonly record: number;
  readonly atMs: number;
  readonly userId: string | undefined;
  readonly sessionId: string | undefined;
  /** The item whose page asks. */
  readonly itemId?: string;
  readonly wanted: ReadonlySet<string>;
  /** Items that are neither shown nor wanted. */
  readonly barred: ReadonlySet<string>;
}

/** At most `limit` questions a task, drawn by the seed; ordered by record. */
export function planHeldOut(log: ShopLog, fromMs: number, limit: number, seed: number): HeldOutQuestion[] {
  const random = seededRandom(seed);
  const [inVisits, firsts, onPages] = visitQuestions(log, fromMs);
  const all = [...purchaseQuestions(log, fromMs), inVisits, newerQuestions(log, fromMs), onPages, firsts];
  const drawn = all.flatMap((questions) => Array.from(sampleSorted(random, questions.length, limit), (i) => questions[i]!()));
  return drawn.sort((a, b) => a.record - b.record);
}

/** Made when it is drawn: a journal has many more visits than are asked about. */
type Draft = () => HeldOutQuestion;
const NONE: ReadonlySet<string> = new Set();

function purchaseQuestions({ acts, users, items }: ShopLog, fromMs: number): [Draft[], Draft[]] {
  const bought = new Map<number, Set<string>>();
  const wanted = new Map<number, Set<string>>();
  const known = new Uint8Array(users.size);
  let record = -1;
  for (let act = 0; act < acts.length; act++) {
    const user = acts.user[act]!;
    const atMs = acts.atMs[act]!;
    if (atMs >= fromMs && record < 0) record = acts.record[act]!;
    if (user < 0) continue;
    if (atMs < fromMs) known[user] = 1;
    if (acts.grade[act] !== BOUGHT || atMs >= fromMs + PURCHASE_HORIZON_MS) continue;
    const sets = atMs < fromMs ? bought : wanted;
    const mine = sets.get(user) ?? new Set();
    sets.set(user, mine.add(items.name(acts.item[act]!)));
  }
  const any: Draft[] = [];
  const fresh: Draft[] = [];
  for (const [user, basket] of wanted) {
    if (known[user] === 0) continue;
    const common = { record, atMs: fromMs, userId: users.name(user), sessionId: undefined };
    any.push(() => ({ task: 'next purchase', ...common, wanted: basket, barred: NONE }));
    const barred = bought.get(user) ?? NONE;
    const left = new Set([...basket].filter((id) => !barred.has(id)));
    if (left.size > 0) fresh.push(() => ({ task: 'next purchase, new items', ...common, wanted: left, barred }));
  }
  return [any, fresh];
}

/**
 * Each act of a visit, asked before it, when the acts before are known: those behind its first record, also by the page of another item that led to them,
 * and where next acts are all that can be asked for, the first one of a user who was there before.
 */
function visitQuestions(log: ShopLog, fromMs: number): [inVisits: Draft[], firsts: Draft[], onPages: Draft[]] {
  const { acts, users, items, visits } = log;
  const pages = pagesBefore(log);
  const known = new Uint8Array(users.size);
  const lastRecord = new Int32Array(visits.length).fill(-1);
  const inVisits: Draft[] = [];
  const firsts: Draft[] = [];
  const onPages: Draft[] = [];
  const asksFirst = isNextActLog(log);
  for (let act = 0; act < acts.length; act++) {
    const [visit, user, record, atMs] = [acts.visit[act]!, acts.user[act]!, acts.record[act]!, acts.atMs[act]!];
    // Acts of nobody are no visit.
    if (user < 0 && visits[visit] === undefined) continue;
    const last = lastRecord[visit]!;
    const comesAgain = last < 0 && user >= 0 && known[user] === 1;
    lastRecord[visit] = record;
    if (user >= 0) known[user] = 1;
    if (last === record || atMs < fromMs || (last < 0 && !(asksFirst && comesAgain))) continue;
    const common = (): Omit<HeldOutQuestion, 'task'> => ({
      record,
      atMs,
      userId: user >= 0 ? users.name(user) : undefined,
      sessionId: visits[visit],
      wanted: new Set([items.name(acts.item[act]!)]),
      barred: NONE,
    });
    if (last < 0) {
      firsts.push(() => ({ task: 'first of a later visit', ...common() }));
      continue;
    }
    inVisits.push(() => ({ task: 'next in the visit', ...common() }));
    const page = pages[act]!;
    if (page === NO_PAGE) continue;
    const itemId = items.name(page);
    onPages.push(() => ({ task: 'next on a product page', ...common(), itemId, barred: new Set([itemId]) }));
  }
  return [inVisits, firsts, onPages];
}

/** Each record in which somebody meets, for the first time, items without an act before `fromMs`. */
function newerQuestions({ acts, users, items, visits }: ShopLog, fromMs: number): Draft[] {
  const known = new Set<number>();
  for (let act = 0; act < acts.length; act++) if (acts.atMs[act]! < fromMs) known.add(acts.item[act]!);
  const met = new Set<string>();
  const drafts: Draft[] = [];
  let wanted = new Set<string>();
  let record = -1;
  for (let act = 0; act < acts.length; act++) {
    const item = acts.item[act]!;
    if (known.has(item)) continue;
    const user = acts.user[act]!;
    const meeting = `${user >= 0 ? user : `visit ${acts.visit[act]}`}/${item}`;
    if (met.has(meeting)) continue;
    met.add(meeting);
    if (acts.record[act]! === record) {
      wanted.add(items.name(item));
      continue;
    }
    record = acts.record[act]!;
    wanted = new Set([items.name(item)]);
    const mine = wanted;
    drafts.push(() => ({
      task: 'items newer than the training',
      record: acts.record[act]!,
      atMs: acts.atMs[act]!,
      userId: user >= 0 ? users.name(user) : undefined,
      sessionId: visits[acts.visit[act]!],
      wanted: mine,
      barred: NONE,
    }));
  }
  return drafts;
}
