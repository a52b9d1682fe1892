import { describe, expect, test } from 'vitest';
import type { TimedEvent } from '../../../contracts/event.ts';
import { createExactIndex } from '../../../index/exact.ts';
import { ProfileIndex } from '../../../index/profiles.ts';
import { sessionSearch } from '../../../index/readers.ts';
import { SessionIndex } from '../../../index/sessions.ts';
import type { EntityState } from '../../features/contract.ts';
import { DEFAULT_DECLARATIONS } from '../../features/defaults.ts';
import { createFeatureEngine } from '../../features/engine.ts';
import { Catalogue } from '../catalogue.ts';
import { LookAlikes, SessionNeighbours } from '../numbered.ts';
import { NeighbourTable, type RetrievalModels } from '../retrieval.ts';
import { Trending } from '../trending.ts';
import type { SourceCaps } from './contract.ts';
import { Gathering } from './gather.ts';

const NOW = Date.UTC(2026, 0, 31);
const IDS = ['a', 'b', 'c', 'd', 'e'];
const NONE: SourceCaps = { user_vector: 0, item_to_item: 0, buy_again: 0, popular: 0, new: 0 };
const engine = createFeatureEngine(DEFAULT_DECLARATIONS);
const catalogue = new Catalogue();
for (const item_id of IDS) catalogue.put({ item_id });
const { handles } = catalogue;

/** Three people: two with a taste for a, b and c, one for d and e. */
const lookAlikes = new LookAlikes(
  handles,
  new ProfileIndex({
    ids: IDS,
    indptr: Uint32Array.of(0, 3, 5, 7),
    items: Uint32Array.of(0, 1, 2, 0, 1, 3, 4),
    values: new Float32Array(7).fill(1),
    votes: Float32Array.of(1, 1, 0.5, 1, 1, 1, 1),
  }),
);
/** Two visits a b c, one d e; each item is missing in one, or it would say nothing. */
const sessionNeighbours = new SessionNeighbours(
  handles,
  sessionSearch(new SessionIndex({ ids: IDS, indptr: Uint32Array.of(0, 3, 6, 8), items: Uint32Array.of(0, 1, 2, 0, 1, 2, 3, 4) })),
);
/** a goes with b, and against c. */
const linear = new NeighbourTable(handles, IDS, Uint32Array.of(0, 2, 2, 2, 2, 2), Uint32Array.of(1, 2), Float32Array.of(0.6, -0.4));

function state(kind: 'user' | 'session', ...acts: [name: TimedEvent['name'], item: string][]): EntityState {
  let made: EntityState | undefined;
  acts.forEach(([name, item_id], i) => {
    const event: TimedEvent = {
      event_id: `e${i}`,
      name,
      user_id: 'x',
      session_id: 'x',
      timestamp_ms: NOW - (acts.length - i) * 1000,
      items: [{ item_id }],
    };
    made = engine.apply({ kind, id: 'x' }, made, event, () => undefined);
  });
  return made!;
}

async function gather(models: RetrievalModels, caps: Partial<SourceCaps>, user?: EntityState, session?: EntityState, barred?: string) {
  const gathering = new Gathering({ engine, catalogue, trending: new Trending(handles), candidatesMax: 10 });
  gathering.begin(user, session);
  const allow = (item: number): boolean => handles.idOf(item) !== barred;
  const missing = await gathering.gather({ nowMs: NOW, caps: { ...NONE, ...caps }, allow }, models);
  const { set } = gathering;
  const ids = Array.from(set.handles.subarray(0, set.count), (handle) => handles.idOf(handle));
  return { missing, ids, column: (key: string) => Array.from(set.column(key).subarray(0, set.count)) };
}

describe('look-alike shoppers', () => {
  test('vote for what they hold, the most wanted first', async () => {
    const { ids, column, missing } = await gather({ lookAlikes }, { look_alike: 5 }, state('user', ['purchase', 'a']));
    expect(missing).toEqual([]);
    // Of two people who hold a, b is held by both and c, half as surely, by one, who is less alike for it.
    expect(ids).toEqual(['a', 'b', 'c']);
    const votes = column('look_alike');
    expect(votes[0]).toBeCloseTo(1, 6);
    const [alikeLess, alikeMore] = [1 / Math.sqrt(3), 1 / Math.sqrt(2)];
    expect(votes[2]).toBeCloseTo((0.5 * alikeLess) / (alikeLess + alikeMore), 6);
    expect(column('look_alike_share')).toEqual(votes.map((vote) => vote / votes[0]!));
  });

  test('are found by what a visit looked at, and name nothing that may not be shown', async () => {
    const { ids } = await gather({ lookAlikes }, { look_alike: 5 }, undefined, state('session', ['view_item', 'd']), 'd');
    expect(ids).toEqual(['e']);
  });
});

