import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join, normalize, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';
import { errorsMarkdown } from '../../contracts/errors.ts';
import { settingsMarkdown } from '../../gateway/config.ts';
import { metricsMarkdown } from '../../gateway/metrics.ts';
import { LONGEST_FILES } from '../sequencer.ts';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const ROOMS = [
  'cli',
  'client',
  'contracts',
  'dashboard',
  'gateway',
  'index',
  'loadtests',
  'scoring',
  'simulator',
  'store',
  'test',
  'training',
] as const;
type Room = (typeof ROOMS)[number];

/** Who may import whom, besides itself. Tests and `loadtests` may import everything. `docs/architecture.md` says why. */
const MAY_IMPORT: Readonly<Record<Room, readonly Room[] | 'all'>> = {
  contracts: [],
  store: ['contracts'],
  index: ['contracts'],
  scoring: ['contracts', 'store', 'index'],
  gateway: ['contracts', 'scoring', 'store', 'index'],
  training: ['contracts', 'scoring', 'store', 'index'],
  simulator: ['contracts', 'client'],
  client: ['contracts'],
  dashboard: ['contracts', 'client'],
  cli: 'all',
  loadtests: 'all',
  test: 'all',
};

/** The one file that may import each native addon, or library that stands for a whole room. */
const ADDONS: Readonly<Record<string, string>> = {
  'uWebSockets.js': 'gateway/transport/uws.ts',
  'uWebSockets.js-next': 'gateway/transport/uws.ts',
  'hnswlib-node': 'index/graph.ts',
  lmdb: 'store/lmdb.ts',
  redis: 'store/redis.ts',
  'onnxruntime-node': 'scoring/models/onnx.ts',
  '@duckdb/node-api': 'training/sources/duckdb.ts',
};

interface Source {
  readonly path: string;
  readonly room: Room;
  readonly isTest: boolean;
  readonly imports: readonly string[];
  readonly text: string;
}

const IMPORT =
  /(?:^|\n)\s*(?:import|export)\s[^'"`;]*?from\s+['"]([^'"]+)['"]|import\(\s*['"]([^'"]+)['"]\s*\)|(?:^|\n)import\s+['"]([^'"]+)['"]|new URL\(\s*['"]([^'"]+)['"]\s*,\s*import\.meta\.url/g;

function sources(): Source[] {
  const found: Source[] = [];
  for (const room of ROOMS) {
    if (!existsSync(join(ROOT, room))) continue;
    for (const entry of readdirSync(join(ROOT, room), { recursive: true, withFileTypes: true })) {
      if (!entry.isFile() || !/\.(ts|mjs)$/.test(entry.name)) continue;
      const path = relative(ROOT, join(entry.parentPath, entry.name));
      const text = readFileSync(join(ROOT, path), 'utf8');
      const imports = [...text.matchAll(IMPORT)].map((match) => match[1] ?? match[2] ?? match[3] ?? match[4] ?? '');
      found.push({ path, room, isTest: /\.(test|suite|testing)\.ts$/.test(path) || room === 'test', imports, text });
    }
  }
  return found;
}

const ALL = sources();

/** The source file that a relative import names, or undefined for a package or an asset. */
function resolve(from: Source, specifier: string): string | undefined {
  if (!specifier.startsWith('.')) return undefined;
  const path = normalize(join(dirname(from.path), specifier));
  for (const candidate of [path, path.replace(/\.js$/, '.ts'), path.replace(/^dist\/(.*)\.js$/, '$1.ts')]) {
    if (ALL.some((source) => source.path === candidate)) return candidate;
  }
  return undefined;
}

function roomOf(path: string): Room {
  return path.split('/', 1)[0] as Room;
}

describe('rooms', () => {
  test('import only the rooms that they may', () => {
    const wrong: string[] = [];
    for (const source of ALL) {
      const allowed = MAY_IMPORT[source.room];
      if (source.isTest || allowed === 'all') continue;
      for (const specifier of source.imports) {
        const target = resolve(source, specifier);
        if (target === undefined) continue;
        const room = roomOf(target);
        if (room !== source.room && !allowed.includes(room)) wrong.push(`${source.path} imports ${target}`);
        if (source.room === 'scoring' && (room === 'store' || room === 'index') && target !== `${room}/contract.ts`)
          wrong.push(`${source.path} imports ${target}`);
      }
    }
    expect(wrong).toEqual([]);
  });

  test('import each native addon in its one file', () => {
    const wrong: string[] = [];
    for (const source of ALL) {
      if (source.isTest) continue;
      for (const specifier of source.imports) {
        const home = ADDONS[specifier];
        if (home !== undefined && source.path !== home) wrong.push(`${source.path} imports ${specifier}`);
      }
    }
    expect(wrong).toEqual([]);
  });
});

test('the test files that begin first are there', () => {
  expect(LONGEST_FILES.filter((file) => !existsSync(join(ROOT, file)))).toEqual([]);
});

test('no file is dead: each is an entry, a test, or imported by another', () => {
  const imported = new Set<string>();
  for (const source of ALL) {
    for (const specifier of source.imports) {
      const target = resolve(source, specifier);
      if (target !== undefined) imported.add(target);
    }
  }
  const entries = [
    /^cli\/main\.ts$/,
    /^gateway\/probe-child\.ts$/,
    /^gateway\/rules\/backtest-child\.ts$/,
    /^dashboard\/(rules-|recommend-)?main\.ts$/,
    /^client\/index\.ts$/,
    /^loadtests\//,
    /^training\/evaluation\/protocols\//,
    /\.test\.ts$/,
    /^test\/.*child\.mjs$/,
    /^test\/global-setup\.ts$/,
  ];
  const dead = ALL.filter(({ path }) => !imported.has(path) && !entries.some((entry) => entry.test(path))).map(({ path }) => path);
  expect(dead).toEqual([]);
});

test('no file is too long to read', () => {
  const LINES_MAX = 500;
  const long = ALL.filter(({ text }) => text.split('\n').length > LINES_MAX).map(({ path }) => path);
  expect(long).toEqual([]);
});

describe('docs', () => {
  test.each([
    ['docs/errors.md', errorsMarkdown],
    ['docs/settings.md', settingsMarkdown],
    ['docs/metrics.md', metricsMarkdown],
  ])('%s is what the code says (npm run docs)', (path, markdown) => {
    expect(readFileSync(join(ROOT, path), 'utf8').endsWith(markdown())).toBe(true);
  });

  test('links lead somewhere', () => {
    const broken: string[] = [];
    for (const page of [
      'README.md',
      'CONTRIBUTING.md',
      'SECURITY.md',
      ...readdirSync(join(ROOT, 'docs'))
        .filter((name) => name.endsWith('.md'))
        .map((name) => `docs/${name}`),
    ]) {
      for (const [, link = ''] of readFileSync(join(ROOT, page), 'utf8').matchAll(/\]\((?!https?:|#)([^)#]+)/g)) {
        if (!existsSync(join(ROOT, dirname(page), link))) broken.push(`${page}: ${link}`);
      }
    }
    expect(broken).toEqual([]);
  });
});

test('package-lock.json names no registry', () => {
  const lock = readFileSync(join(ROOT, 'package-lock.json'), 'utf8');
  expect(lock.match(/"resolved"/g) ?? []).toEqual([]);
});
