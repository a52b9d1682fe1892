/**
 * Next clicks of a log of sessions through a trained bundle: HR, Recall, NDCG and MRR at 20 over HTTP, of the pipeline in process and of each source alone. Imports
 * what the log has before a time, trains a bundle, serves it, plays what came after to the gateway, and asks for 20 items before each click but a visit's first one.
 *
 *   npm run build && node dist/loadtests/accuracy/next-clicks.js --help
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Command } from 'commander';
import { tableOf, tablesOf } from '../../cli/evaluate.ts';
import { timeOf } from '../../cli/import.ts';
import { terminalProgress, wholeNumber } from '../../cli/shared.ts';
import { busyBefore, machine } from '../load/processes.ts';
import { type ClicksResult, measureNextClicks, type StageCost } from './clicks-run.ts';

interface Options {
  readonly mapping: string;
  readonly learnFrom?: string;
  readonly from: string;
  readonly until?: string;
  readonly dir?: string;
  readonly seed: number;
  readonly json?: boolean;
}

const GIB = 2 ** 30;

async function main(path: string, { mapping, learnFrom, from, until, dir, seed, json }: Options): Promise<void> {
  const folder = dir ?? (await mkdtemp(join(tmpdir(), 'gatehouse-clicks-')));
  const busy = busyBefore();
  try {
    const result = await measureNextClicks({
      path,
      mapping,
      ...(learnFrom !== undefined && { learnFromMs: timeOf('--learn-from', learnFrom) }),
      fromMs: timeOf('--from', from),
      ...(until !== undefined && { untilMs: timeOf('--until', until) }),
      dir: join(folder, 'shop'),
      seed,
      progress: terminalProgress(),
    });
    const text = json ? JSON.stringify(result, null, 2) : `${reportOf(result)}\n\n${machine()}; ${busy}\n${costsOf(result.stages)}`;
    process.stdout.write(`${text}\n`);
  } finally {
    if (dir === undefined) await rm(folder, { recursive: true, force: true });
  }
}

function reportOf({ version, questions, overHttp, degraded, evaluated }: ClicksResult): string {
  const reasons = Object.entries(degraded).map(([reason, count]) => `${reason} ${count}`);
  return [
    `bundle ${version}`,
    tablesOf(evaluated),
    '',
    ...tableOf('over HTTP', questions, { pipeline: overHttp }),
    `answers less than they can be: ${reasons.length === 0 ? 'none' : reasons.join(', ')}`,
  ].join('\n');
}

function costsOf(stages: readonly StageCost[]): string {
  const cell = (value: number, digits: number, unit: string): string => `${value.toFixed(digits)} ${unit}`.padStart(12);
  return stages
    .map(
      ({ stage, seconds, cpuSeconds, rssBytesMax }) =>
        `${stage.padEnd(26)}${cell(seconds, 0, 's')}${cell(cpuSeconds, 0, 's CPU')}${cell(rssBytesMax / GIB, 2, 'GiB')} at most so far`,
    )
    .join('\n');
}

const program = new Command('next-clicks')
  .description('Next clicks of a log of sessions through a trained bundle, over HTTP and in process')
  .argument('<path>', 'the log: a Parquet or CSV file')
  .requiredOption('--mapping <mapping>', 'name of a shipped mapping, or a JSON file')
  .requiredOption('--from <date>', 'what happened from this time on is asked for, and not learned from')
  .option('--learn-from <date>', 'only what happened from this time on is learned from')
  .option('--until <date>', 'only what happened before this time is asked for')
  .option('--dir <dir>', 'keep what was imported and trained here; the next run with it only measures')
  .option('--seed <seed>', 'of the training', wholeNumber, 1)
  .option('--json', 'print JSON instead of tables')
  .action(main);

await program.parseAsync();
