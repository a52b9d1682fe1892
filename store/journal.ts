import { setImmediate as nextTurn } from 'node:timers/promises';
import { GatehouseError } from '../contracts/errors.ts';
import type { Fact } from '../contracts/fact.ts';
import type { LogPositions } from './batch.ts';
import type { JournalRecord, Store } from './contract.ts';
import type { Disk } from './disk.ts';
import { docKey, docPrefix } from './keys.ts';
import { decodeValue, unpackDoc } from './values.ts';

/** What reads the facts and documents of a store and changes nothing. */
export type JournalReader = Pick<Store<never>, 'bounds' | 'read' | 'doc' | 'docs' | 'close'>;

const READ_SLICE = 512;

/** A reader over the disk of an embedded store that another process may be writing: it sees what has been committed. Throws `store_incompatible`. */
export function openJournal(disk: Disk): JournalReader {
  const logs = (): LogPositions => {
    const bytes = disk.get('meta', 'logs');
    if (bytes === undefined) throw new GatehouseError('store_incompatible', 'the store has lost its own description');
    return decodeValue(bytes) as LogPositions;
  };
  logs();
  return {
    bounds: async () => {
      const { journalFirst, journalLast } = logs();
      return { first: journalFirst, last: journalLast };
    },
    async read(after, limit) {
      const out: JournalRecord[] = [];
      for (let start = Math.max(1, Math.floor(after) + 1); out.length < limit; ) {
        const rows = disk.range('journal', start, Math.min(READ_SLICE, limit - out.length));
        for (const { key, value } of rows) out.push({ offset: Number(key), fact: decodeValue(value) as Fact });
        const last = rows.at(-1);
        if (last === undefined) return out;
        start = Number(last.key) + 1;
        // A new turn is a new view of the disk: an old one would keep the writer from using its free pages again.
        await nextTurn();
      }
      return out;
    },
    doc: async (collection, id) => {
      const bytes = disk.get('docs', docKey(collection, id));
      return bytes && unpackDoc(bytes).value;
    },
    async *docs(collection) {
      const prefix = docPrefix(collection);
      for (let start = prefix; ; ) {
        const rows = disk.range('docs', start, READ_SLICE);
        for (const row of rows) {
          if (!String(row.key).startsWith(prefix)) return;
          yield unpackDoc(row.value);
        }
        const last = rows.at(-1);
        if (last === undefined) return;
        start = `${String(last.key)}\u0000`;
        await nextTurn();
      }
    },
    close: () => disk.close(),
  };
}
