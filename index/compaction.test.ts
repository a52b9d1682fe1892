import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { buildInChild, type CompactionOrder } from './compaction.ts';
import { settingsOf } from './hnsw.ts';

// What stands in for the child here says what a child may say; the real one is met in index/live.test.ts.

const ORDER: CompactionOrder = {
  dir: '.',
  name: 'index',
  metric: 'l2',
  dimensions: 1,
  slots: 1,
  shape: settingsOf({}),
  sphere: { radius: 0, spread: 1 },
};
const FILE = { name: 'index.hnsw', bytes: 1, sha256: '0'.repeat(64) };

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'gatehouse-compaction-'));
});
afterEach(() => rm(folder, { recursive: true }));

async function script(body: string): Promise<string> {
  const path = join(folder, 'child.mjs');
  await writeFile(path, `process.once('disconnect', () => process.exit(1));\nprocess.once('message', async () => {\n${body}\n});\n`);
  return path;
}

test('hears what the child says of its progress, and waits for its end', async () => {
  const child = await script(`
    for (let slots = 0; slots < 50; slots++) process.send({ slots });
    process.send({ file: ${JSON.stringify(FILE)} }, () => process.exit(0));`);
  await expect(buildInChild(ORDER, child).done).resolves.toEqual(FILE);
});

test('ends a child that says nothing any more', async () => {
  const child = await script('process.send({ slots: 0 });\nsetInterval(() => undefined, 1000);');
  await expect(buildInChild(ORDER, child, 300).done).rejects.toMatchObject({
    code: 'compaction_failed',
    detail: 'its process said nothing for 300 ms',
  });
});

test('tells how a child ended that died', async () => {
  const child = await script('process.kill(process.pid, "SIGKILL");');
  await expect(buildInChild(ORDER, child).done).rejects.toMatchObject({ code: 'compaction_failed', detail: 'its process ended with SIGKILL' });
});
