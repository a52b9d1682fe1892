import { NO_HANDLE } from '../contracts/handles.ts';
import type { SourceCaps } from '../scoring/recommend/candidates/contract.ts';
import { blend, Gathering } from '../scoring/recommend/candidates/gather.ts';
import type { CandidateSet } from '../scoring/recommend/candidates/set.ts';
import { RANK_SET } from '../scoring/recommend/pipeline.ts';
import type { RetrievalModels } from '../scoring/recommend/retrieval.ts';
import { mean, ndcgAt, recallAt } from './evaluation/metrics.ts';
import type { FusionQuestion } from './fusion.ts';
import type { GbdtRows } from './learners/gbdt/objective.ts';
import { type Random, sampleSorted, seededRandom } from './learners/random.ts';
import type { Query } from './queries.ts';
import type { Replay } from './replay.ts';

/** Wide caps, own purchases included: the ranker has to know every sort of candidate that any placement brings. */
export const CAPS: SourceCaps = {
  user_vector: 60,
  item_to_item: 40,
  buy_again: 60,
  popular: 40,
  new: 10,
  look_alike: 60,
  linear: 50,
  session_neighbours: 50,
  next_item: 40,
};
export const CANDIDATES_MAX = 250;
/** Unwanted candidates kept of a question: more add rows and next to nothing else. */
const NEGATIVES_PER_QUERY_MAX = 50;
export const CUT = 20;

/** One question with its candidates as the gateway would have gathered them at the time, a row of the `rank` set each. */
interface AnsweredQuery {
  readonly query: Query;
  /** Without what the shopper bought before: learned from, not measured. */
  readonly isSuppressed: boolean;
  readonly ids: readonly string[];
  readonly rows: Float32Array;
  /** How each baseline orders the candidates. */
  readonly baselines: Readonly<Record<string, Float64Array>>;
}

/** Scores of rows of the `rank` set, row-major. */
export type RowScorer = (rows: Float32Array) => Float64Array;

export interface StoredRows {
  readonly width: number;
  readonly answered: readonly (Omit<AnsweredQuery, 'query'> & {
    readonly query: Omit<Query, 'wanted'>;
    readonly wanted: readonly [string, 1 | 2][];
  })[];
}

/** Asks the questions of one period as the replay comes by. */
export class RankerRows {
  readonly #models: RetrievalModels;
  #gathering: Gathering | undefined;
  readonly #answered: AnsweredQuery[] = [];
  #width = 0;

  constructor(models: RetrievalModels) {
    this.#models = models;
  }

  /** What the questions gave, as plain data and typed arrays. */
  stored(): StoredRows {
    return {
      width: this.#width,
      answered: this.#answered.map(({ query: { wanted, ...query }, ...rest }) => ({ ...rest, query, wanted: [...wanted] })),
    };
  }

  /** Takes what `stored` gave. */
  restore({ width, answered }: StoredRows): void {
    this.#width = width;
    this.#answered.splice(0);
    for (const { query, wanted, ...rest } of answered) this.#answered.push({ ...rest, query: { ...query, wanted: new Map(wanted) } });
  }

  get queries(): number {
    return this.#answered.filter(({ isSuppressed, query }) => !isSuppressed && !query.isOpening).length;
  }

