import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { TrafficResponse } from '../../contracts/control.ts';
import { type StartedDemo, startDemo } from './command-line.ts';

/** A shop small enough for a test; everything else is the demo as `npm start` runs it. */
const SIZE = ['--users', '150', '--items', '120', '--days', '40'];
const POLL_MS = 200;

let dir: string;
let demo: StartedDemo;

beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), 'gatehouse-demo-'));
  demo = await startDemo(dir, SIZE);
}, 240_000);
afterAll(async () => {
  await demo?.stop();
  await rm(dir, { recursive: true, force: true });
});

/** Sends what a printed curl line sends. */
async function tryLine(line: string): Promise<{ status: number; body: Record<string, unknown> }> {
  const [, url] = /curl -s (\S+)/.exec(line)!;
  const headers = Object.fromEntries([...line.matchAll(/-H '([^:]+): ([^']+)'/g)].map(([, name, value]) => [name!, value!]));
  const [, body] = /-d '([^']+)'/.exec(line)!;
  const response = await fetch(url!, { method: 'POST', headers, body: body! });
  return { status: response.status, body: (await response.json()) as Record<string, unknown> };
}

describe('the demo', () => {
  test('prints its addresses and three lines to try, which work', async () => {
    expect(demo.lines).toHaveLength(3);
    const answers = [];
    for (const line of demo.lines) answers.push(await tryLine(line));
    expect(answers.map(({ status }) => status)).toEqual([200, 200, 200]);
    const [recommended, scored, taken] = answers;
    expect((recommended!.body['items'] as unknown[]).length).toBe(5);
    expect(recommended!.body['bundle']).toEqual(expect.any(String));
    expect(scored!.body).toMatchObject({ transaction_id: 'try-1', decision: expect.any(String) });
    expect(taken!.body).toEqual({ accepted: 1, duplicates: 0 });
  });

  test('has traffic of its own, through the public API', async () => {
    for (;;) {
      const response = await fetch(`${demo.controlUrl}/v1/traffic`, { headers: { authorization: `Bearer ${demo.adminToken}` } });
      const { routes } = (await response.json()) as TrafficResponse;
      const busy = routes.filter(({ per_s }) => per_s > 0).map(({ route }) => route);
      if (['events', 'recommend'].every((route) => busy.includes(route))) break;
      await new Promise((resolve) => setTimeout(resolve, POLL_MS));
    }
  }, 60_000);

  test('has a dashboard, a reference and metrics', async () => {
    for (const [path, text] of [
      ['/', '<title>'],
      ['/docs', '/v1/recommend'],
      ['/metrics', 'gatehouse_'],
    ] as const) {
      const response = await fetch(`${demo.controlUrl}${path}`);
      expect([response.status, (await response.text()).includes(text)]).toEqual([200, true]);
    }
  });

  test('ends with 0 when it is told to, and its second start makes nothing anew', async () => {
    expect(await demo.stop()).toBe(0);
    const startedMs = performance.now();
    demo = await startDemo(dir, SIZE);
    const seconds = (performance.now() - startedMs) / 1000;
    console.log(`second start of the demo: ready after ${seconds.toFixed(1)} s`);
    expect(demo.text.stdout).not.toContain('First start');
    expect(seconds).toBeLessThan(10);
  }, 60_000);
});
