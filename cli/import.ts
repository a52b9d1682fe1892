import { Command } from 'commander';
import { GatehouseError } from '../contracts/errors.ts';
import type { TimedEvent } from '../contracts/event.ts';
import type { Item } from '../contracts/item.ts';
import { importFile } from '../training/sources/import.ts';
import { configOf, openShop, takeIn, terminalProgress } from './shared.ts';
import { abortOnStop } from './stop.ts';

const DAY_MS = 86_400_000;

interface Options {
  readonly mapping: string;
  readonly asOf?: string;
  readonly from?: string;
  readonly until?: string;
  readonly dataDir?: string;
}

/** `gatehouse import`: a table becomes events of the journal. */
export function importCommand(): Command {
  return new Command('import')
    .description('Import a Parquet or CSV file into the journal through a mapping file. A second import of the same file counts nothing twice')
    .argument('<path>', 'file or glob')
    .requiredOption('--mapping <mapping>', 'name of a shipped mapping, or a JSON file (see docs/import.md)')
    .option('--from <date>', 'only events from this time on (ISO 8601)')
    .option('--until <date>', 'only events before this time (ISO 8601)')
    .option('--as-of <date>', 'move all times by whole days so that this moment falls within the last 24 hours: an old data set becomes a recent one')
    .option('--data-dir <dir>', 'folder of the store and the bundles')
    .action(async (path: string, options: Options) => {
      const range = {
        ...(options.from === undefined ? {} : { fromMs: timeOf('--from', options.from) }),
        ...(options.until === undefined ? {} : { untilMs: timeOf('--until', options.until) }),
      };
      const shiftMs = options.asOf === undefined ? 0 : Math.floor((Date.now() - timeOf('--as-of', options.asOf)) / DAY_MS) * DAY_MS;
      const shop = await openShop(configOf(options.dataDir));
      const { signal, release } = abortOnStop();
      const notCounted = { duplicates: 0, conflicts: 0 };
      try {
        const report = await importFile({
          mapping: options.mapping,
          path,
          sink: async (events, items) => {
            const { duplicates, conflicts } = await takeIn(shop, moved(items, shiftMs), later(events, shiftMs), Date.now());
            notCounted.duplicates += duplicates;
            notCounted.conflicts += conflicts;
          },
          ...range,
          progress: terminalProgress(),
          signal,
        });
        await shop.store.flush();
        // Of an event whose id is known, the first one stands: its time too, when --as-of moves the file to another day.
        console.log(
          JSON.stringify(
            { ...report, known_before: notCounted.duplicates, known_with_other_content: notCounted.conflicts, shift_ms: shiftMs },
            null,
            2,
          ),
        );
      } finally {
        release();
        await shop.close();
      }
    });
}

function later(events: TimedEvent[], shiftMs: number): TimedEvent[] {
  return shiftMs === 0 ? events : events.map((event) => ({ ...event, timestamp_ms: event.timestamp_ms + shiftMs }));
}

function moved(items: Item[], shiftMs: number): Item[] {
  return shiftMs === 0 ? items : items.map((item) => (item.created_ms === undefined ? item : { ...item, created_ms: item.created_ms + shiftMs }));
}

const ISO_TIME = /^\d{4}-\d\d(-\d\d(T\d\d:\d\d(:\d\d(\.\d+)?)?(Z|[+-]\d\d:?\d\d)?)?)?$/;

/** Milliseconds of an ISO date; one without a zone is UTC. Throws `config_invalid`. */
export function timeOf(option: string, text: string): number {
  const zoned = /(?:Z|[+-]\d\d:?\d\d)$/.test(text) || !text.includes('T') ? text : `${text}Z`;
  const ms = Date.parse(zoned);
  // The pattern too: Date.parse takes a lone 5 for a month.
  if (!ISO_TIME.test(text) || Number.isNaN(ms)) throw new GatehouseError('config_invalid', `${option} ${text} is no ISO 8601 time`);
  return ms;
}
