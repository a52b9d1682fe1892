import type { Position, ServerFrame } from '../../contracts/push.ts';
import type { AlertRecord } from '../../store/contract.ts';

/** Records read at once during a replay: some 200 KB of JSON, well below the outbox limit. */
const REPLAY_PAGE = 200;

export interface AlertLog {
  position(): Promise<Position & { readonly first: number }>;
  read(after: number, limit: number): Promise<readonly AlertRecord[]>;
}

export interface SubscriptionHost {
  readonly log: AlertLog;
  /** The newest record that was published, and its epoch. */
  readonly newest: () => { readonly offset: number; readonly epoch: string | undefined };
  send(frame: ServerFrame): void;
  /** Sends one alert, already serialised for everyone. */
  deliver(record: AlertRecord, epoch: string): void;
  /** Resolves when the outbox has room for more, or false when the connection has gone. */
  room(): Promise<boolean>;
  onError(error: unknown): void;
}

/**
 * One subscription to the alerts log. It delivers every offset after its cursor, once and in order. While it is behind it reads the log; once it has
 * read up to the newest published record it is live and takes what is published. Whatever is published meanwhile is found in the log, because an
 * alert is durable before it is published:
 *
 *   subscribe(after 7)   log: 8 9 10        published while reading: 11
 *   reads 8 9 10, sees newest = 11 > 10, reads 11, newest = 11 = cursor -> live
 */
export class Subscription {
  readonly #host: SubscriptionHost;
  #cursor = 0;
  #epoch = '';
  #live = false;
  #closed = false;

  constructor(host: SubscriptionHost) {
    this.#host = host;
  }

  /** Answers `subscribed`, then replays and goes live. Rejects with the log's error. */
  async start(after: Position | undefined, id: number | undefined): Promise<void> {
    const position = await this.#host.log.position();
    if (this.#closed) return;
    const known = after !== undefined && after.epoch === position.epoch && after.offset >= position.first - 1 && after.offset <= position.offset;
    this.#cursor = known ? after.offset : position.offset;
    this.#epoch = position.epoch;
    this.#host.send({
      type: 'subscribed',
      ...(id === undefined ? {} : { id }),
      channel: 'alerts',
      offset: this.#cursor,
      epoch: this.#epoch,
      recovered: known || after === undefined,
    });
    await this.#catchUp();
  }

  publish(record: AlertRecord, epoch: string): void {
    if (!this.#live) return;
    if (epoch !== this.#epoch) {
      this.#restart();
      return;
    }
    if (record.offset <= this.#cursor) return;
    if (record.offset === this.#cursor + 1) {
      this.#cursor = record.offset;
      this.#host.deliver(record, epoch);
      return;
    }
    // A record was published out of order: the log has what is missing.
    this.#live = false;
    this.#catchUp().catch((error: unknown) => this.#host.onError(error));
  }

  close(): void {
    this.#closed = true;
    this.#live = false;
  }

  /** The log was started anew: say so and go on from where it stands. */
  #restart(): void {
    this.#live = false;
    this.start({ offset: this.#cursor, epoch: this.#epoch }, undefined).catch((error: unknown) => this.#host.onError(error));
  }

  async #catchUp(): Promise<void> {
    while (!this.#closed) {
      const records = await this.#host.log.read(this.#cursor, REPLAY_PAGE);
      if (this.#closed) return;
      for (const record of records) {
        if (record.offset !== this.#cursor + 1) {
          // Retention took what was to come: the client must know that there is a gap.
          this.#restart();
          return;
        }
        this.#cursor = record.offset;
        this.#host.deliver(record, this.#epoch);
      }
      const newest = this.#host.newest();
      if (newest.epoch !== undefined && newest.epoch !== this.#epoch) {
        this.#restart();
        return;
      }
      if (records.length < REPLAY_PAGE && newest.offset <= this.#cursor) {
        this.#live = true;
        return;
      }
      if (!(await this.#host.room())) return;
    }
  }
}
