import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { EventName } from '../../contracts/event.ts';
import type { Fact } from '../../contracts/fact.ts';
import { DEFAULT_DECLARATIONS } from '../../scoring/features/defaults.ts';
import { createFeatureEngine } from '../../scoring/features/engine.ts';
import { seededRandom } from '../learners/random.ts';
import { silentProgress } from '../progress.ts';
import { END_MS, eventFact, sourceOf } from '../shop.testing.ts';
import { evaluateHeldOut, type HoldOutResult } from './hold-out.ts';

/** Logs that no shop would be proud of, but that shops have: each is trained on and measured, or refused with a sentence. */
let dir: string;
beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), 'gatehouse-odd-logs-'));
});
afterAll(() => rm(dir, { recursive: true, force: true }));

interface Act {
  readonly user?: string;
  readonly session?: string;
  readonly item: string;
  readonly atMs: number;
  readonly name?: EventName;
}

function factsOf(acts: readonly Act[]): Fact[] {
  return acts.map(({ user, session, item, atMs, name = 'view_item' }, i) =>
    eventFact({
      event_id: `e${i}`,
      name,
      ...(user !== undefined && { user_id: user }),
      ...(session !== undefined && { session_id: session }),
      timestamp_ms: atMs,
      items: [{ item_id: item }],
    }),
  );
}

const MINUTE_MS = 60_000;
/** `visits` anonymous visits of `clicks` clicks among `items` items, a visit a minute. */
function visitsOf(visits: number, clicks: number, items: number, idOf = (item: number): string => `i${item}`): Act[] {
  const random = seededRandom(7);
  return Array.from({ length: visits }, (_, visit) => {
    const start = random.int(items);
    return Array.from({ length: clicks }, (_, click) => ({
      session: `s${visit}`,
      item: idOf((start + click) % items),
      atMs: END_MS - (visits - visit) * MINUTE_MS + click,
    }));
  }).flat();
}

async function evaluate(facts: readonly Fact[]): Promise<HoldOutResult> {
  return evaluateHeldOut({
    facts: sourceOf(facts),
    engine: createFeatureEngine(DEFAULT_DECLARATIONS),
    outDir: await mkdtemp(join(dir, 'bundles-')),
    seed: 3,
    questionsMax: 40,
    params: { queriesMax: 60, retrieval: { als: { factors: 4, regularization: 1, iterations: 2 } } },
    progress: silentProgress,
    now: () => END_MS,
  });
}

function expectFinite({ tasks }: HoldOutResult): void {
  expect(tasks.length).toBeGreaterThan(0);
  for (const { questions, rankings } of tasks) {
    expect(questions).toBeGreaterThan(0);
    for (const means of Object.values(rankings)) for (const value of Object.values(means)) expect(value >= 0 && value <= 1).toBe(true);
  }
}

const USERS = ['only'];
const ODD: Readonly<Record<string, Fact[]>> = {
  'one user, a purchase a day': factsOf(
    Array.from({ length: 60 }, (_, day) => ({
      user: USERS[0]!,
      item: `i${day % 7}`,
      atMs: END_MS - (60 - day) * 1440 * MINUTE_MS,
      name: 'purchase' as const,
    })),
  ),
  'three items': factsOf(visitsOf(200, 4, 3)),
  'one item': factsOf(visitsOf(200, 3, 1)),
  'two visits': factsOf(visitsOf(2, 3, 5)),
  'views alone, of known users without session ids': factsOf(
    visitsOf(150, 3, 20).map(({ session, ...act }) => ({ ...act, user: `u${Number(session!.slice(1)) % 30}` })),
  ),
  'a crawler: one visit of 5,000 clicks among short ones': factsOf([
    ...visitsOf(120, 3, 40),
    ...Array.from({ length: 5_000 }, (_, click) => ({ session: 'crawler', item: `i${click % 40}`, atMs: END_MS + click })),
  ]),
  'each click twice': factsOf(visitsOf(150, 3, 30).flatMap((act) => [act, act])),
  'ids of odd characters': factsOf(visitsOf(150, 3, 30, (item) => `__proto__${'/\\"\'%{}<>'.repeat(2)}${item}`)),
  'ids that objects have already': factsOf(visitsOf(150, 3, 3, (item) => ['__proto__', 'constructor', 'toString'][item]!)),
};

describe('odd logs', () => {
  test.each(Object.entries(ODD))(
    '%s: trained on and measured',
    async (_, facts) => {
      expectFinite(await evaluate(facts));
    },
    120_000,
  );

  test('all in one millisecond: nothing can be held out, and it says so', async () => {
    const facts = factsOf(visitsOf(150, 3, 20).map((act) => ({ ...act, atMs: END_MS })));
    await expect(evaluate(facts)).rejects.toMatchObject({ code: 'training_data_insufficient' });
  });

  test('all within a second, in the order of the journal', async () => {
    expectFinite(await evaluate(factsOf(visitsOf(150, 3, 20).map((act, i) => ({ ...act, atMs: END_MS - 1000 + 2 * i })))));
  }, 120_000);

  test('no act on any item', async () => {
    const facts = Array.from({ length: 30 }, (_, i) =>
      eventFact({ event_id: `e${i}`, name: 'page_view', session_id: 's', timestamp_ms: END_MS + i }),
    );
    await expect(evaluate(facts)).rejects.toMatchObject({ code: 'training_data_insufficient' });
  });
});
