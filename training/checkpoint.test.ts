import { mkdtemp, readdir, rm, truncate } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { Checkpoint, identityOf } from './checkpoint.ts';

const IDENTITY = identityOf(1, { a: 1 });
let dir: string;
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'gatehouse-checkpoint-'));
});
afterEach(() => rm(dir, { recursive: true, force: true }));

const VALUE = {
  text: 'ü',
  numbers: [0.1, -3, 2 ** 40],
  floats: Float32Array.of(1.5, Number.NaN),
  doubles: Float64Array.of(0.1),
  words: Uint32Array.of(4_000_000_000),
  ints: Int32Array.of(-7),
  bytes: Uint8Array.of(1, 2, 3),
  none: null,
};

test('a finished stage is made once, and comes back as it was', async () => {
  const first = await Checkpoint.open(dir, IDENTITY, 9, false);
  expect(await first.stage('one', async () => VALUE)).toBe(VALUE);
  const second = await Checkpoint.open(dir, IDENTITY, 9, true);
  const again = await second.stage('one', () => Promise.reject(new Error('made again')));
  expect(again).toEqual(VALUE);
  expect(await Checkpoint.stoppedAt(dir, IDENTITY)).toBe(9);
});

test('a stage that fails is not kept, and one that was cut off is made again', async () => {
  const checkpoint = await Checkpoint.open(dir, IDENTITY, 9, false);
  await expect(checkpoint.stage('one', () => Promise.reject(new Error('no')))).rejects.toThrow('no');
  await checkpoint.stage('one', async () => VALUE);
  const [file] = (await readdir(join(dir, '.training'))).filter((name) => name.startsWith('one'));
  await truncate(join(dir, '.training', file!), 10);
  expect(await checkpoint.stage('one', async () => 'new')).toBe('new');
});

test('a run that does not resume begins with nothing', async () => {
  const first = await Checkpoint.open(dir, IDENTITY, 9, false);
  await first.stage('one', async () => 1);
  const second = await Checkpoint.open(dir, IDENTITY, 12, false);
  expect(await second.stage('one', async () => 2)).toBe(2);
  expect(await Checkpoint.stoppedAt(dir, IDENTITY)).toBe(12);
});

test('another seed or other settings are another run', async () => {
  expect(await Checkpoint.stoppedAt(dir, IDENTITY)).toBeUndefined();
  await Checkpoint.open(dir, IDENTITY, 9, false);
  await expect(Checkpoint.stoppedAt(dir, identityOf(2, { a: 1 }))).rejects.toMatchObject({ code: 'config_invalid' });
  await expect(Checkpoint.stoppedAt(dir, identityOf(1, { a: 2 }))).rejects.toMatchObject({ code: 'config_invalid' });
});
