import { BOUGHT, type ShopLog } from './collect.ts';
import { type Random, sampleSorted, seededRandom } from './learners/random.ts';
import { NO_PAGE, pagesBefore } from './pages.ts';

/** A purchase this long after a question still answers it: the horizon of the accuracy protocols. */
const PURCHASE_HORIZON_MS = 30 * 86_400_000;
/** A question in the middle of a visit comes after so many of its acts, so that the ranker learns from session features as well. */
const MID_VISIT_ACTS_MAX = 4;
/** So many of the questions in the middle of a visit that the page of an item could have asked are asked by it; the others as a front page, a cart or a search asks. */
const ON_PAGE_SHARE = 0.5;
const PAGE_SEED = 1_000_003;

/** A moment at which the storefront would have asked, with what came of it. */
export interface Query {
  /** Asked just before this journal record. */
  readonly record: number;
  readonly atMs: number;
  readonly userId: string | undefined;
  readonly sessionId: string | undefined;
  /** The item whose page asks; it is no candidate, and not wanted. */
  readonly itemId?: string;
  /** Grade by item: 2 bought within 30 days, 1 touched later in the same visit. */
  readonly wanted: ReadonlyMap<string, 1 | 2>;
  /** Where next acts are asked for, the first of a session or of a user: nothing is known yet. Learned from, so that such a page is ranked as well, and not measured. */
  readonly isOpening?: boolean;
}

/**
 * Draws at most `limit` questions of [fromMs, untilMs): the first act of a visit and, where it goes on, one in its middle. What is wanted is looked for
 * before `untilMs` alone. Ordered by record.
 */
export function planQueries(log: ShopLog, fromMs: number, untilMs: number, limit: number, seed: number): Query[] {
  const { acts } = log;
  const pages = pagesBefore(log);
  const byVisit = groupBy(acts.visit, log.visits.length, (act) => acts.atMs[act]! >= fromMs && acts.atMs[act]! < untilMs);
  const purchases = groupBy(
    acts.user.map((user) => Math.max(0, user)),
    log.users.size,
    (act) => acts.user[act]! >= 0 && acts.grade[act] === BOUGHT && acts.atMs[act]! >= fromMs && acts.atMs[act]! < untilMs,
  );
  const random = seededRandom(seed);
  // Of its own: where nobody is on a page the questions are the same as without.
  const onPages = seededRandom(seed + PAGE_SEED);
  const visits = shuffled(
    Array.from({ length: log.visits.length }, (_, visit) => visit).filter((visit) => byVisit.starts[visit + 1]! > byVisit.starts[visit]!),
    random,
  );
  const queries: Query[] = [];
  for (const visit of visits) {
    if (queries.length >= limit) break;
    const mine = byVisit.order.subarray(byVisit.starts[visit], byVisit.starts[visit + 1]);
    const first = query(log, mine, 0, purchases, untilMs);
    if (first) queries.push(first);
    const after = 1 + random.int(MID_VISIT_ACTS_MAX);
    // Items of one purchase are acts of one record: a question between them cannot be.
    const middle = mine.findIndex((act, i) => i >= after && acts.record[act] !== acts.record[mine[i - 1]!]);
    const second = middle > 0 && queries.length < limit ? query(log, mine, middle, purchases, untilMs) : undefined;
    if (!second) continue;
    const onPage = askedOnPage(second, log, pages, mine[middle]!);
    queries.push(onPage && onPages.next() < ON_PAGE_SHARE ? onPage : second);
  }
  return queries.sort((a, b) => a.record - b.record);
}

/** So many of the questions about next acts are about a first one, and so many are asked by the page of the item looked at last. */
const OPENING_SHARE = 0.1;
const NEXT_ACT_PAGE_SHARE = 0.2;

/**
 * Questions about the next act: draws at most `limit` acts of [fromMs, untilMs), each asked just before it, with nothing wanted but its item. Every act
 * is as likely as any other, as each is a page that was shown; "all that came later" would praise the items that are clicked at any time
 * above the one that comes next. Acts of a session follow one another, and those of a user who sends no session ids. Ordered by record.
 */
