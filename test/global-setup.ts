import type { TestProject } from 'vitest/node';
import { LEFT_OUT_NAME } from './services.ts';

/** Runs before all tests; what it returns runs after them, whichever reporters there are, and says which suites were left out and how to get them. */
export default function setup(project: TestProject): () => void {
  return () => {
    const suitesByNeed = new Map<string, string[]>();
    for (const module of project.vitest.state.getTestModules()) {
      for (const suite of module.children.allSuites()) {
        const [, name, need] = LEFT_OUT_NAME.exec(suite.name) ?? [];
        if (name === undefined || need === undefined) continue;
        suitesByNeed.set(need, [...(suitesByNeed.get(need) ?? []), `${module.relativeModuleId}: ${name}`]);
      }
    }
    for (const [need, suites] of suitesByNeed)
      process.stdout.write(`Left out, because there is no ${need}:\n${suites.map((suite) => `  ${suite}\n`).join('')}`);
    if (suitesByNeed.size > 0) process.stdout.write('With TEST_REQUIRE_SERVICES=1 a missing service fails the run instead.\n');
  };
}