  /**
   * Gathers the candidates of one question from the states as they are now, each time of the same replay. Of a shopper who bought something, once
   * more without it: placements that leave out what was bought need a ranker that knows one new item from another, and among own items it hardly
   * learns that.
   */
  async ask(replay: Replay, query: Query): Promise<void> {
    await this.#answer(replay, query, false);
    if (this.#gathering!.purchases.length > 0) await this.#answer(replay, query, true);
  }

  async #answer(replay: Replay, query: Query, isSuppressed: boolean): Promise<void> {
    const { engine, catalogue, itemNumbers } = replay;
    const user = replay.state('user', query.userId);
    const session = replay.state('session', query.sessionId);
    this.#gathering ??= new Gathering({ ...replay, candidatesMax: CANDIDATES_MAX });
    const { set, purchases } = this.#gathering;
    this.#gathering.begin(user, session);
    const item = query.itemId === undefined ? NO_HANDLE : catalogue.handles.find(query.itemId);
    const barred = new Set(isSuppressed ? purchases.handles.subarray(0, purchases.length) : []);
    if (item !== NO_HANDLE) barred.add(item);
    await this.#gathering.gather(
      {
        nowMs: query.atMs,
        item,
        caps: CAPS,
        // Where a log has no catalogue, an item begins with its first act: at that very moment its age of 0 would give the answer away.
        allow: (handle) => catalogue.sellable(handle) && !(catalogue.createdMs(handle) >= query.atMs) && !barred.has(handle),
      },
      this.#models,
    );
    const { count, handles } = set;
    if (count === 0) return;
    itemNumbers.refreshFrom((id) => replay.state('item', id), handles, count, query.atMs);
    const context = engine.contextKeys(RANK_SET).map((key) => set.column(key));
    this.#width = engine.names(RANK_SET).length;
    const rows = new Float32Array(count * this.#width);
    const subject = { nowMs: query.atMs, states: { user, session } };
    engine.rows(RANK_SET, subject, { count, handles, items: catalogue, context, itemNumbers: itemNumbers.values }, rows);
    const ids = Array.from(handles.subarray(0, count), (handle) => catalogue.handles.idOf(handle));
    this.#answered.push({ query, isSuppressed, ids, rows, baselines: baselinesOf(set) });
  }

