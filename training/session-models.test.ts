import { expect, test } from 'vitest';
import { Handles } from '../contracts/handles.ts';
import { createExactIndex } from '../index/exact.ts';
import { createNextItem } from '../scoring/models/next-item.ts';
import { loadOnnx } from '../scoring/models/onnx.ts';
import { collect, type ShopLog } from './collect.ts';
import { itemVectors, nextItemToOnnx } from './learners/neural/nextItemServing.ts';
import { seededRandom } from './learners/random.ts';
import { silentProgress } from './progress.ts';
import { learnSessions, SESSION_DEFAULTS } from './session-models.ts';
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

const learn = (log: ShopLog, params = SMALL, untilMs = END_MS) => learnSessions(log, untilMs, params, 3, () => () => {});

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

test('what there is too little for, or what is switched off, is not made', async () => {
  expect(await learn(await visitsOf(true, 40))).toEqual({});
  expect(await learn(await visitsOf(false))).toEqual({});
  expect(await learn(await visitsOf(true), { ...SMALL, neighbours: false, nextItem: false })).toEqual({});
  expect((await learn(await visitsOf(true), SESSION_DEFAULTS)).nextItem).toBeUndefined();
});
