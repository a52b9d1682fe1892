import { setTimeout as sleep } from 'node:timers/promises';
import type { Fact } from '../contracts/fact.ts';
import type { Alert } from '../contracts/push.ts';
import type { AlertRecord, JournalRecord } from './contract.ts';
import { type RedisKeys, type RedisLink, toNumber } from './redis-link.ts';
import { type LogRecord, RedisLog } from './redis-log.ts';
import { decodeValue } from './values.ts';

/** One read waits this long for something new. Shorter than the limit on a call of its connection. */
const BLOCK_MS = 1_000;
/** Records of one read: about 2 ms to decode. */
const READ_RECORDS_MAX = 500;
/** Pause after a failed read, so that a missing Redis costs nothing. */
const RETRY_MS = 100;

export interface ReaderHooks {
  alert(record: AlertRecord, epoch: string): void;
  fact(record: JournalRecord): void;
  /** True while someone wants foreign facts; they are not decoded otherwise. */
  wantsFacts(): boolean;
}

/**
 * The epoch of the alerts log, made if there is none. `candidate` is what it becomes then.
 */
export async function ensureEpoch(link: RedisLink, keys: RedisKeys, candidate: string): Promise<string> {
  const old = await link.call('SET', keys.epoch, candidate, 'NX', 'GET');
  return old === null ? candidate : String(old);
}

/** Follows both logs on a connection of its own and tells every record once, in order, wherever it was written. */
export class RedisReader {
  readonly #link: RedisLink;
  readonly #keys: RedisKeys;
  readonly #origin: string;
  readonly #newEpoch: () => string;
  readonly #hooks: ReaderHooks;
  readonly #alerts: RedisLog;
  readonly #journal: RedisLog;
  #alertsAt = 0;
  #journalAt = 0;
  #epoch = '';
  #stopped = false;
  #loop: Promise<void> = Promise.resolve();
  readonly counters = { reader_failures: 0, alert_gaps: 0, epochs_started: 0 };

  constructor(link: RedisLink, keys: RedisKeys, origin: string, newEpoch: () => string, hooks: ReaderHooks) {
    this.#link = link;
    this.#keys = keys;
    this.#origin = origin;
    this.#newEpoch = newEpoch;
    this.#hooks = hooks;
    this.#alerts = new RedisLog(link, keys.alerts);
    this.#journal = new RedisLog(link, keys.journal);
  }

  /** Take the present ends of the logs as the start. */
  async start(): Promise<void> {
    await this.#synchronise();
    this.#loop = this.#follow();
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    this.#link.close();
    await this.#loop;
  }

  async #follow(): Promise<void> {
    let lost = false;
    while (!this.#stopped) {
      try {
        if (lost) await this.#synchronise();
        lost = false;
        await this.#readOnce();
      } catch {
        if (this.#stopped) return;
        lost = true;
        this.counters.reader_failures++;
        await sleep(RETRY_MS);
      }
    }
  }

  /**
   * Find out where the logs stand. After a crash Redis may have lost the newest alerts (as its appendfsync allows) or everything: offsets
   * that we told would then be given to other alerts, so the log is declared a new one. Clients see the new epoch and don't trust theirs.
   */
  async #synchronise(): Promise<void> {
    const [epoch, alerts, journal] = await Promise.all([
      ensureEpoch(this.#link, this.#keys, this.#newEpoch()),
      this.#link.call('GET', this.#keys.alerts.counter),
      this.#link.call('GET', this.#keys.journal.counter),
    ]);
    const alertsEnd = toNumber(alerts) ?? 0;
    const journalEnd = toNumber(journal) ?? 0;
    if (this.#epoch === '') {
      this.#alertsAt = alertsEnd;
      this.#journalAt = journalEnd;
      this.#epoch = epoch;
      return;
    }
    if (epoch !== this.#epoch) {
      this.#alertsAt = 0;
      this.#epoch = epoch;
    } else if (alertsEnd < this.#alertsAt) {
      this.#alertsAt = alertsEnd;
      this.#epoch = this.#newEpoch();
      this.counters.epochs_started++;
      await this.#link.call('SET', this.#keys.epoch, this.#epoch);
    }
    this.#journalAt = Math.min(this.#journalAt, journalEnd);
  }

  async #readOnce(): Promise<void> {
    const { alerts, journal } = this.#keys;
    const args = [
      'COUNT',
      String(READ_RECORDS_MAX),
      'BLOCK',
      String(BLOCK_MS),
      'STREAMS',
      alerts.stream,
      journal.stream,
      `${this.#alertsAt}-0`,
      `${this.#journalAt}-0`,
    ];
    const reply = (await this.#link.call('XREAD', ...args)) as [Buffer, unknown][] | null;
    for (const [name, records] of reply ?? []) {
      if (String(name) === alerts.stream) await this.#takeAlerts(this.#alerts.records(records));
      else await this.#takeFacts(this.#journal.records(records));
    }
  }

  async #takeAlerts(records: readonly LogRecord[]): Promise<void> {
    for (const { offset, bytes } of await withMoved(this.#alerts, this.#alertsAt, records)) {
      // Trimmed before we came to it; who needs it finds `first` past its position.
      if (offset !== this.#alertsAt + 1) this.counters.alert_gaps++;
      this.#alertsAt = offset;
      this.#hooks.alert({ offset, alert: decodeValue(bytes) as Alert }, this.#epoch);
    }
  }

  async #takeFacts(records: readonly LogRecord[]): Promise<void> {
    const wanted = this.#hooks.wantsFacts();
    for (const { offset, bytes, origin } of await withMoved(this.#journal, this.#journalAt, records)) {
      this.#journalAt = offset;
      if (wanted && origin !== this.#origin) this.#hooks.fact({ offset, fact: decodeValue(bytes) as Fact });
    }
  }
}

/** Records of the stream behind `at`, and between them those that an erasure moved before they were read here. */
async function withMoved(log: RedisLog, at: number, records: readonly LogRecord[]): Promise<readonly LogRecord[]> {
  const last = records.at(-1);
  if (last === undefined || last.offset - at === records.length) return records;
  const moved = await log.moved(at + 1, last.offset);
  return [...records, ...moved].sort((a, b) => a.offset - b.offset);
}
