import { execFile } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { seededRandom } from '../../index/clustered.ts';
import type { ClicksResult } from './clicks-run.ts';

/** A gateway probes bundles in a compiled child, so this runs compiled as well. */
const SCRIPT = join(import.meta.dirname, '../../dist/loadtests/accuracy/next-clicks.js');
const START_MS = Date.UTC(2026, 0, 1);
const MINUTE_MS = 60_000;
const [ITEMS, VISITS, CUT_VISIT] = [40, 600, 560];
const CLICKS = 4;
const MAPPING = {
  format: 'gatehouse-mapping-1',
  name: 'ring',
  about: 'Visits that go round a ring of items.',
  streams: [
    {
      event: 'view_item',
      fields: { event_id: "visit || '-' || at_ms", timestamp_ms: 'at_ms', session_id: 'visit' },
      item: { item_id: 'item' },
    },
  ],
  items: { item_id: 'item', timestamp_ms: 'at_ms', created_ms: 'min(at_ms)' },
};

/** A visit a minute, each some steps along the ring; one begins before the cut and ends behind it, and one meets an item that is new then. */
function log(): string[] {
  const random = seededRandom(3);
  const lines = ['visit,item,at_ms'];
  const click = (visit: string, item: number | string, atMs: number) => lines.push(`${visit},i${item},${atMs}`);
  for (let visit = 0; visit < VISITS; visit++) {
    const first = Math.floor(random() * ITEMS);
    for (let n = 0; n < CLICKS; n++) click(`v${visit}`, (first + n) % ITEMS, START_MS + visit * MINUTE_MS + n * 1_000);
  }
  const cutMs = START_MS + CUT_VISIT * MINUTE_MS;
  for (const [n, atMs] of [cutMs - 500, cutMs + 500].entries()) click('across', n, atMs);
  for (const [n, item] of ['new', 1, 'new'].entries()) click('meets', item, cutMs + 30_000 + n * 1_000);
  return lines;
}

let dir: string;
let run: (...more: string[]) => Promise<ClicksResult>;

beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), 'gatehouse-next-clicks-'));
  await writeFile(join(dir, 'log.csv'), log().join('\n'));
  await writeFile(join(dir, 'ring.json'), JSON.stringify(MAPPING));
  run = async (...more) => {
    const from = new Date(START_MS + CUT_VISIT * MINUTE_MS).toISOString();
    const args = [SCRIPT, join(dir, 'log.csv'), '--mapping', join(dir, 'ring.json'), '--from', from, '--dir', dir, '--json', ...more];
    return JSON.parse((await promisify(execFile)(process.execPath, args)).stdout) as ClicksResult;
  };
});
afterAll(() => rm(dir, { recursive: true, force: true }));

test('every click but the first of a visit is asked for, over HTTP as in process, and a bundle that is there is measured again', async () => {
  const first = await run();
  const evaluated = first.evaluated.tasks.find(({ task }) => task === 'next in the visit')!;
  expect(first.questions).toBe((VISITS - CUT_VISIT) * (CLICKS - 1) + 1 + 2);
  expect(evaluated.questions).toBe(first.questions);
  expect(first.degraded).toEqual({});
  expect(first.overHttp.hitRate).toBeGreaterThan(0.9);
  expect(Math.abs(first.overHttp.mrr - evaluated.rankings['pipeline']!.mrr)).toBeLessThan(0.05);
  expect(first.stages.map(({ stage }) => stage)).toEqual(['import', 'train', 'read what is held out', 'over HTTP', 'in process']);

  const again = await run();
  expect(again.version).toBe(first.version);
  expect(again.overHttp).toEqual(first.overHttp);
  expect(again.stages.map(({ stage }) => stage)).not.toContain('train');

  const fewer = await run('--until', new Date(START_MS + (CUT_VISIT + 10) * MINUTE_MS).toISOString());
  expect(fewer.questions).toBe(10 * (CLICKS - 1) + 1 + 2);
}, 120_000);
