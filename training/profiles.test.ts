import { expect, test } from 'vitest';
import { Handles } from '../contracts/handles.ts';
import { DEFAULT_DECLARATIONS } from '../scoring/features/defaults.ts';
import { createFeatureEngine } from '../scoring/features/engine.ts';
import { HandleMap } from '../scoring/recommend/handle-map.ts';
import { heldItems } from '../scoring/recommend/profile.ts';
import { TouchedItems } from '../scoring/recommend/touched.ts';
import { collect } from './collect.ts';
import { profileTable } from './profiles.ts';
import { silentProgress } from './progress.ts';
import { Replay } from './replay.ts';
import { END_MS, factsOfShop, smallShop, sourceOf } from './shop.testing.ts';

test('what training says that a shopper holds is what the gateway reads from their histories', async () => {
  const facts = factsOfShop(smallShop());
  const log = await collect(sourceOf(facts), { outcomesUntilMs: END_MS, progress: silentProgress.task(''), check: () => {} });
  const ids = Array.from({ length: log.items.size }, (_, item) => log.items.name(item));
  const people = { count: log.users.size, rowOf: (act: number) => log.acts.user[act]! };
  const table = profileTable(log, END_MS, people, { ids, position: Uint32Array.from(ids, (_, item) => item) });
  const lastMs = new Float64Array(log.users.size);
  for (let act = 0; act < log.acts.length; act++) if (log.acts.user[act]! >= 0) lastMs[log.acts.user[act]!] = log.acts.atMs[act]!;
  const order = Array.from(lastMs, (_, user) => user)
    .filter((user) => lastMs[user]! > 0)
    .sort((a, b) => lastMs[a]! - lastMs[b]! || a - b);
  expect(order.length).toBe(table.indptr.length - 1);

  const engine = createFeatureEngine(DEFAULT_DECLARATIONS);
  const handles = new Handles();
  const replay = new Replay(engine, handles);
  for (const fact of facts) replay.apply(fact);
  const read = (state: ReturnType<Replay['state']>, history: string): TouchedItems => {
    const touched = new TouchedItems(handles);
    touched.load(engine, state, history);
    return touched;
  };
  let compared = 0;
  order.forEach((user, row) => {
    const state = replay.state('user', log.users.name(user));
    const interactions = read(state, 'interactions');
    // A full history has let items go, which the journal has not.
    if (interactions.length >= 100) return;
    const held = new HandleMap();
    heldItems(interactions, read(state, 'purchases'), read(undefined, 'interactions'), END_MS, held);
    expect(held.count).toBe(table.indptr[row + 1]! - table.indptr[row]!);
    for (let at = table.indptr[row]!; at < table.indptr[row + 1]!; at++) {
      const value = held.scores[held.positionOf(handles.find(ids[table.items[at]!]!))]!;
      // Looks are told from purchases by number there, by event here: their first and last times may differ a little.
      expect(Math.abs(value - table.values[at]!)).toBeLessThan(0.05 * table.values[at]!);
      compared++;
    }
  });
  expect(compared).toBeGreaterThan(1_000);
});
