import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { RecommendResponse } from '../../contracts/recommend.ts';
import type { HoldOutResult } from '../../training/evaluation/hold-out.ts';
import { type Means, RankingScores } from '../../training/evaluation/ranking-scores.ts';
import { describeWith } from '../describe-with.ts';
import { dataSet } from '../services.ts';
import { inParallel, runOk, type ServedGateway, serve } from './command-line.ts';
import { rowsOf } from './real-data.ts';

/**
 * Next click on Diginetica, the newest part of it: learn from sessions before the published cut, then replay test sessions click by click over the
 * API, asking for 20 items before each click but the first. All of it takes an hour of training: docs/accuracy.md has the commands.
 */
const SET = dataSet('diginetica_sessions/session_clicks.parquet');
const FIRST_TEST_SESSION = 186_671;
const TRAIN_SESSIONS = 6_000;
/** Some 3,000 prefixes: HR is sure to about one point. */
const TEST_SESSIONS = 800;
const LIMIT = 20;

/** As the mapping `diginetica` makes times of the order of sessions. */
const startOf = (session: number) => new Date(Date.UTC(2016, 0, 1) + session * 60_000).toISOString();

interface Trained {
  readonly version: string;
  readonly metrics: Readonly<Record<string, number>>;
}

describeWith(SET, 'Diginetica sessions over the public API', () => {
  let dir: string;
  let trained: Trained;
  let overHttp: Means;
  let degraded: readonly string[];
  let evaluated: HoldOutResult['tasks'][number];
  const sessions: string[][] = [];

  beforeAll(async () => {
    dir = await mkdtemp(join(tmpdir(), 'gatehouse-sessions-'));
    const env = { GATEHOUSE_DATA_DIR: dir };
    const [from, cut] = [startOf(FIRST_TEST_SESSION - TRAIN_SESSIONS), startOf(FIRST_TEST_SESSION)];
    await runOk(['import', SET.path!, '--mapping', 'diginetica', '--from', from, '--until', cut, '--as-of', cut], env);
    trained = JSON.parse((await runOk(['train'], env)).stdout) as Trained;
    const clicks = await rowsOf(
      `SELECT session_id, 'i' || item_id FROM '${SET.path}' WHERE session_id BETWEEN ${FIRST_TEST_SESSION} AND ${FIRST_TEST_SESSION + TEST_SESSIONS - 1} ORDER BY session_id, position`,
    );
    for (const [session, item] of clicks) {
      sessions[Number(session) - FIRST_TEST_SESSION] ??= [];
      sessions[Number(session) - FIRST_TEST_SESSION]!.push(String(item));
    }
    // The models are measured here, not the machine: a busy one must neither make the answers late nor shed them.
    const gateway = await serve(dir, { GATEHOUSE_RECOMMEND_DEADLINE_MS: '10000', GATEHOUSE_EVENT_LOOP_DELAY_MAX_MS: '60000' });
    try {
      ({ means: overHttp, degraded } = await browse(gateway));
    } finally {
      await gateway.stop();
    }
    // The journal now has the test sessions too, as they came over the API: the same bundle is asked the same questions, source by source.
    const result = JSON.parse(
      (await runOk(['evaluate', '--bundle', join(dir, 'bundles', trained.version), '--questions', '100000', '--json'], env)).stdout,
    ) as HoldOutResult;
    evaluated = result.tasks.find(({ task }) => task === 'next in the visit')!;
  }, 1_200_000);
  afterAll(() => rm(dir, { recursive: true, force: true }));

  async function browse(gateway: ServedGateway): Promise<{ means: Means; degraded: string[] }> {
    const scores = new RankingScores(LIMIT);
    const reasons: string[] = [];
    await inParallel(sessions, 8, async (clicks) => {
      const session_id = `test-${sessions.indexOf(clicks)}`;
      for (const [position, item] of clicks.entries()) {
        if (position > 0) {
          const { items, degraded_by = [] } = await gateway.post<RecommendResponse>('/v1/recommend', {
            session_id,
            placement: 'again',
            limit: LIMIT,
          });
          reasons.push(...degraded_by);
          scores.add(
            'pipeline',
            items.map(({ item_id }) => item_id),
            new Set([item]),
          );
        }
        const event = { event_id: `${session_id}-${position}`, name: 'view_item', session_id, items: [{ item_id: item }] };
        await gateway.post('/v1/events', { events: [event] });
      }
    });
    return { means: scores.means()['pipeline']!, degraded: reasons };
  }

  test('every prefix of the test sessions is asked, and no answer is less than it can be', () => {
    expect(evaluated.questions).toBe(sessions.reduce((sum, clicks) => sum + clicks.length - 1, 0));
    expect(degraded).toEqual([]);
  });

  test('neighbours and the sequence model together are better than either, over the API as in evaluate', () => {
    const { pipeline, 'session neighbours': neighbours, 'next item': neural } = evaluated.rankings;
    const shown = Object.entries({ 'over the API': overHttp, pipeline: pipeline!, neighbours: neighbours!, neural: neural! })
      .map(([name, { hitRate, mrr }]) => `${name} ${(100 * hitRate).toFixed(2)} / ${(100 * mrr).toFixed(2)}`)
      .join('; ');
    console.log(`Diginetica, last ${TRAIN_SESSIONS} train sessions, ${evaluated.questions} test prefixes, HR@20 / MRR@20: ${shown}`);
    for (const alone of [neighbours!, neural!]) {
      expect(overHttp.hitRate).toBeGreaterThan(alone.hitRate);
      expect(overHttp.mrr).toBeGreaterThan(alone.mrr);
    }
    // The same models, states and questions; live popularity moves between two requests that are in flight at once.
    expect(Math.abs(overHttp.hitRate - pipeline!.hitRate)).toBeLessThan(0.01);
  });

  test('what is shipped is the best on the validation period', () => {
    const { metrics } = trained;
    for (const name of ['session_neighbours', 'next_item', 'popularity'])
      expect(metrics['recommend_ndcg20_ranker']).toBeGreaterThanOrEqual(metrics[`recommend_ndcg20_${name}`]!);
  });
});