  /** Rows to learn from: all that was wanted and a sample of the rest. Undefined where no candidate was wanted. */
  static training(periods: readonly RankerRows[], seed: number): GbdtRows | undefined {
    const random = seededRandom(seed);
    const width = Math.max(0, ...periods.map((period) => period.#width));
    const taken: { answered: AnsweredQuery; positions: number[] }[] = [];
    for (const period of periods) {
      for (const answered of period.#answered) {
        const positions = sample(answered, random);
        if (positions) taken.push({ answered, positions });
      }
    }
    if (taken.length === 0) return undefined;
    const n = taken.reduce((sum, { positions }) => sum + positions.length, 0);
    const rows = new Float32Array(n * width);
    const labels = new Float32Array(n);
    const groups = new Int32Array(taken.length);
    let at = 0;
    taken.forEach(({ answered, positions }, group) => {
      groups[group] = positions.length;
      for (const position of positions) {
        rows.set(answered.rows.subarray(position * width, (position + 1) * width), at * width);
        labels[at++] = answered.query.wanted.get(answered.ids[position]!) ?? 0;
      }
    });
    return { rows, n, f: width, labels, groups };
  }

  /** Standard deviation of the scores of a question's candidates, on average over all questions. */
  spreadOf(scoreOf: RowScorer): number {
    return mean(this.#answered.map(({ rows }) => deviationOf(scoreOf(rows))));
  }

  /** The measured questions, to learn from which sources to believe; those with something wanted among their candidates. */
  fusionQuestions(): FusionQuestion[] {
    return this.#answered
      .filter(({ isSuppressed, query, ids }) => !isSuppressed && !query.isOpening && ids.some((id) => query.wanted.has(id)))
      .map(({ query, ids, rows }) => {
        const goal = goalOf(query);
        const wanted = ids.flatMap((id, i) => (goal.has(id) ? [i] : []));
        return { rows, worth: (scores) => ndcgOf(scores, wanted, goal.size) };
      });
  }

  /** Recall and NDCG at `CUT` of scorers over whole candidate lists, and of each baseline. What no source found counts as missed. */
  evaluate(scorers: Readonly<Record<string, RowScorer>>): { readonly [ranking: string]: RankingMetrics } {
    const lists = new Map<string, { recall: number[]; ndcg: number[]; byCut: number[][] }>();
    const note = (name: string, scores: ArrayLike<number>, { ids, query }: AnsweredQuery): void => {
      const goal = goalOf(query);
      const top = topOf(scores, ids, goal);
      const list = lists.get(name) ?? { recall: [], ndcg: [], byCut: CUTS.map(() => []) };
      lists.set(name, list);
      list.recall.push(recallAt(CUT, top, goal));
      list.ndcg.push(ndcgAt(CUT, top, goal));
      CUTS.forEach((cut, i) => {
        list.byCut[i]!.push(recallAt(cut, top, goal));
      });
    };
    for (const answered of this.#answered) {
      if (answered.isSuppressed || answered.query.isOpening) continue;
      for (const [name, score] of Object.entries(scorers)) note(name, score(answered.rows), answered);
      for (const [name, scores] of Object.entries(answered.baselines)) note(name, scores, answered);
    }
    return Object.fromEntries(
      [...lists].map(([name, { recall, ndcg, byCut }]) => [
        name,
        { recall: mean(recall), ndcg: mean(ndcg), recallByCut: CUTS.map((cut, i) => ({ x: cut, y: mean(byCut[i]!) })) },
      ]),
    );
  }
}

function deviationOf(values: Float64Array): number {
  const centre = values.reduce((sum, value) => sum + value, 0) / values.length;
  return Math.sqrt(values.reduce((sum, value) => sum + (value - centre) ** 2, 0) / values.length);
}

const CUTS = [1, 2, 5, 10, 20];

export interface RankingMetrics {
  readonly recall: number;
  readonly ndcg: number;
  readonly recallByCut: readonly { readonly x: number; readonly y: number }[];
}

/** What was bought, or, where nothing was, what was touched. */
function goalOf({ wanted }: Query): ReadonlySet<string> {
  const bought = new Set<string>();
  for (const [id, grade] of wanted) if (grade === 2) bought.add(id);
  return bought.size > 0 ? bought : new Set(wanted.keys());
}

/** The first `CUT` by score, equals by id; what is not in the goal has no name there: it need not be told apart, and lists of hundreds are not sorted. */
function topOf(scores: ArrayLike<number>, ids: readonly string[], goal: ReadonlySet<string>): string[] {
  const top = new Array<string>(Math.min(CUT, ids.length)).fill('');
  for (let position = 0; position < ids.length; position++) {
    const id = ids[position]!;
    if (!goal.has(id)) continue;
    const score = scores[position]!;
    let before = 0;
    for (let i = 0; i < ids.length; i++) if (scores[i]! > score || (scores[i] === score && ids[i]! < id)) before++;
    if (before < top.length) top[before] = id;
  }
  return top;
}

/** NDCG at `CUT` by counting, for the position of what is wanted alone: sorting every list for every weight that is tried would take minutes. */
function ndcgOf(scores: Float64Array, wanted: readonly number[], goals: number): number {
  let gain = 0;
  for (const position of wanted) {
    let rank = 1;
    const score = scores[position]!;
    for (let i = 0; i < position; i++) if (scores[i]! >= score) rank++;
    for (let i = position + 1; i < scores.length; i++) if (scores[i]! > score) rank++;
    if (rank <= CUT) gain += 1 / Math.log2(rank + 1);
  }
  let ideal = 0;
  for (let rank = 1; rank <= Math.min(CUT, goals); rank++) ideal += 1 / Math.log2(rank + 1);
  return gain / ideal;
}

export function baselinesOf(set: CandidateSet): AnsweredQuery['baselines'] {
  const by = (key: string): Float64Array =>
    set
      .column(key)
      .slice(0, set.count)
      .map((score) => (Number.isNaN(score) ? Number.NEGATIVE_INFINITY : score));
  return {
    popularity: by('popular'),
    'user vector': by('user_vector'),
    'item to item': by('item_to_item'),
    'bought again': by('buy_again'),
    'look-alikes': by('look_alike'),
    linear: by('linear'),
    'session neighbours': by('session_neighbours'),
    'next item': by('next_item'),
    blend: blend(set),
  };
}

function sample({ query, ids }: AnsweredQuery, random: Random): number[] | undefined {
  const wanted: number[] = [];
  const others: number[] = [];
  ids.forEach((id, position) => {
    (query.wanted.has(id) ? wanted : others).push(position);
  });
  if (wanted.length === 0 || others.length === 0) return undefined;
  const kept = Array.from(sampleSorted(random, others.length, NEGATIVES_PER_QUERY_MAX), (i) => others[i]!);
  return [...wanted, ...kept].sort((a, b) => a - b);
}
