import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import type { RecommendResponse } from '../../contracts/recommend.ts';
import { readConfig } from '../../gateway/config.ts';
import { startGateway } from '../../gateway/main.ts';
import { DEFAULT_PLACEMENTS } from '../../scoring/recommend/placements.ts';
import type { PolicyEvaluation } from '../../training/index.ts';
import { KEYS, run, runOk } from './command-line.ts';

const ITEMS = Array.from({ length: 20 }, (_, i) => ({ item_id: `i${i}`, category: `c${i % 4}`, created_ms: 1_600_000_000_000 + i }));
const VISITORS = 80;
const LIMIT = 4;

test('from what a gateway has shown to what another form of the placement would have brought', async () => {
  const dir = await mkdtemp(join(tmpdir(), 'gatehouse-policy-'));
  const file = (name: string): string => join(dir, name);
  const exploration = { policy: 'epsilon_greedy', epsilon: 0.5, by: 'slot', among: 'all', slots: 12, pool: 20 } as const;
  await writeFile(file('placements.json'), JSON.stringify([{ ...DEFAULT_PLACEMENTS[0], limit: LIMIT, exploration }]));
  await writeFile(file('same.json'), '{}');
  await writeFile(file('varied.json'), JSON.stringify({ diversity: 0.9, exploration: { policy: 'none' } }));
  await writeFile(file('sources.json'), JSON.stringify({ sources: {} }));
  try {
    const patient = { eventLoopDelayMaxMs: 60_000, recommendDeadlineMs: 10_000, logLevel: 'silent' } as const;
    const overrides = { dataDir: dir, placementsFile: file('placements.json'), port: 0, controlPort: 0, secretKeys: [KEYS.secret] };
    const gateway = await startGateway(readConfig({}, { ...overrides, ...patient }));
    const ask = async <T>(method: string, path: string, body: unknown): Promise<T> => {
      const headers = { authorization: `Bearer ${KEYS.secret}`, 'content-type': 'application/json' };
      const response = await fetch(`http://127.0.0.1:${gateway.dataPort}${path}`, { method, headers, body: JSON.stringify(body) });
      expect(response.status).toBe(200);
      return (await response.json()) as T;
    };
    let clicks = 0;
    try {
      await ask('PUT', '/v1/items', { items: ITEMS });
      for (let n = 0; n < VISITORS; n++) {
        const { items, recommendation_id } = await ask<RecommendResponse>('POST', '/v1/recommend', { user_id: `u${n}` });
        // Everybody who sees an item of c1 clicks on it.
        const clicked = items.filter(({ item_id }) => Number(item_id.slice(1)) % 4 === 1);
        clicks += clicked.length;
        const event = { name: 'select_item', user_id: `u${n}`, recommendation_id };
        const events = clicked.map(({ item_id }) => ({ ...event, event_id: `${n}.${item_id}`, items: [{ item_id }] }));
        if (events.length > 0) await ask('POST', '/v1/events', { events });
      }
    } finally {
      await gateway.drain();
    }
    const env = { GATEHOUSE_PLACEMENTS_FILE: file('placements.json') };
    const evaluate = async (fields: string): Promise<PolicyEvaluation> =>
      JSON.parse((await runOk(['evaluate-policy', file(fields), '--data-dir', dir], env)).stdout) as PolicyEvaluation;
    const same = await evaluate('same.json');
    expect(same).toMatchObject({ recommendations: VISITORS, certain: 0, supportedShare: 1, effectivePlaces: VISITORS * LIMIT });
    expect(same.logged.value).toBeCloseTo(clicks / VISITORS, 12);
    expect(same.ips.value).toBeCloseTo(same.logged.value, 9);
    const varied = await evaluate('varied.json');
    expect(varied.supportedShare).toBe(1);
    expect(varied.effectivePlaces).toBeLessThan(VISITORS * LIMIT);
    const refused = await run(['evaluate-policy', file('sources.json'), '--data-dir', dir], env);
    expect([refused.status, refused.stdout]).toEqual([1, '']);
    expect(refused.stderr).toContain('what sources would change cannot be told from the log');
  } finally {
    await rm(dir, { recursive: true, force: true });
  }
}, 120_000);
