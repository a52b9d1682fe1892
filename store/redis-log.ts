import { type LogKeys, type RedisLink, toNumber, toStreamRecords } from './redis-link.ts';

/** Records asked for in one command: Redis is held for under 1 ms. */
const READ_SLICE = 512;
/** Records trimmed by one call; the next goes on. */
const TRIM_RECORDS_MAX = 100_000;

export interface LogRecord {
  readonly offset: number;
  readonly bytes: Buffer;
  /** The process that wrote it, where the log says so. */
  readonly origin: string;
}

/** A log in Redis: a stream, and beside it what an erasure moved out of it (`lua/erase.lua`). */
export class RedisLog {
  readonly #link: RedisLink;
  readonly #keys: LogKeys;

  constructor(link: RedisLink, keys: LogKeys) {
    this.#link = link;
    this.#keys = keys;
  }

  /** Records with offset > `after`, oldest first, at most `limit`. */
  async read(after: number, limit: number): Promise<LogRecord[]> {
    const out: LogRecord[] = [];
    for (let start = Math.max(0, Math.floor(after)) + 1; out.length < limit; ) {
      const slice = Math.min(READ_SLICE, limit - out.length);
      // The stream first: what is moved in between is seen twice, and not missed.
      const [stream, moved] = await Promise.all([
        this.#link.call('XRANGE', this.#keys.stream, `${start}-0`, '+', 'COUNT', String(slice)),
        this.#link.call('ZRANGEBYSCORE', this.#keys.moved, String(start), '+inf', 'LIMIT', '0', String(slice)),
      ]);
      const records = merged(this.records(stream), movedRecords(moved)).slice(0, slice);
      out.push(...records);
      if (records.length < slice) break;
      start = records.at(-1)!.offset + 1;
    }
    return out;
  }

  /** Of the records from `first` to `last`, both included, those that were moved: what a reader of the stream alone has missed. */
  async moved(first: number, last: number): Promise<LogRecord[]> {
    const out: LogRecord[] = [];
    for (let start = first; start <= last; start = out.at(-1)!.offset + 1) {
      const page = movedRecords(
        await this.#link.call('ZRANGEBYSCORE', this.#keys.moved, String(start), String(last), 'LIMIT', '0', String(READ_SLICE)),
      );
      out.push(...page);
      if (page.length < READ_SLICE) break;
    }
    return out;
  }

  /** What a reply about the stream holds. */
  records(reply: unknown): LogRecord[] {
    return toStreamRecords(reply).flatMap(({ offset, fields }) => {
      const bytes = fields.get(this.#keys.field);
      return bytes ? [{ offset, bytes, origin: String(fields.get('s') ?? '') }] : [];
    });
  }

  async ends(): Promise<{ readonly first: number; readonly last: number }> {
    const [end, oldest, moved] = await Promise.all([
      this.#link.call('GET', this.#keys.counter),
      this.#link.call('XRANGE', this.#keys.stream, '-', '+', 'COUNT', '1'),
      this.#link.call('ZRANGE', this.#keys.moved, '0', '0'),
    ]);
    const last = toNumber(end) ?? 0;
    const firsts = [...toStreamRecords(oldest), ...movedRecords(moved)].map(({ offset }) => offset);
    return { first: Math.min(last + 1, ...firsts), last };
  }

  /** Keeps the newest records, some steps at a time; returns how many went. */
  async trim(recordsMax: number): Promise<number> {
    const { first, last } = await this.ends();
    const firstKept = Math.min(last - recordsMax + 1, first + TRIM_RECORDS_MAX);
    if (firstKept <= first) return 0;
    const gone = await Promise.all([
      this.#link.call('XTRIM', this.#keys.stream, 'MINID', `${firstKept}-0`),
      this.#link.call('ZREMRANGEBYSCORE', this.#keys.moved, '-inf', `(${firstKept}`),
    ]);
    return gone.reduce((sum: number, count) => sum + (toNumber(count) ?? 0), 0);
  }

  async size(): Promise<number> {
    const counts = await Promise.all([this.#link.call('XLEN', this.#keys.stream), this.#link.call('ZCARD', this.#keys.moved)]);
    return counts.reduce((sum: number, count) => sum + (toNumber(count) ?? 0), 0);
  }
}

/** `offset:kind:origin:bytes`, as `lua/erase.lua` writes them. */
function movedRecords(reply: unknown): LogRecord[] {
  return (reply as Buffer[]).map((member) => {
    const kindAt = member.indexOf(':') + 1;
    const originAt = member.indexOf(':', kindAt) + 1;
    const bytesAt = member.indexOf(':', originAt) + 1;
    return {
      offset: Number(member.toString('latin1', 0, kindAt - 1)),
      bytes: member.subarray(bytesAt),
      origin: member.toString('latin1', originAt, bytesAt - 1),
    };
  });
}

/** Both in order, each offset once, as it was moved. */
function merged(stream: readonly LogRecord[], moved: readonly LogRecord[]): readonly LogRecord[] {
  if (moved.length === 0) return stream;
  const seen = new Set(moved.map(({ offset }) => offset));
  return [...stream.filter(({ offset }) => !seen.has(offset)), ...moved].sort((a, b) => a.offset - b.offset);
}
