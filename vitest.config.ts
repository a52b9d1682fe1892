import { configDefaults, defineConfig } from 'vitest/config';
import { LongestFirst } from './test/sequencer.ts';

const testsOf = (...rooms: readonly string[]): string[] => rooms.map((room) => `${room}/**/*.test.ts`);

/** What takes minutes and shows more of what a quicker test shows already: `npm run test:long`. */
const LONG = '**/*.long.test.ts';

const EVERY = {
  // Two cores: more workers only make timing tests fight each other.
  maxWorkers: 2,
  pool: 'forks',
  testTimeout: 30_000,
  hookTimeout: 60_000,
} as const;

export default defineConfig({
  test: {
    ...EVERY,
    // Of the whole run: a project that extended this would have it again.
    globalSetup: './test/global-setup.ts',
    sequence: { sequencer: LongestFirst },
    projects: [
      {
        test: {
          ...EVERY,
          name: 'processes',
          include: testsOf('store', 'index', 'gateway', 'cli', 'training', 'simulator', 'loadtests', 'test'),
          exclude: [...configDefaults.exclude, LONG],
        },
      },
      { test: { ...EVERY, name: 'long', include: [LONG] } },
      // Pure code, and servers that a test starts itself: a file leaves nothing behind, so that files may share a worker and what it has loaded. It halves their time.
      { test: { ...EVERY, name: 'modules', include: testsOf('contracts', 'scoring', 'client', 'dashboard'), isolate: false } },
    ],
  },
});
