import { setTimeout as sleep } from 'node:timers/promises';
import { GatehouseError } from '../contracts/errors.ts';
import type { Fact } from '../contracts/fact.ts';
import type { EntityRef, RetentionPolicy, StateCodec, Unit, UnitResult } from './contract.ts';
import { pruneApplied, readEnvelope, writeEnvelope } from './redis-envelope.ts';
import { type RedisKeys, type RedisLink, SCRIPTS, toNumber } from './redis-link.ts';
import { RedisLog } from './redis-log.ts';
import { decodeValue, encodeValue } from './values.ts';

/** Units in one round of pipelines: at about 20 us each Redis is held for some 5 ms. */
const GROUP_UNITS_MAX = 256;
/** Other processes may change an entity between our read and our write; each try one of them gets on. */
const CAS_TRIES_MAX = 40;
/** Longest pause before a further try, so that a hot entity's writers don't march in step. */
const CAS_PAUSE_MS_MAX = 8;
/** A unit that is pending this long has lost its process: a round takes milliseconds, and no call lives longer than a second. */
const PENDING_OLD_MS = 2_000;
/** Units that one sweep takes on. */
const SWEEP_UNITS_MAX = 200;

export interface RedisIngestOptions<S> {
  readonly codec: StateCodec<S>;
  readonly retention: RetentionPolicy;
  /** Id of this process in the journal. */
  readonly origin: string;
  readonly resume: (fact: Fact) => Unit<S> | undefined;
  /** From 0 to 1, for pauses. */
  readonly random: () => number;
  /** Units taken but not yet written; beyond it writes are refused with `overloaded`. */
  readonly pendingUnitsMax: number;
}

/** One unit on its way. A unit that the sweeper took over comes with its place in the journal. */
interface Work<S> {
  readonly unit: Unit<S>;
  readonly resumed: boolean;
  offset: number;
  /** Its name among the pending units; empty when there is nothing to finish. */
  member: string;
  duplicate: boolean;
  conflict: boolean;
  answer: Uint8Array | undefined;
}

interface Entity<S> {
  readonly ref: EntityRef;
  readonly key: string;
  readonly works: Work<S>[];
  bytes: Buffer | null;
  state: S | undefined;
}

interface Job<S> {
  readonly works: Work<S>[];
  readonly resolve: (results: UnitResult<S>[]) => void;
  readonly reject: (error: unknown) => void;
}

/**
 * Brings units into Redis, a group at a time:
 *
 *   1  append each unit (journal, idempotency key, pending) and read each entity      one pipeline
 *   2  apply the units, then compare-and-set each entity                              one pipeline, again for those that changed meanwhile
 *   3  take the units off the pending list                                            nobody waits for it
 *
 * A process that dies after 1 leaves pending units; the same unit sent again, or the sweeper, goes on at 2. An entity remembers the
 * offsets it has seen, at least all that may still be pending, so nothing counts twice. Whoever goes on with a unit that it did not append
 * itself must see it pending *after* it read the entity: only then is a missing offset proof that the entity has not seen the unit.
 */
export class RedisIngest<S> {
  readonly #link: RedisLink;
  readonly #keys: RedisKeys;
  readonly #options: RedisIngestOptions<S>;
  readonly #journal: RedisLog;
  #jobs: Job<S>[] = [];
  #running: Promise<void> | undefined;
  #finishing: Promise<unknown> = Promise.resolve();
  #queued = 0;
  /** Every unit below it is finished, in all processes. It rises with each answer, unless Redis lost its data and starts again. */
  #oldestPending = 0;
  readonly counters = { duplicates: 0, cas_retries: 0, resumed_units: 0, abandoned_units: 0, pending_removal_failures: 0, sweep_failures: 0 };

  constructor(link: RedisLink, keys: RedisKeys, options: RedisIngestOptions<S>) {
    this.#link = link;
    this.#keys = keys;
    this.#options = options;
    this.#journal = new RedisLog(link, keys.journal);
  }

  get queuedUnits(): number {
    return this.#queued;
  }

  ingest(units: readonly Unit<S>[]): Promise<UnitResult<S>[]> {
    return this.#enqueue(units.map((unit) => newWork(unit)));
  }