export function planNextActs(log: ShopLog, fromMs: number, untilMs: number, limit: number, seed: number): Query[] {
  const { acts, users, visits } = log;
  const pages = pagesBefore(log);
  const lastRecord = new Int32Array(visits.length + users.size).fill(-1);
  const opening: number[] = [];
  const later: number[] = [];
  for (let act = 0; act < acts.length; act++) {
    const [visit, user] = [acts.visit[act]!, acts.user[act]!];
    if (visits[visit] === undefined && user < 0) continue;
    const sequence = visits[visit] === undefined ? visits.length + user : visit;
    const last = lastRecord[sequence]!;
    lastRecord[sequence] = acts.record[act]!;
    if (acts.atMs[act]! < fromMs || acts.atMs[act]! >= untilMs) continue;
    // Items of one act are seen together: no question is between them.
    if (last !== acts.record[act]) (last < 0 ? opening : later).push(act);
  }
  const led = later.filter((act) => pages[act] !== NO_PAGE);
  const random = seededRandom(seed);
  const draw = (from: readonly number[], count: number): number[] => Array.from(sampleSorted(random, from.length, count), (i) => from[i]!);
  const openings = Math.floor(limit * OPENING_SHARE);
  const onPages = Math.min(led.length, Math.floor(limit * NEXT_ACT_PAGE_SHARE));
  return [
    ...draw(opening, openings).map((act) => nextActQuery(log, act, true)),
    ...draw(later, limit - openings - onPages).map((act) => nextActQuery(log, act, false)),
    ...draw(led, onPages).map((act) => askedOnPage(nextActQuery(log, act, false), log, pages, act)!),
  ].sort((a, b) => a.record - b.record);
}

function nextActQuery({ acts, users, items, visits }: ShopLog, act: number, isOpening: boolean): Query {
  return {
    record: acts.record[act]!,
    atMs: acts.atMs[act]!,
    userId: acts.user[act]! >= 0 ? users.name(acts.user[act]!) : undefined,
    sessionId: visits[acts.visit[act]!],
    wanted: new Map([[items.name(acts.item[act]!), acts.grade[act] === BOUGHT ? 2 : 1]]),
    isOpening,
  };
}

/**
 * The question before an act as the page of the item that was looked at last asks it: a ranker that never saw one would be served with columns that it did
 * not learn from. What is wanted of a page is where it leads, the item of the act alone. Undefined where the visitor was on none.
 */
function askedOnPage(query: Query, { acts, items }: ShopLog, pages: Int32Array, act: number): Query | undefined {
  const page = pages[act]!;
  return page === NO_PAGE ? undefined : { ...query, itemId: items.name(page), wanted: new Map([[items.name(acts.item[act]!), 1]]) };
}

interface Groups {
  /** Acts of group g, in their order: `order[starts[g]..starts[g + 1])`. */
  readonly starts: Uint32Array;
  readonly order: Uint32Array;
}

function groupBy(group: ArrayLike<number>, groups: number, keep: (act: number) => boolean): Groups {
  const starts = new Uint32Array(groups + 1);
  for (let act = 0; act < group.length; act++) if (keep(act)) starts[group[act]! + 1]! += 1;
  for (let g = 0; g < groups; g++) starts[g + 1]! += starts[g]!;
  const next = starts.slice();
  const order = new Uint32Array(starts[groups]!);
  for (let act = 0; act < group.length; act++) if (keep(act)) order[next[group[act]!]!++] = act;
  return { starts, order };
}

/** The question before act `at` of a visit; undefined where nothing was wanted, since it would teach nothing. */
function query(log: ShopLog, visitActs: Uint32Array, at: number, purchases: Groups, untilMs: number): Query | undefined {
  const { acts, items, users, visits } = log;
  const act = visitActs[at]!;
  const atMs = acts.atMs[act]!;
  // Someone who logs in during the visit is nobody before: the gateway could not have known them.
  const user = acts.user[act]!;
  const wanted = new Map<string, 1 | 2>();
  for (let i = at; i < visitActs.length; i++) {
    const later = visitActs[i]!;
    wanted.set(items.name(acts.item[later]!), acts.grade[later] === BOUGHT ? 2 : (wanted.get(items.name(acts.item[later]!)) ?? 1));
  }
  if (user >= 0) {
    const endMs = Math.min(untilMs, atMs + PURCHASE_HORIZON_MS);
    for (let place = purchases.starts[user]!; place < purchases.starts[user + 1]!; place++) {
      const bought = purchases.order[place]!;
      if (acts.record[bought]! >= acts.record[act]! && acts.atMs[bought]! < endMs) wanted.set(items.name(acts.item[bought]!), 2);
    }
  }
  if (wanted.size === 0) return undefined;
  return {
    record: acts.record[act]!,
    atMs,
    userId: user >= 0 ? users.name(user) : undefined,
    sessionId: visits[acts.visit[act]!],
    wanted,
  };
}

function shuffled(values: number[], random: Random): number[] {
  for (let i = values.length - 1; i > 0; i--) {
    const j = random.int(i + 1);
    [values[i], values[j]] = [values[j]!, values[i]!];
  }
  return values;
}
