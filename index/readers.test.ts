import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { ProfileIndex } from './profiles.ts';
import { encodeProfiles } from './profiles-file.ts';
import { indexReaders } from './readers.ts';
import { SessionIndex } from './sessions.ts';
import { encodeSessions } from './sessions-file.ts';

let dir: string;
beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), 'gatehouse-readers-'));
});
afterAll(() => rm(dir, { recursive: true, force: true }));

const TABLE = { indptr: Uint32Array.of(0, 3, 5), items: Uint32Array.of(0, 1, 2, 0, 1), ids: ['a', 'b', 'c'] };

test('sessions are read and asked for what came next', async () => {
  await writeFile(join(dir, 'sessions.bin'), encodeSessions(new SessionIndex({ ...TABLE })));
  const sessions = await indexReaders.readSessions(dir, 'sessions.bin');
  expect(sessions.ids).toEqual(TABLE.ids);
  // b is clicked in every session, which says nothing; c in one of two.
  expect([...sessions.next([1]).items]).toEqual([2]);
  // What came after a, in both sessions b.
  const followers = await indexReaders.readSessions(dir, 'sessions.bin', 'followers');
  expect([...followers.next([0]).items]).toEqual([1, 2]);
});

test('profiles are read and asked', async () => {
  const columns = { values: new Float32Array(5).fill(1), votes: new Float32Array(5).fill(0.5) };
  await writeFile(join(dir, 'profiles.msgpack'), encodeProfiles(new ProfileIndex({ ...TABLE, ...columns })));
  const profiles = await indexReaders.readProfiles(dir, 'profiles.msgpack');
  expect([...profiles.alike([2], [1]).items].sort()).toEqual([0, 1, 2]);
});

test('a file of something else is refused', async () => {
  await writeFile(join(dir, 'other'), 'something else');
  const refused = { code: 'snapshot_corrupt' };
  await expect(indexReaders.readSessions(dir, 'other')).rejects.toMatchObject(refused);
  await expect(indexReaders.readProfiles(dir, 'other')).rejects.toMatchObject(refused);
});