test('a linear model adds up weights of all that is held; what goes against it is no candidate', async () => {
  const { ids, column } = await gather({ linear }, { linear: 5 }, state('user', ['purchase', 'a']));
  expect(ids).toEqual(['b']);
  expect(column('linear')[0]).toBeCloseTo(0.6, 5);
});

test('sessions like this one name what came next', async () => {
  const { ids, column } = await gather({ sessionNeighbours }, { session_neighbours: 2 }, undefined, state('session', ['view_item', 'a']), 'a');
  expect(ids).toEqual(['b', 'c']);
  const [next, later] = column('session_neighbours');
  expect(next).toBeGreaterThan(later!);
  expect(column('session_neighbours_share')).toEqual([1, later! / next!]);
  expect(column('session_neighbours_rank')).toEqual([1, 2]);
});

test('a user without a session id is in a visit until they rest for half an hour', async () => {
  const ask = async (minutesAgo: readonly number[]) => {
    const user = minutesAgo.reduce<EntityState | undefined>(
      (made, minutes, i) =>
        engine.apply(
          { kind: 'user', id: 'x' },
          made,
          { event_id: `m${i}`, name: 'view_item', user_id: 'x', timestamp_ms: NOW - minutes * 60_000, items: [{ item_id: IDS[i]! }] },
          () => undefined,
        ),
      undefined,
    );
    const { ids, column } = await gather({ sessionNeighbours }, { session_neighbours: 5 }, user);
    const steps = column('visit_steps');
    return Object.fromEntries(ids.map((id, i) => [id, steps[i]]));
  };
  expect(await ask([50, 25])).toMatchObject({ a: 2, b: 1, c: Number.NaN });
  // What came before the rest is of an earlier visit.
  expect(await ask([60, 25])).toMatchObject({ a: Number.NaN, b: 1 });
  expect(await ask([60, 31])).toEqual({});
});

test('what the visit touched itself is so many items ago', async () => {
  const session = state('session', ['view_item', 'b'], ['view_item', 'a'], ['view_item', 'b'], ['view_item', 'c']);
  const { ids, column } = await gather({ sessionNeighbours }, { session_neighbours: 5 }, undefined, session);
  const steps = column('visit_steps');
  expect(Object.fromEntries(ids.map((id, i) => [id, steps[i]]))).toMatchObject({ a: 3, b: 2, c: 1 });
});

test('a sequence model is asked with the newest items first, of the visit before the history', async () => {
  const index = createExactIndex({ dimensions: 2, metric: 'ip', handles });
  IDS.forEach((id, i) => {
    index.upsert(id, Float32Array.of(i, 1));
  });
  const asked: string[][] = [];
  const nextItem: RetrievalModels['nextItem'] = {
    index,
    expect: async (clicked, length) => {
      asked.push(Array.from(clicked.subarray(0, length), (handle) => handles.idOf(handle)));
      return Float32Array.of(1, 0.5);
    },
  };
  const user = state('user', ['view_item', 'e']);
  const { ids, column } = await gather({ nextItem }, { next_item: 2 }, user, state('session', ['view_item', 'a'], ['view_item', 'b']));
  expect(ids).toEqual(['e', 'd']);
  expect(column('next_item')).toEqual([4.5, 3.5]);
  expect(column('next_item_gap')).toEqual([0, -1]);
  expect(column('next_item_rank')).toEqual([1, 2]);
  await gather({ nextItem }, { next_item: 2 }, user);
  expect(asked).toEqual([['b', 'a'], ['e']]);
});

test('a source that the bundle has not is not missed', async () => {
  const caps = { look_alike: 5, linear: 5, session_neighbours: 5, next_item: 5 };
  expect((await gather({}, caps, state('user', ['purchase', 'a']))).missing).toEqual([]);
});

test('a visitor who did nothing yet has no candidates of them', async () => {
  const caps = { look_alike: 5, linear: 5, session_neighbours: 5 };
  expect((await gather({ lookAlikes, linear, sessionNeighbours }, caps)).ids).toEqual([]);
});
