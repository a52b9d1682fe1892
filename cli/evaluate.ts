import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Command } from 'commander';
import { evaluateHeldOut, type HoldOutResult, journalSource, SESSION_DEFAULTS, type TaskResult } from '../training/index.ts';
import { timeOf } from './import.ts';
import { configOf, openShop, terminalProgress, wholeNumber } from './shared.ts';
import { abortOnStop } from './stop.ts';

interface Options {
  readonly dataDir?: string;
  readonly from?: string;
  readonly bundle?: string;
  readonly seed: number;
  readonly questions?: number;
  readonly json?: boolean;
  readonly sessionNeighbours: boolean;
  readonly nextItem: boolean;
}

/** `gatehouse evaluate`: what recommendations would have been worth on the newest part of the journal. */
export function evaluateCommand(): Command {
  return new Command('evaluate')
    .description('Train on the older part of the journal and measure recommendations on the newer one; the active bundle stays as it is')
    .option('--data-dir <dir>', 'folder of the store')
    .option('--from <date>', 'hold out what happened from this time on (ISO 8601); by default the newest sixth, a month at the most')
    .option('--bundle <folder>', 'measure this bundle instead of training one; what it was trained on is not asked about')
    .option('--seed <seed>', 'same seed and data, same figures', wholeNumber, 1)
    .option('--questions <count>', 'questions asked a task, at most', wholeNumber)
    .option('--no-session-neighbours', 'as for train')
    .option('--no-next-item', 'as for train')
    .option('--json', 'print JSON instead of tables')
    .action(async (options: Options) => {
      const config = configOf(options.dataDir);
      const shop = await openShop(config);
      const outDir = await mkdtemp(join(tmpdir(), 'gatehouse-evaluate-'));
      const { signal, release } = abortOnStop();
      try {
        const result = await evaluateHeldOut({
          facts: await journalSource(shop.store),
          engine: shop.engine,
          outDir,
          seed: options.seed,
          params: { retrieval: { sessions: { ...SESSION_DEFAULTS, neighbours: options.sessionNeighbours, nextItem: options.nextItem } } },
          ...(options.bundle === undefined ? {} : { bundleDir: options.bundle }),
          ...(options.from === undefined ? {} : { fromMs: timeOf('--from', options.from) }),
          ...(options.questions === undefined ? {} : { questionsMax: options.questions }),
          progress: terminalProgress(),
          now: Date.now,
          signal,
        });
        console.log(options.json ? JSON.stringify(result, null, 2) : tablesOf(result));
      } finally {
        release();
        await rm(outDir, { recursive: true, force: true });
        await shop.close();
      }
    });
}

/** What was measured, a table a task. */
export function tablesOf({ fromMs, untilMs, tasks, skipped }: HoldOutResult): string {
  const lines = [`held out: ${new Date(fromMs).toISOString()} to ${new Date(untilMs).toISOString()}`];
  for (const { task, questions, rankings } of tasks) lines.push('', ...tableOf(task, questions, rankings));
  for (const [model, reason] of Object.entries(skipped)) lines.push('', `without ${model}: ${reason}`);
  return lines.join('\n');
}

/** The lines of one table. */
export function tableOf(title: string, questions: number, rankings: TaskResult['rankings']): string[] {
  const lines = [
    `${title}, ${questions} questions`.padEnd(44) + ['HR@20', 'Recall@20', 'NDCG@20', 'MRR@20'].map((name) => name.padStart(11)).join(''),
  ];
  for (const [name, { hitRate, recall, ndcg, mrr }] of Object.entries(rankings)) {
    // A source that the bundle has not, or that has nothing to say here.
    if (hitRate === 0 && name !== 'pipeline') continue;
    lines.push(`  ${name}`.padEnd(44) + [hitRate, recall, ndcg, mrr].map((value) => value.toFixed(4).padStart(11)).join(''));
  }
  return lines;
}
