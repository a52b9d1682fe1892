import { execFile, spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { expect, test } from 'vitest';

// Guarantee 1 (2xx means durable) and 2 (idempotent): what was acknowledged survives kill -9, once.

const ROUNDS = 20;
const SEED = 20_240_607;
/** The child is killed this long after its store is open, at most: enough for a few dozen commits. */
const LIFE_MS_MAX = 250;
const CHILD = fileURLToPath(new URL('./kill9-child.mjs', import.meta.url));

interface Held {
  readonly numbers: number[];
  readonly bounds: { readonly first: number; readonly last: number };
  readonly duplicates: number;
  readonly counts: Record<string, number>;
}

/** Run the child from `start` on, kill it after `lifeMs`, and return what it acknowledged. */
async function runAndKill(path: string, start: number, lifeMs: number): Promise<number[]> {
  const child = spawn(process.execPath, [CHILD, path, String(start)], { stdio: ['ignore', 'pipe', 'pipe'] });
  let out = '';
  let errors = '';
  const closed = new Promise<NodeJS.Signals | null>((resolve) => child.once('close', (_code, signal) => resolve(signal)));
  child.stderr.on('data', (chunk: Buffer) => {
    errors += chunk.toString();
  });
  const opened = new Promise<void>((resolve) => {
    child.stdout.on('data', (chunk: Buffer) => {
      out += chunk.toString();
      if (out.startsWith('open\n')) resolve();
    });
  });
  await Promise.race([opened, closed]);
  await Promise.race([sleep(lifeMs), closed]);
  child.kill('SIGKILL');
  const signal = await closed;
  if (signal !== 'SIGKILL') throw new Error(`the child ended by itself: ${errors}`);
  // The last line may be cut short: a number without its newline may lack digits.
  return out
    .slice('open\n'.length, out.lastIndexOf('\n') + 1)
    .split('\n')
    .filter(Boolean)
    .map(Number);
}

async function check(path: string): Promise<Held> {
  const { stdout } = await promisify(execFile)(process.execPath, [CHILD, path, '0', 'check'], { maxBuffer: 64 * 1024 * 1024 });
  return JSON.parse(stdout) as Held;
}

function countOf(numbers: readonly number[], modulus: number, rest: number): number {
  return numbers.filter((n) => n % modulus === rest).length;
}

test(`the embedded store loses and doubles nothing over ${ROUNDS} kills`, { timeout: 60_000 }, async () => {
  const path = mkdtempSync(join(tmpdir(), 'gatehouse-kill9-'));
  try {
    const acknowledged: number[] = [];
    let held: Held = { numbers: [], bounds: { first: 1, last: 0 }, duplicates: 0, counts: {} };
    let start = 0;
    let random = SEED;
    for (let round = 0; round < ROUNDS; round++) {
      random = (random * 48_271) % 2_147_483_647;
      // Half of the rounds send again what earlier rounds sent, acknowledged or not.
      const from = round % 2 === 0 ? start : Math.max(0, start - 40);
      acknowledged.push(...(await runAndKill(path, from, random % LIFE_MS_MAX)));
      held = await check(path);
      const journalled = new Set(held.numbers);
      expect(held.numbers).toHaveLength(journalled.size);
      expect(acknowledged.filter((n) => !journalled.has(n))).toEqual([]);
      expect(held.bounds).toEqual({ first: 1, last: held.numbers.length });
      expect(held.duplicates).toBe(held.numbers.length);
      for (let rest = 0; rest < 5; rest++) expect(held.counts[`u${rest}`]).toBe(countOf(held.numbers, 5, rest));
      for (let rest = 0; rest < 3; rest++) expect(held.counts[`i${rest}`]).toBe(countOf(held.numbers, 3, rest));
      start = Math.max(start, ...held.numbers.slice(-1_000)) + 1;
    }
    expect(acknowledged.length).toBeGreaterThan(ROUNDS);
  } finally {
    rmSync(path, { recursive: true, force: true });
  }
});

test.skipIf(process.platform === 'win32')('the embedded store outlives a file that cannot grow, and keeps what it acknowledged', async () => {
  const path = mkdtempSync(join(tmpdir(), 'gatehouse-full-'));
  try {
    // A limit on the size of files stands in for a full disk: unlike one, it needs no rights. 8192 blocks of 512 bytes.
    const limited = `trap '' XFSZ; ulimit -f 8192; exec "$0" "$@"`;
    const { stdout } = await promisify(execFile)('/bin/sh', ['-c', limited, process.execPath, CHILD, path, '0', 'fill']);
    const filled = JSON.parse(stdout) as { codes: string[]; acknowledged: number; last: number; counted: number };
    expect(filled.codes.every((code) => code === 'store_full' || code === 'store_unavailable')).toBe(true);
    expect(filled.acknowledged).toBeGreaterThan(100);
    expect(filled.last).toBe(filled.acknowledged);
    expect(filled.counted).toBe(filled.acknowledged);
    const held = await check(path);
    expect(held.numbers).toHaveLength(filled.acknowledged);
    expect(Object.values(held.counts).reduce((sum, count) => sum + count, 0)).toBe(2 * filled.acknowledged);
  } finally {
    rmSync(path, { recursive: true, force: true });
  }
});
