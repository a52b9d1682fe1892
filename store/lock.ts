import { randomUUID } from 'node:crypto';
import { linkSync, readFileSync, readlinkSync, renameSync, statSync, unlinkSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { GatehouseError } from '../contracts/errors.ts';
import { makeFolder } from './folder.ts';

/** The holder touches its lock this often, so that a process in another container can tell that it lives. */
const HEARTBEAT_MS = 500;
/** A lock of another host or pid namespace that stays untouched this long has no holder: three missed heartbeats. */
const FOREIGN_STALE_MS = 1_500;
/** Two processes may find the same stale lock at once; each round one of them gets on. */
const TAKEOVER_TRIES_MAX = 5;
export const LOCK_FILE = 'gatehouse.lock';

interface Holder {
  readonly token: string;
  readonly pid: number;
  readonly started: string;
  readonly place: string;
}

export interface FolderLock {
  /** False once someone removed or replaced the lock file: the folder is then no longer ours to write. */
  held(): boolean;
  release(): void;
}

/**
 * Make `folder` if need be and lock it for this process. A lock left by a killed process is taken over: its pid is gone, or now
 * belongs to a process with another start time. Throws `store_locked`, or `data_dir_unwritable`.
 */
export async function lockFolder(folder: string): Promise<FolderLock> {
  const path = join(folder, LOCK_FILE);
  const me: Holder = { token: randomUUID(), pid: process.pid, started: startOf(process.pid) ?? '', place: place() };
  const mine = join(folder, `${LOCK_FILE}.${me.token}`);
  try {
    makeFolder(folder);
    writeFileSync(mine, JSON.stringify(me), { flag: 'wx' });
  } catch (cause) {
    throw new GatehouseError('data_dir_unwritable', `cannot write in ${folder}`, { cause });
  }
  try {
    for (let tries = 0; tries < TAKEOVER_TRIES_MAX; tries++) {
      if (tryLink(mine, path)) return hold(path, me.token);
      const holder = readHolder(path);
      if (holder === undefined) continue;
      if (await isAlive(holder, path)) {
        throw new GatehouseError('store_locked', `${folder} is in use by process ${holder.pid}`);
      }
      removeStale(path, holder.token, join(folder, `${LOCK_FILE}.stale.${me.token}`));
    }
    throw new GatehouseError('store_locked', `${folder} is being taken over by another process`);
  } finally {
    unlinkSync(mine);
  }
}

function hold(path: string, token: string): FolderLock {
  const ours = (): boolean => readHolder(path)?.token === token;
  let held = true;
  const heartbeat = setInterval(() => {
    held = held && ours();
    if (held) touch(path);
    else clearInterval(heartbeat);
  }, HEARTBEAT_MS);
  heartbeat.unref();
  return {
    held: () => held,
    release() {
      clearInterval(heartbeat);
      if (ours()) unlinkSync(path);
      held = false;
    },
  };
}

function touch(path: string): void {
  const now = Date.now() / 1000;
  try {
    utimesSync(path, now, now);
  } catch (error) {
    // Gone between the look and the touch: the next heartbeat sees it. Anything else is worth a stack trace.
    if (errno(error) !== 'ENOENT') throw error;
  }
}

/** Hard links are atomic everywhere Node runs, and the file is complete before its name appears. */
function tryLink(from: string, to: string): boolean {
  try {
    linkSync(from, to);
    return true;
  } catch (cause) {
    if (errno(cause) === 'EEXIST') return false;
    throw new GatehouseError('data_dir_unwritable', `cannot create ${to}`, { cause });
  }
}

/**
 * Move the stale lock aside. Another process may have done so and locked the folder since we looked: then what we moved is its lock,
 * which goes back under its name.
 */
function removeStale(path: string, token: string, aside: string): void {
  try {
    renameSync(path, aside);
  } catch (error) {
    if (errno(error) === 'ENOENT') return;
    throw error;
  }
  if (readHolder(aside)?.token !== token) tryLink(aside, path);
  unlinkSync(aside);
}

function readHolder(path: string): Holder | undefined {
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (error) {
    if (errno(error) === 'ENOENT') return undefined;
    throw error;
  }
  try {
    const holder = JSON.parse(text) as Partial<Holder>;
    return { token: holder.token ?? '', pid: holder.pid ?? 0, started: holder.started ?? '', place: holder.place ?? '' };
  } catch {
    // Not written by us, or torn by a power cut: nobody holds it.
    return { token: '', pid: 0, started: '', place: place() };
  }
}

async function isAlive(holder: Holder, path: string): Promise<boolean> {
  if (holder.place === place()) {
    return holder.pid > 0 && pidExists(holder.pid) && (startOf(holder.pid) ?? holder.started) === holder.started;
  }
  // Its pid means nothing here (another host or container): watch for a heartbeat instead.
  const before = touchedMs(path);
  await sleep(FOREIGN_STALE_MS);
  return touchedMs(path) !== before;
}

function touchedMs(path: string): number {
  return statSync(path, { throwIfNoEntry: false })?.mtimeMs ?? 0;
}

function pidExists(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return errno(error) === 'EPERM';
  }
}

/** Start time of a process in clock ticks since boot (field 22 of /proc/<pid>/stat); undefined where there is no /proc. */
function startOf(pid: number): string | undefined {
  const stat = readIfThere(`/proc/${pid}/stat`);
  // The second field is the command in brackets and may hold spaces and brackets itself: count from the last one.
  return stat?.slice(stat.lastIndexOf(')') + 2).split(' ')[19];
}

/** Processes with the same place share pids and start times. */
function place(): string {
  const boot = readIfThere('/proc/sys/kernel/random/boot_id')?.trim() ?? '';
  let namespace = '';
  try {
    namespace = readlinkSync('/proc/self/ns/pid');
  } catch {
    // No /proc: one namespace.
  }
  return `${boot} ${namespace}`;
}

function readIfThere(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return undefined;
  }
}

function errno(error: unknown): string | undefined {
  return error instanceof Error && 'code' in error ? String(error.code) : undefined;
}
