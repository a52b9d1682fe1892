import { relative } from 'node:path';
import { BaseSequencer, type TestSpecification } from 'vitest/node';

/**
 * The files that take longest on two quiet cores, the longest first: begun late, one of them would run alone at the end while the other worker has nothing to do.
 * `test/tidy` looks that they are there.
 */
export const LONGEST_FILES: readonly string[] = [
  'test/e2e/fraud.test.ts',
  'test/e2e/retail.test.ts',
  'test/e2e/commands.test.ts',
  'training/train.test.ts',
];

/**
 * Begins with the longest files; the others in vitest's own order, which knows how long they took the last time. Those that share a worker come last and together: it ends where
 * the next file wants one of its own.
 */
export class LongestFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const places = new Map(LONGEST_FILES.map((file, place) => [file, place]));
    const placeOf = ({ moduleId, project }: TestSpecification): number =>
      places.get(relative(project.config.root, moduleId)) ?? places.size + (project.config.isolate ? 0 : 1);
    return (await super.sort(files)).sort((a, b) => placeOf(a) - placeOf(b));
  }
}
