import { expect, test } from 'vitest';
import { Handles } from '../contracts/handles.ts';
import { createExactIndex } from '../index/exact.ts';
import { createNextItem } from '../scoring/models/next-item.ts';
import { loadOnnx } from '../scoring/models/onnx.ts';
import { collect, type ShopLog } from './collect.ts';
import { itemVectors, nextItemToOnnx } from './learners/neural/nextItemServing.ts';
import { seededRandom } from './learners/random.ts';
import type { SessionRows } from './learners/vmis.ts';
import { silentProgress } from './progress.ts';
import { chooseSearch, type LearnedSessions, learnSessions, SESSION_DEFAULTS } from './session-models.ts';
import { END_MS, eventFact, sourceOf } from './shop.testing.ts';

const ITEMS = 30;
const VISITS = 400;
const CLICKS = 5;
const SMALL = { ...SESSION_DEFAULTS, nextItemTargets: 16_000, nextItemTargetsMin: 1_000 };

/** Visitors who go from each item to the one behind it, round and round. */
function visitsOf(withSessions: boolean, visits = VISITS): Promise<ShopLog> {
  const random = seededRandom(4);
  const facts = Array.from({ length: visits }, (_, visit) => {
    const start = random.int(ITEMS);
    return Array.from({ length: CLICKS }, (_, click) =>
      eventFact({
        event_id: `e${visit}-${click}`,
        name: 'view_item',
        user_id: `u${visit}`,
        ...(withSessions && { session_id: `s${visit}` }),
        timestamp_ms: END_MS - (visits - visit) * 60_000 + click * 1000,
        items: [{ item_id: `i${(start + click) % ITEMS}` }],
      }),
    );
  }).flat();
  return collect(sourceOf(facts), { outcomesUntilMs: END_MS, progress: silentProgress.task(''), check: () => {} });
}

const learn = (log: ShopLog, params = SMALL, untilMs = END_MS, earlier?: LearnedSessions) =>
  learnSessions(log, untilMs, params, 3, () => () => {}, earlier);

test('the sequence model, asked as the gateway asks, expects what came next', async () => {
  const { nextItem } = await learn(await visitsOf(true));
  const { model, ids } = nextItem!;
  expect(ids).toHaveLength(ITEMS);
  const handles = new Handles();
  const index = createExactIndex({ dimensions: model.width + 1, metric: 'ip', handles });
  const vectors = itemVectors(model);
  ids.forEach((id, i) => {
    index.upsert(id, vectors.subarray(i * index.dimensions, (i + 1) * index.dimensions));
  });
  const session = await loadOnnx(nextItemToOnnx(model));
  try {
    const asker = createNextItem(session, index, ids, model.lengthMax, handles);
    await asker.probe();
    let right = 0;
    for (let item = 0; item < ITEMS; item++) {
      // The newest first.
      const clicked = Int32Array.from([item, item + ITEMS - 1, item + ITEMS - 2], (number) => handles.find(`i${number % ITEMS}`));
      const query = await asker.expect(clicked, clicked.length);
      if (index.search(query!, 1)[0]!.id === `i${(item + 1) % ITEMS}`) right++;
    }
    expect(right).toBeGreaterThan(0.9 * ITEMS);
    expect(await asker.expect(Int32Array.of(handles.intern('never seen')), 1)).toBeUndefined();
  } finally {
    await session.release();
  }
}, 60_000);

test('past visits are kept in the order of their time, those before the end alone', async () => {
  const log = await visitsOf(true);
  const { sessions } = await learn(log, { ...SMALL, nextItem: false });
  expect(sessions!.indptr.length - 1).toBe(VISITS);
  const half = await learn(log, { ...SMALL, nextItem: false }, END_MS - (VISITS / 2) * 60_000);
  expect(half.sessions!.indptr.length - 1).toBe(VISITS / 2);
  expect(half.sessions!.items).toEqual(sessions!.items.slice(0, (VISITS / 2) * CLICKS));
});

test('users without session ids tell as much', async () => {
  const { sessions, nextItem } = await learn(await visitsOf(false));
  expect([sessions!.indptr.length - 1, nextItem!.ids.length]).toEqual([VISITS, ITEMS]);
}, 60_000);

test('what there is too little for, or what is switched off, is not made', async () => {
  expect(await learn(await visitsOf(true, 40))).toEqual({});
  expect(await learn(await visitsOf(true), { ...SMALL, neighbours: false, nextItem: false })).toEqual({});
  expect((await learn(await visitsOf(true), SESSION_DEFAULTS)).nextItem).toBeUndefined();
});

function rowsOf(items: number, visits: readonly (readonly number[])[]): SessionRows {
  const indptr = new Uint32Array(visits.length + 1);
  visits.forEach((clicks, i) => {
    indptr[i + 1] = indptr[i]! + clicks.length;
  });
  return { indptr, indices: Uint32Array.from(visits.flat()), ids: Array.from({ length: items }, (_, item) => `i${item}`) };
}

test('where one item leads to the next, past visits are asked for what came after it', () => {
  const random = seededRandom(5);
  const walks = Array.from({ length: VISITS }, () => {
    const start = random.int(ITEMS);
    return Array.from({ length: CLICKS }, (_, click) => (start + click) % ITEMS);
  });
  expect(chooseSearch(rowsOf(ITEMS, walks), 1)).toBe('followers');
});

test('where the whole visit tells what it is about, they are asked for visits like it', () => {
  const random = seededRandom(6);
  // Each item is of two subjects, a row and a column of a square; what a visit is about shows in two of its items, in no order.
  const side = 30;
  const visits = Array.from({ length: 2 * VISITS }, () => {
    const line = random.int(side);
    const isRow = random.next() < 0.5;
    return Array.from({ length: CLICKS }, () => (isRow ? line * side + random.int(side) : random.int(side) * side + line));
  });
  expect(chooseSearch(rowsOf(side * side, visits), 1)).toBe('v_stan');
});

test('what was learned up to an earlier time is gone on from: the same search, and an encoder with fewer steps that knows the new items too', async () => {
  const log = await visitsOf(true);
  const half = await learn(log, SMALL, END_MS - (VISITS / 2) * 60_000);
  const whole = await learn(log, SMALL, END_MS, half);
  expect(whole.sessionSearch).toBe(half.sessionSearch);
  expect(whole.sessions!.indptr.length - 1).toBe(VISITS);
  expect(whole.nextItem!.ids).toHaveLength(ITEMS);
  expect(whole.nextItem!.model.history.epochs).toBeLessThanOrEqual(half.nextItem!.model.history.epochs / 2);
  // It begins where the other one ended.
  expect(whole.nextItem!.model.history.trainLosses[0]!).toBeLessThan(half.nextItem!.model.history.trainLosses[0]! / 2);
}, 60_000);
