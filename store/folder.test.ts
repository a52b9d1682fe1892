import { existsSync, mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { makeFolder } from './folder.ts';

test('makes what is missing and leaves what is there', () => {
  const root = mkdtempSync(join(tmpdir(), 'gatehouse-folder-'));
  try {
    const deep = join(root, 'a', 'b', 'c');
    makeFolder(deep);
    makeFolder(deep);
    expect(statSync(deep).isDirectory()).toBe(true);
    writeFileSync(join(root, 'file'), '');
    expect(() => makeFolder(join(root, 'file', 'below'))).toThrow('ENOTDIR');
  } finally {
    rmSync(root, { recursive: true, force: true });
  }
});

test.skipIf(!existsSync('/proc/self'))('gives up where nothing can be made (there is no /proc on this system)', () => {
  expect(() => makeFolder('/proc/gatehouse/store')).toThrow('ENOENT');
});
