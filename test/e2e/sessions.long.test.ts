import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { beforeAll, expect, test } from 'vitest';
import type { ClicksResult } from '../../loadtests/accuracy/clicks-run.ts';
import type { Means } from '../../training/evaluation/ranking-scores.ts';
import { describeWith } from '../describe-with.ts';
import { dataSet } from '../services.ts';

/**
 * Next click on Diginetica, the newest part of it, by the script that measures all of it: learn from sessions before the published cut, then play test
 * sessions click by click to a gateway, asking for 20 items before each click but the first. All of it takes much longer: docs/accuracy.md has the command.
 */
const SET = dataSet('diginetica_sessions/session_clicks.parquet');
const SCRIPT = fileURLToPath(new URL('../../dist/loadtests/accuracy/next-clicks.js', import.meta.url));
const FIRST_TEST_SESSION = 186_671;
const TRAIN_SESSIONS = 6_000;
/** Some 3,000 prefixes: HR is sure to about one point. */
const TEST_SESSIONS = 800;

/** As the mapping `diginetica` makes times of the order of sessions. */
const startOf = (session: number) => new Date(Date.UTC(2016, 0, 1) + session * 60_000).toISOString();

describeWith(SET, 'Diginetica sessions over the public API', () => {
  let result: ClicksResult;
  let alone: Readonly<Record<string, Means>>;

  beforeAll(async () => {
    const times = {
      '--learn-from': startOf(FIRST_TEST_SESSION - TRAIN_SESSIONS),
      '--from': startOf(FIRST_TEST_SESSION),
      '--until': startOf(FIRST_TEST_SESSION + TEST_SESSIONS),
    };
    const args = [SCRIPT, SET.path!, '--mapping', 'diginetica', ...Object.entries(times).flat(), '--json'];
    const { stdout } = await promisify(execFile)(process.execPath, args);
    result = JSON.parse(stdout) as ClicksResult;
    alone = result.evaluated.tasks.find(({ task }) => task === 'next in the visit')!.rankings;
  }, 1_200_000);

  test('every prefix of the test sessions is asked, and no answer is less than it can be', () => {
    expect(result.questions).toBe(result.evaluated.tasks.find(({ task }) => task === 'next in the visit')!.questions);
    expect(result.questions).toBe(3_426);
    expect(result.degraded).toEqual({});
  });

  test('neighbours and the sequence model together are better than either, over the API as in process', () => {
    const { pipeline, 'session neighbours': neighbours, 'next item': neural } = alone;
    const shown = Object.entries({ 'over the API': result.overHttp, pipeline: pipeline!, neighbours: neighbours!, neural: neural! })
      .map(([name, { hitRate, mrr }]) => `${name} ${(100 * hitRate).toFixed(2)} / ${(100 * mrr).toFixed(2)}`)
      .join('; ');
    console.log(`Diginetica, last ${TRAIN_SESSIONS} train sessions, ${result.questions} test prefixes, HR@20 / MRR@20: ${shown}`);
    for (const source of [neighbours!, neural!]) {
      expect(result.overHttp.hitRate).toBeGreaterThan(source.hitRate);
      expect(result.overHttp.mrr).toBeGreaterThan(source.mrr);
    }
    // The same models, states and questions; live popularity is told from the newest part of the journal where a gateway starts.
    expect(Math.abs(result.overHttp.hitRate - pipeline!.hitRate)).toBeLessThan(0.01);
  });

  test('what is shipped is the best on the validation period', () => {
    for (const name of ['session_neighbours', 'next_item', 'popularity'])
      expect(result.metrics['recommend_ndcg20_ranker']).toBeGreaterThanOrEqual(result.metrics[`recommend_ndcg20_${name}`]!);
  });
});