  /** Resolves when what is queued has been tried, and what was brought is off the pending list. */
  async drain(): Promise<void> {
    while (this.#running) await this.#running;
    // Answers come in order, so the last one is enough.
    await this.#finishing;
  }

  /** Finish units that other processes left half done. Never rejects; failures are counted, and the next sweep tries again. */
  async sweep(): Promise<void> {
    try {
      const [time, members] = await Promise.all([
        this.#link.call('TIME'),
        this.#link.call('ZRANGE', this.#keys.pending, '0', String(SWEEP_UNITS_MAX - 1)),
      ]);
      const nowMs = Number(String((time as Buffer[])[0])) * 1_000;
      const old = (members as Buffer[]).map(String).filter((member) => nowMs - Number(member.split(':')[1]) > PENDING_OLD_MS);
      const works = (await Promise.all(old.map((member) => this.#revive(member)))).filter((work) => work !== undefined);
      if (works.length > 0) await this.#enqueue(works);
      this.counters.resumed_units += works.length;
    } catch {
      this.counters.sweep_failures++;
    }
  }

  async #revive(member: string): Promise<Work<S> | undefined> {
    const offset = Number(member.split(':')[0]);
    const [record] = await this.#journal.read(offset - 1, 1);
    const unit = record?.offset === offset ? this.#options.resume(decodeValue(record.bytes) as Fact) : undefined;
    if (unit) return { ...newWork(unit), resumed: true, offset, member };
    // Trimmed away, or of a kind that touches no entity: there is nothing that could ever finish it.
    this.counters.abandoned_units++;
    await this.#link.call('ZREM', this.#keys.pending, member);
    return undefined;
  }

  #enqueue(works: Work<S>[]): Promise<UnitResult<S>[]> {
    if (works.length === 0) return Promise.resolve([]);
    if (this.#queued + works.length > this.#options.pendingUnitsMax) {
      const detail = `${this.#queued} units wait for Redis; the limit is ${this.#options.pendingUnitsMax}`;
      return Promise.reject(new GatehouseError('overloaded', detail));
    }
    this.#queued += works.length;
    return new Promise((resolve, reject) => {
      this.#jobs.push({ works, resolve, reject });
      this.#running ??= this.#run().finally(() => {
        this.#running = undefined;
      });
    });
  }

