import { readFile } from 'node:fs/promises';
import { Command, Option } from 'commander';
import { GatehouseError } from '../contracts/errors.ts';
import { BACKTEST_TRANSACTIONS_DEFAULT, type BacktestResult, type BacktestRule, type Rule } from '../contracts/rules.ts';
import { openFeatures } from '../gateway/features-file.ts';
import { openJournalOf } from '../gateway/rules/journal.ts';
import { readRules } from '../gateway/rules/stored.ts';
import { readLists } from '../gateway/rules/stored-lists.ts';
import { runBacktest } from '../scoring/risk/backtest.ts';
import { RuleBook } from '../scoring/risk/rules.ts';
import type { JournalReader } from '../store/journal.ts';
import { timeOf } from './import.ts';
import { configOf, positiveNumber, terminalProgress } from './shared.ts';

interface Options {
  readonly dataDir?: string;
  readonly rulesFile?: string;
  readonly rule: readonly string[];
  readonly from?: string;
  readonly to?: string;
  readonly transactions: number;
  readonly lists: 'as_of' | 'now';
  readonly replay: boolean;
  readonly json?: boolean;
}

/** `gatehouse backtest`: runs rules over the journal, beside the gateway that has it, and says what each would have done. */
export function backtestCommand(): Command {
  return new Command('backtest')
    .description('Run rules over past payments through the engine that decides: hits, precision, recall, amount saved, customers hurt, overlap')
    .option('--rules-file <file>', 'rules to run; those of the store where left out')
    .option('--rule <id[@version]>', 'only this rule; may be given several times', (id: string, ids: readonly string[]) => [...ids, id], [])
    .option('--from <date>', 'payments from this time on')
    .option('--to <date>', 'and before this time')
    .option('--transactions <count>', 'at most so many, the newest', positiveNumber, BACKTEST_TRANSACTIONS_DEFAULT)
    .addOption(
      new Option('--lists <when>', 'as_of: an entry counts from when it was made; now: lists as they are').choices(['as_of', 'now']).default('as_of'),
    )
    .option('--no-replay', 'leave payments without a journalled vector out')
    .option('--json', 'print the result as JSON')
    .option('--data-dir <dir>', 'folder of the store')
    .action(async (options: Options) => {
      const config = configOf(options.dataDir);
      const store = await openJournalOf(config);
      try {
        const rules = chosen(await rulesOf(store, options.rulesFile), options.rule);
        const progress = terminalProgress().task('backtest', 'records');
        const result = await runBacktest({
          store,
          engine: await openFeatures(config.featuresFile),
          rules,
          lists: (await readLists(store)).lists,
          request: {
            ...(options.from === undefined ? {} : { from_ms: timeOf('--from', options.from) }),
            ...(options.to === undefined ? {} : { to_ms: timeOf('--to', options.to) }),
            transactions_max: options.transactions,
            lists: options.lists,
            replay: options.replay ? 'when_needed' : 'never',
          },
          now: Date.now,
          onProgress: (done, total) => progress.update(done, total),
        });
        progress.end();
        if (!result) throw new Error('nobody cancels this run');
        console.log(options.json ? JSON.stringify(result, null, 2) : reportOf(result));
      } finally {
        await store.close();
      }
    });
}

async function rulesOf(store: JournalReader, file: string | undefined): Promise<Rule[]> {
  if (file === undefined) return readRules(store);
  try {
    return RuleBook.parseFile(await readFile(file, 'utf8'));
  } catch (cause) {
    if (cause instanceof GatehouseError) throw cause;
    throw new GatehouseError('input_unreadable', `the rules file ${file} cannot be read`, { cause });
  }
}

/** The named versions; of a bare id, and where nothing is named, the newest that is not retired. */
function chosen(rules: readonly Rule[], names: readonly string[]): Rule[] {
  const newest = new Map<string, Rule>();
  for (const rule of rules) if (rule.state !== 'retired' && rule.version > (newest.get(rule.id)?.version ?? 0)) newest.set(rule.id, rule);
  if (names.length === 0) return [...newest.values()];
  return names.map((name) => {
    const rule = rules.find(({ id, version }) => `${id}@${version}` === name) ?? newest.get(name);
    if (!rule) throw new GatehouseError('rule_not_found', `there is no rule ${name}`);
    return rule;
  });
}

const percent = (share: number | null): string => (share === null ? '-' : `${(share * 100).toFixed(1)}%`);

function reportOf(result: BacktestResult): string {
  const { transactions, journalled, replayed, left_out, without_model, fraud, fraud_amount, duration_ms } = result;
  const rows = [
    ['rule', 'action', 'hits', 'fraud', 'precision', 'recall', 'saved', 'hurt', 'customers', 'alone', 'overlaps most with'],
    ...result.rules.map(rowOf),
  ];
  const widths = rows[0]!.map((_, column) => Math.max(...rows.map((row) => row[column]!.length)));
  return [
    `${transactions} payments in ${(duration_ms / 1000).toFixed(1)} s: ${journalled} judged on their journalled vectors, ${replayed} on replayed features, ${left_out} left out.`,
    `${fraud} are labelled fraud, of ${fraud_amount.toFixed(2)} in all. ${without_model} had no model's score: rules that read one cannot hit them.`,
    '',
    ...rows.map((row) =>
      row
        .map((cell, column) => (column < 2 || column === row.length - 1 ? cell.padEnd(widths[column]!) : cell.padStart(widths[column]!)))
        .join('  ')
        .trimEnd(),
    ),
  ].join('\n');
}

function rowOf(rule: BacktestRule): string[] {
  const [most] = rule.overlap;
  return [
    `${rule.id}@${rule.version}`,
    rule.action,
    String(rule.hits),
    String(rule.fraud_hits),
    percent(rule.precision),
    percent(rule.recall),
    rule.amount_saved.toFixed(2),
    rule.amount_hurt.toFixed(2),
    String(rule.customers_hurt),
    String(rule.hits_alone),
    most ? `${most.id}@${most.version} (${most.hits})` : '',
  ];
}
