import { accessSync, constants, existsSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** The folder of real data sets that development machines have beside the project; nothing of it is part of the project. */
const DATA_FOLDER = fileURLToPath(new URL('../../shared/data/', import.meta.url));

/** Something that a suite needs and that not every machine has. */
export interface Need {
  readonly name: string;
  /** How to get it, for who reads that a suite was left out. */
  readonly how: string;
  /** Whether TEST_REQUIRE_SERVICES=1 turns its absence into a failure. Data sets can't be installed, so they never are. */
  readonly required: boolean;
  /** Where it is, or undefined where it is missing. */
  readonly path: string | undefined;
}

/** The first program on the PATH with one of these names. */
function program(...names: readonly string[]): string | undefined {
  const folders = (process.env['PATH'] ?? '').split(delimiter).filter((folder) => folder !== '');
  return names.flatMap((name) => folders.map((folder) => join(folder, name))).find(isExecutable);
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

export const REDIS: Need = { name: 'redis-server', how: 'apt-get install redis-server', required: true, path: program('redis-server') };

export const CHROMIUM: Need = {
  name: 'chromium',
  how: 'apt-get install chromium',
  required: true,
  path: program('chromium', 'chromium-browser', 'google-chrome'),
};

/** A real data set, named by its path in the folder of data sets. */
export function dataSet(file: string): Need {
  const path = `${DATA_FOLDER}${file}`;
  // One name for all of them, so that the end of a run tells of them in one place.
  return {
    name: 'real data set',
    how: 'development machines have them in ../shared/data',
    required: false,
    path: existsSync(path) ? path : undefined,
  };
}

/** Marks a suite that was left out by its name, which reaches every reporter; `global-setup.ts` reads it and says so at the end of the run. */
export function leftOutName(suite: string, need: Need): string {
  return `${suite} [left out: needs ${need.name} (${need.how})]`;
}
export const LEFT_OUT_NAME = /^(.*) \[left out: needs (.+)\]$/;
