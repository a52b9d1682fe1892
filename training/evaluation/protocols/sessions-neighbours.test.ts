import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { S_KNN, V_STAN } from '../../../index/sessions.ts';
import { chooseParams, indexSessions, measureNextClick, readClicks } from './sessions-neighbours.ts';

test('reads sessions in order and measures what can be counted by hand', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'gatehouse-test-'));
  try {
    const path = join(folder, 'clicks.csv');
    const sessions = {
      train: [
        [10, 9],
        [10, 9, 7],
        [7, 8],
      ],
      test: [
        [10, 9, 99],
        [99, 7, 8],
      ],
    };
    const lines = [...sessions.train, ...sessions.test].flatMap((clicks, session) =>
      clicks.map((item, position) => `${session},${position},${item},${session < 3 ? 'train' : 'test'}`),
    );
    writeFileSync(path, ['session_id,position,item_id,split', ...lines.reverse()].join('\n'));
    const data = await readClicks(path);
    expect(data.ids).toEqual(['7', '8', '9', '10']);
    expect(data.train.map((clicks) => [...clicks])).toEqual([
      [3, 2],
      [3, 2, 0],
      [0, 1],
    ]);
    // Item 99 is of no train session.
    expect(data.test.map((clicks) => [...clicks])).toEqual([
      [3, 2, 4],
      [4, 0, 1],
    ]);
    // After 10: 9 first (two sessions); then 99, a miss; after 99 nothing is found, a miss; after 7: 8 of the shorter session first.
    const scores = measureNextClick(indexSessions(data.train, data.ids), data.test, { ...S_KNN, matchShare: 0 });
    expect(scores).toMatchObject({ prefixes: 4, hr: 50, mrr: 50 });
  } finally {
    rmSync(folder, { recursive: true });
  }
});

test('chooses what is better on sessions held out of train', () => {
  // Each session stays with its item. Without neighbours nothing is found.
  const train = Array.from({ length: 40 }, (_, session) => Uint32Array.of(session % 4, session % 4, session % 4));
  const lines: string[] = [];
  const ids = ['a', 'b', 'c', 'd', 'e'];
  const chosen = chooseParams({ train: [...train, ...train], test: [], ids }, [{ ...V_STAN, k: 0 }, V_STAN], 40, (line) => lines.push(line));
  expect(chosen).toBe(V_STAN);
  expect(lines).toHaveLength(2);
});

test('says so when the data are absent', async () => {
  await expect(readClicks(join(tmpdir(), 'gatehouse-no-such-file.parquet'))).rejects.toMatchObject({ code: 'input_unreadable' });
});