  async #run(): Promise<void> {
    // Calls of the same turn join the first group.
    await Promise.resolve();
    while (this.#jobs.length > 0) {
      const group: Job<S>[] = [];
      for (let units = 0; this.#jobs[0] && (group.length === 0 || units + this.#jobs[0].works.length <= GROUP_UNITS_MAX); ) {
        const job = this.#jobs.shift() as Job<S>;
        group.push(job);
        units += job.works.length;
      }
      const works = group.flatMap((job) => job.works);
      try {
        const entities = await this.#group(works);
        for (const job of group) job.resolve(job.works.map((work) => this.#result(work, entities)));
      } catch (error) {
        for (const job of group) job.reject(error);
      }
      this.#queued -= works.length;
    }
  }

  async #group(works: Work<S>[]): Promise<Map<string, Entity<S>>> {
    const entities = this.#entitiesOf(works);
    const appended = works.filter((work) => !work.resumed);
    await Promise.all([...appended.map((work) => this.#append(work)), this.#load([...entities.values()])]);

    const own = new Set(appended.filter((work) => !work.duplicate && !work.conflict).map((work) => work.offset));
    // A key that stands twice in the group is pending because of the first, which does the work.
    const adopted = works.filter((work) => work.member !== '' && !work.conflict && (work.resumed || work.duplicate) && !own.has(work.offset));
    const todo = new Set(works.filter((work) => work.member !== '' && own.has(work.offset) && !work.duplicate));
    if (adopted.length > 0) {
      for (const work of adopted) todo.add(work);
      await this.#reload(
        [...this.#entitiesOf(adopted).keys()].map((key) => entities.get(key) as Entity<S>),
        todo,
      );
    }
    await this.#bring([...entities.values()], todo);
    this.#finish([...todo, ...adopted]);
    return entities;
  }

  /** Apply and compare-and-set until every entity has seen every unit of `todo`. */
  async #bring(entities: Entity<S>[], todo: Set<Work<S>>): Promise<void> {
    let open = entities;
    for (let tries = 0; open.length > 0; tries++) {
      if (tries === CAS_TRIES_MAX) {
        throw new GatehouseError(
          'store_unavailable',
          `an entity was changed by others ${CAS_TRIES_MAX} times in a row; the unit will be finished later`,
        );
      }
      if (tries > 0) {
        this.counters.cas_retries += open.length;
        await sleep(this.#options.random() * Math.min(2 ** tries, CAS_PAUSE_MS_MAX));
        await this.#reload(open, todo);
      }
      const done = await Promise.all(open.map((entity) => this.#swap(entity, todo)));
      open = open.filter((_, i) => !done[i]);
    }
  }

  /** One try to bring an entity forward; false when someone else changed it. */
  async #swap(entity: Entity<S>, todo: Set<Work<S>>): Promise<boolean> {
    const envelope = readEnvelope(entity.bytes);
    const applied = [...envelope.applied];
    entity.state = envelope.state && this.#options.codec.decode(envelope.state);
    for (const work of entity.works) {
      if (!todo.has(work) || applied.includes(work.offset)) continue;
      entity.state = work.unit.apply(entity.ref, entity.state);
      applied.push(work.offset);
    }
    if (entity.state === undefined || applied.length === envelope.applied.length) return true;
    const bytes = writeEnvelope(envelope, pruneApplied(applied, this.#oldestPending), this.#options.codec.encode(entity.state));
    const ttlMs = redisTtl(this.#options.retention.stateTtlMs);
    return toNumber(await this.#link.run(SCRIPTS.cas, [entity.key], [envelope.version, bytes, ttlMs])) === 1;
  }

  async #append(work: Work<S>): Promise<void> {
    const { key, digest, fact, entities } = work.unit;
    const { journal, pending } = this.#keys;
    const reply = (await this.#link.run(
      SCRIPTS.append,
      [this.#keys.key(key), journal.stream, journal.counter, pending],
      [
        digest,
        Buffer.from(encodeValue(fact)),
        redisTtl(this.#options.retention.idempotencyMs),
        this.#options.origin,
        entities.length > 0 ? '1' : '0',
      ],
    )) as [Buffer, number, Buffer | null, Buffer, Buffer];
    work.offset = toNumber(reply[0]) ?? 0;
    work.duplicate = reply[1] === 1;
    work.conflict = reply[1] === 2;
    work.answer = work.duplicate && reply[2] ? reply[2] : undefined;
    work.member = String(reply[3]);
    if (reply[1] !== 0) this.counters.duplicates++;
    this.#oldestPending = toNumber(reply[4]) ?? 0;
  }

  async #load(entities: readonly Entity<S>[]): Promise<void> {
    await Promise.all(
      entities.map(async (entity) => {
        entity.bytes = (await this.#link.call('GET', entity.key)) as Buffer | null;
      }),
    );
  }

  /** Read entities again, and drop from `todo` what is no longer pending after that. */
  async #reload(entities: readonly Entity<S>[], todo: Set<Work<S>>): Promise<void> {
    const works = [...new Set(entities.flatMap((entity) => entity.works))].filter((work) => todo.has(work));
    const loading = this.#load(entities);
    const scores = Promise.all(works.map((work) => this.#link.call('ZSCORE', this.#keys.pending, work.member)));
    const [, found] = await Promise.all([loading, scores]);
    works.forEach((work, i) => {
      if (found[i] === null) todo.delete(work);
    });
  }

  /** Nobody waits for this: a unit that stays on the list is found finished by the next sweep. */
  #finish(works: readonly Work<S>[]): void {
    const members = [...new Set(works.map((work) => work.member))];
    if (members.length === 0) return;
    this.#finishing = this.#link.call('ZREM', this.#keys.pending, ...members).catch(() => {
      this.counters.pending_removal_failures++;
    });
  }

  #entitiesOf(works: readonly Work<S>[]): Map<string, Entity<S>> {
    const entities = new Map<string, Entity<S>>();
    for (const work of works) {
      for (const ref of work.unit.entities) {
        const key = this.#keys.state(ref);
        const entity = entities.get(key) ?? { ref, key, works: [], bytes: null, state: undefined };
        entities.set(key, entity);
        if (entity.works.at(-1) !== work) entity.works.push(work);
      }
    }
    return entities;
  }

  #result(work: Work<S>, entities: ReadonlyMap<string, Entity<S>>): UnitResult<S> {
    const { unit, offset, duplicate, conflict, answer } = work;
    if (conflict) return { offset, duplicate, conflict, states: [], answer: undefined };
    // A state that has expired since is shown as this unit alone would make it, and not stored.
    const states = unit.entities.map((ref) => entities.get(this.#keys.state(ref))?.state ?? unit.apply(ref, undefined));
    return { offset, duplicate, conflict, states, answer };
  }
}

function newWork<S>(unit: Unit<S>): Work<S> {
  return { unit, resumed: false, offset: 0, member: '', duplicate: false, conflict: false, answer: undefined };
}

/** Longest time to live that is set: 100 years, for retention that says for ever. */
const TTL_MS_MAX = 100 * 365 * 86_400_000;

export function redisTtl(ms: number): string {
  return String(Math.max(1, Math.min(Math.floor(ms), TTL_MS_MAX)));
}
