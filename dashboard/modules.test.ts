import { readFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';

const ROOT = fileURLToPath(new URL('..', import.meta.url));
/** Imports that are left when types are gone. */
const IMPORTS = /^(?:import|export)\s+(?!type\b)(?:[\w\s{},*$]+\sfrom\s+)?['"]([^'"]+)['"]/gm;

test('the pages load without a bundler: every module that they reach is a file of ours, and few of them', () => {
  const files = ['main', 'rules-main', 'recommend-main'].map((page) => join(ROOT, `dashboard/${page}.ts`));
  const packages: string[] = [];
  for (const file of files) {
    for (const [, specifier = ''] of readFileSync(file, 'utf8').matchAll(IMPORTS)) {
      const target = join(dirname(file), specifier);
      if (!specifier.startsWith('.')) packages.push(`${relative(ROOT, file)} imports ${specifier}`);
      else if (!files.includes(target)) files.push(target);
    }
  }
  expect(packages).toEqual([]);
  const elsewhere = files.map((file) => relative(ROOT, file)).filter((file) => !file.startsWith('dashboard/'));
  expect(elsewhere.sort()).toEqual(['client/alert-stream.ts', 'client/backoff.ts', 'contracts/errors.ts']);
});
