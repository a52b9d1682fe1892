import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { RecommendResponse } from '../../contracts/recommend.ts';
import { mean, ndcgAt, recallAt } from '../../training/evaluation/metrics.ts';
import { describeWith } from '../describe-with.ts';
import { dataSet } from '../services.ts';
import { inParallel, runOk, type ServedGateway, serve } from './command-line.ts';
import { rowsOf } from './real-data.ts';

/** Next purchase on UCI Online Retail: learn from before the cut, recommend 20 items to each customer, compare with the 31 days behind it. */
const SET = dataSet('uci_online_retail/online_retail.parquet');
const DATA = SET.path;
const CUT = '2011-11-09';
const CLEAN = `FROM '${DATA}' WHERE customer_id IS NOT NULL AND invoice_no NOT LIKE 'C%' AND quantity > 0 AND unit_price > 0 AND regexp_matches(stock_code, '^[0-9]{5}[A-Za-z]*$')`;

describeWith(SET, 'Online Retail over the public API', () => {
  let dir: string;
  let gateway: ServedGateway;
  const wanted = new Map<string, Set<string>>();
  const bought = new Map<string, Set<string>>();
  let popular: string[];

  beforeAll(async () => {
    dir = await mkdtemp(join(tmpdir(), 'gatehouse-retail-'));
    const env = { GATEHOUSE_DATA_DIR: dir };
    await runOk(['import', DATA!, '--mapping', 'online-retail', '--until', CUT, '--as-of', CUT], env);
    await runOk(['train'], env);
    // The models are measured here, not the machine: a busy one must neither make the answers late nor shed them.
    gateway = await serve(dir, { GATEHOUSE_RECOMMEND_DEADLINE_MS: '10000', GATEHOUSE_EVENT_LOOP_DELAY_MAX_MS: '60000' });
    const lines = await rowsOf(`SELECT DISTINCT 'c' || customer_id, stock_code, invoice_date >= TIMESTAMP '${CUT}' ${CLEAN} ORDER BY 1, 2, 3`);
    for (const [user, item, isTest] of lines) {
      const sets = isTest ? wanted : bought;
      sets.set(String(user), (sets.get(String(user)) ?? new Set()).add(String(item)));
    }
    for (const user of wanted.keys()) if (!bought.has(user)) wanted.delete(user);
    const buyers = await rowsOf(
      `SELECT stock_code ${CLEAN} AND invoice_date < TIMESTAMP '${CUT}' AND invoice_date >= TIMESTAMP '${CUT}' - INTERVAL 30 DAY GROUP BY 1 ORDER BY count(DISTINCT customer_id) DESC, 1 LIMIT 400`,
    );
    popular = buyers.map(([item]) => String(item));
  }, 600_000);
  afterAll(async () => {
    await gateway?.stop();
    await rm(dir, { recursive: true, force: true });
  });

  test('the test users are those of the protocol', () => {
    expect(wanted.size).toBe(1395);
  });

  test('recommendations beat popularity clearly, with repurchases', async () => {
    const users = [...wanted.keys()];
    const answers = await inParallel(users, 8, (user_id) =>
      gateway.post<RecommendResponse>('/v1/recommend', { user_id, placement: 'again', limit: 20 }),
    );
    expect(answers.flatMap(({ degraded_by = [] }) => degraded_by)).toEqual([]);
    expect(answers.filter(({ items }) => items.length < 20)).toEqual([]);
    const scored = users.map((user, i) => ({ ranked: answers[i]!.items.map(({ item_id }) => item_id), goal: wanted.get(user)! }));
    const ours = {
      recall: mean(scored.map(({ ranked, goal }) => recallAt(20, ranked, goal))),
      ndcg: mean(scored.map(({ ranked, goal }) => ndcgAt(20, ranked, goal))),
    };
    const base = {
      recall: mean(scored.map(({ goal }) => recallAt(20, popular, goal))),
      ndcg: mean(scored.map(({ goal }) => ndcgAt(20, popular, goal))),
    };
    console.log(
      `Online Retail (a), ${users.length} users: Recall@20 ${ours.recall.toFixed(4)}, NDCG@20 ${ours.ndcg.toFixed(4)}; popularity of 30 days ${base.recall.toFixed(4)}, ${base.ndcg.toFixed(4)}; references: own items .3542/.3502, LightGBM re-ranker .3739/.3661`,
    );
    // The protocol's own figure for popularity: the ruler is right.
    expect(base.ndcg).toBeCloseTo(0.1364, 2);
    expect(ours.ndcg).toBeGreaterThan(2 * base.ndcg);
    expect(ours.recall).toBeGreaterThan(2 * base.recall);
  }, 120_000);

  test('items never bought before beat popularity, where repurchases are left out', async () => {
    const users = [...wanted.keys()].filter((user) => [...wanted.get(user)!].some((item) => !bought.get(user)!.has(item)));
    const answers = await inParallel(users, 8, (user_id) =>
      gateway.post<RecommendResponse>('/v1/recommend', { user_id, placement: 'again', limit: 20, exclude: [...bought.get(user_id)!].slice(0, 500) }),
    );
    const scored = users.map((user, i) => ({
      ranked: answers[i]!.items.map(({ item_id }) => item_id),
      goal: new Set([...wanted.get(user)!].filter((item) => !bought.get(user)!.has(item))),
      base: popular.filter((item) => !bought.get(user)!.has(item)),
    }));
    const ours = mean(scored.map(({ ranked, goal }) => ndcgAt(20, ranked, goal)));
    const base = mean(scored.map(({ goal, base: list }) => ndcgAt(20, list, goal)));
    console.log(
      `Online Retail (b), ${users.length} users: NDCG@20 ${ours.toFixed(4)}; popularity of 30 days ${base.toFixed(4)}; references: EASE .1043, LightGBM re-ranker .1494`,
    );
    expect(users.length).toBe(1294);
    // .1530 to .1565 with look-alikes and a ranker that learned without own purchases as well; without them it was .1347, just below this bound.
    expect(ours).toBeGreaterThan(1.6 * base);
  }, 120_000);
});
