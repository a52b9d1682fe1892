import { spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { LOCK_FILE, lockFolder } from './lock.ts';

let folder = '';
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'gatehouse-lock-'));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

/** Leave the lock as another process would have. */
function leave(change: Record<string, unknown>): void {
  const path = join(folder, LOCK_FILE);
  writeFileSync(path, JSON.stringify({ ...JSON.parse(readFileSync(path, 'utf8')), token: 'other', ...change }));
}

async function pidOfTheDead(): Promise<number> {
  const child = spawn(process.execPath, ['-e', '0']);
  await new Promise((resolve) => child.once('exit', resolve));
  return child.pid ?? 0;
}

describe('the folder lock', () => {
  test('lets one in at a time, and the next after release', async () => {
    const lock = await lockFolder(folder);
    await expect(lockFolder(folder)).rejects.toMatchObject({ code: 'store_locked' });
    expect(lock.held()).toBe(true);
    lock.release();
    expect(lock.held()).toBe(false);
    (await lockFolder(folder)).release();
    expect(readdirSync(folder)).toEqual([]);
  });

  test('is taken over from a dead process, and from a living one that got its pid', async () => {
    await lockFolder(folder);
    leave({ pid: await pidOfTheDead() });
    await lockFolder(folder);
    leave({ started: '1' });
    (await lockFolder(folder)).release();
    expect(readdirSync(folder)).toEqual([]);
  });

  test('is taken over when the file is torn', async () => {
    writeFileSync(join(folder, LOCK_FILE), '{"pid":');
    (await lockFolder(folder)).release();
  });

  test('of another container is respected while its heartbeat goes on', async () => {
    await lockFolder(folder);
    leave({ place: 'elsewhere' });
    const heart = setInterval(() => utimesSync(join(folder, LOCK_FILE), new Date(), new Date()), 100);
    await expect(lockFolder(folder)).rejects.toMatchObject({ code: 'store_locked' });
    clearInterval(heart);
    (await lockFolder(folder)).release();
  });

  test('goes to one of many who find it stale', async () => {
    await lockFolder(folder);
    leave({ pid: await pidOfTheDead() });
    const results = await Promise.allSettled(Array.from({ length: 8 }, () => lockFolder(folder)));
    expect(results.filter((result) => result.status === 'fulfilled')).toHaveLength(1);
    expect(readdirSync(folder)).toEqual([LOCK_FILE]);
  });

  test('says when the folder cannot be written', async () => {
    writeFileSync(join(folder, 'file'), '');
    mkdirSync(join(folder, 'there'));
    await expect(lockFolder(join(folder, 'file', 'below'))).rejects.toMatchObject({ code: 'data_dir_unwritable' });
  });
});
