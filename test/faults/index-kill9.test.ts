import { execFile, spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { expect, test } from 'vitest';
import type { Neighbour } from '../../index/contract.ts';
import { createExactIndex } from '../../index/exact.ts';

// The files of a live index are derived data: whenever it is killed, they and the journal's vectors over them are the whole index again.

const CHILD = fileURLToPath(new URL('./index-kill9-child.mjs', import.meta.url));
/** What the child was about when it was killed: a compaction that had begun, one that had just ended, and again over what that left. */
const KILLED_AT = ['compacting', 'compacted', 'compacting', 'compacting', 'compacted', 'compacting'] as const;

interface Held {
  readonly slotsInFiles: number;
  readonly ids: string[];
  readonly live: [id: string, vector: number[]][];
  readonly queries: number[][];
  readonly found: Neighbour[][];
}

/** Runs the child until it says the word, and kills it then. */
async function runAndKill(path: string, word: string): Promise<void> {
  const child = spawn(process.execPath, [CHILD, path], { stdio: ['ignore', 'pipe', 'pipe'] });
  let out = '';
  let errors = '';
  child.stderr.on('data', (chunk: Buffer) => {
    errors += chunk.toString();
  });
  child.stdout.on('data', (chunk: Buffer) => {
    out += chunk.toString();
    if (out.split('\n').includes(word)) child.kill('SIGKILL');
  });
  const signal = await new Promise<NodeJS.Signals | null>((resolve) => child.once('close', (_code, by) => resolve(by)));
  if (signal !== 'SIGKILL') throw new Error(`the child ended by itself: ${errors}`);
}

async function check(path: string): Promise<Held> {
  const { stdout } = await promisify(execFile)(process.execPath, [CHILD, path, 'check'], { maxBuffer: 64 * 1024 * 1024 });
  return JSON.parse(stdout) as Held;
}

/** Folders of compactions that `current.json` does not name: those that the kill cut short. */
function cutShort(path: string): number {
  const dir = join(path, 'live');
  const names = readdirSync(dir);
  const current = names.includes('current.json')
    ? (JSON.parse(readFileSync(join(dir, 'current.json'), 'utf8')) as { folder: string }).folder
    : undefined;
  return names.filter((name) => name.startsWith('compacted-') && name !== current).length;
}

test('a live index that is killed while it compacts is whole again', { timeout: 120_000 }, async () => {
  const path = mkdtempSync(join(tmpdir(), 'gatehouse-index-kill9-'));
  try {
    let interrupted = 0;
    let isCompacted = false;
    for (const word of KILLED_AT) {
      await runAndKill(path, word);
      if (word === 'compacting') interrupted += cutShort(path);
      // A compaction that had begun may have ended before the kill came.
      isCompacted = existsSync(join(path, 'live', 'current.json'));
      const held = await check(path);
      expect(held.slotsInFiles > 0).toBe(isCompacted);
      expect(cutShort(path)).toBe(0);
      const oracle = createExactIndex({ dimensions: 4, metric: 'l2' });
      for (const [id, vector] of held.live) oracle.upsert(id, Float32Array.from(vector));
      expect(held.ids).toEqual([...oracle.ids()].sort());
      held.queries.forEach((query, i) => {
        expect(held.found[i]).toEqual(oracle.search(Float32Array.from(query), 400));
      });
    }
    expect(isCompacted).toBe(true);
    expect(interrupted).toBeGreaterThan(0);
  } finally {
    // The last kill's child may still be writing.
    rmSync(path, { recursive: true, maxRetries: 9 });
  }
});
