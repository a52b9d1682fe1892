import { defineConfig } from 'vitest/config';
import { LongestFirst } from './test/sequencer.ts';

export default defineConfig({
  test: {
    include: ['{contracts,store,index,scoring,gateway,training,simulator,client,dashboard,loadtests,test}/**/*.test.ts'],
    globalSetup: './test/global-setup.ts',
    // Two cores: more workers only make timing tests fight each other.
    maxWorkers: 2,
    sequence: { sequencer: LongestFirst },
    pool: 'forks',
    testTimeout: 30_000,
    hookTimeout: 60_000,
  },
});
