import { setImmediate as nextTurn } from 'node:timers/promises';
import { GatehouseError } from '../../contracts/errors.ts';
import type { Fact } from '../../contracts/fact.ts';
import type { ErasureJob } from '../../contracts/privacy.ts';
import type { Alert } from '../../contracts/push.ts';
import { eventKey } from '../../scoring/ingest.ts';
import type { AlertRecord, DocChange, EntityRef, JournalRecord, Store } from '../../store/contract.ts';
import type { Audit } from '../audit.ts';
import type { Restrictions } from '../restrictions.ts';
import type { ReviewDesk } from '../review/desk.ts';
import { Footprint, journalPages, referenceOf } from './footprint.ts';

export const ERASURES_COLLECTION = 'erasures';
/** Erasures that wait for their turn: one takes seconds, so these are hours. */
const WAITING_MAX = 1_000;
/** Finished erasures that are listed; the journal keeps them all. */
const DONE_MAX = 1_000;
const ALERTS_PAGE = 512;
/** What is journalled when a person's erasure is asked for. */
export const ERASE = 'user.erase';
/** What another gateway on the same store hears of when nothing of a person is left there. */
export const ERASE_DONE = 'user.erase.done';
const STATES_PER_STEP = 256;

/**
 * What is kept of a job. Until nothing is left but to purge, a restart has to know whom, and what is theirs; then that goes before the purge, which would leave it in the
 * files of Redis.
 */
interface Kept {
  readonly job: ErasureJob;
  readonly actor: string;
  readonly user_id?: string;
  /** There once the journal was read through: what is erased can no longer say which sessions were whose. */
  readonly learned?: { readonly sessions: readonly string[]; readonly transactions: readonly string[] };
}

export interface Erasures {
  /** Resolves when a restart would go on with it. Rejects with `overloaded` and the store's errors. */
  request(userId: string, actor: string): Promise<ErasureJob>;
  list(): readonly ErasureJob[];
  /** Resolves when none is running or waiting. */
  idle(): Promise<void>;
  /** Stops after the step in work; the rest is done after the next start. */
  close(): Promise<void>;
}

export interface ErasuresOptions {
  readonly store: Pick<Store<never>, 'doc' | 'docs' | 'onForeignFact' | 'write' | 'bounds' | 'read' | 'alerts' | 'erase' | 'purgeErased'>;
  readonly audit: Audit;
  readonly reviews: Pick<ReviewDesk, 'find' | 'erase'>;
  readonly restrictions: Pick<Restrictions, 'erase'>;
  readonly now: () => number;
  /** Told of a job that failed. */
  readonly onError: (error: unknown) => void;
}

/** Erasures in the background, one after the other. Those that the last process did not end go on at once. */
export async function openErasures(options: ErasuresOptions): Promise<Erasures> {
  const { store, audit, now, onError } = options;
  const kept = new Map<string, Kept>();
  const queued = new Set<string>();
  let stopped = false;
  let turn: Promise<void> = Promise.resolve();

  const document = (one: Kept): DocChange => ({ collection: ERASURES_COLLECTION, id: one.job.erasure_id, value: one });
  const set = (one: Kept): void => {
    // Set anew, so that the map's order is that of the requests.
    if (!kept.has(one.job.erasure_id) || one.job.state === 'done') kept.delete(one.job.erasure_id);
    kept.set(one.job.erasure_id, one);
  };
  const outdated = (): string[] => {
    const done = [...kept.values()].filter(({ job }) => job.state === 'done');
    return done.slice(0, Math.max(0, done.length + 1 - DONE_MAX)).map(({ job }) => job.erasure_id);
  };

  async function finish({ job, actor }: Kept): Promise<void> {
    const done: Kept = { job: { ...job, state: 'done', done_ms: now() }, actor };
    const gone = outdated();
    await audit.record({ actor, action: ERASE_DONE, detail: { erasure_id: job.erasure_id, erased: job.erased } }, [
      ...gone.map((id): DocChange => ({ collection: ERASURES_COLLECTION, id, value: undefined })),
      document(done),
    ]);
    for (const id of gone) kept.delete(id);
    set(done);
  }

  async function run(id: string): Promise<void> {
    queued.delete(id);
    const one = kept.get(id);
    if (stopped || one === undefined) return;
    let current: Kept = { ...one, job: { ...one.job, state: 'running', scanned: 0, erased: 0 } };
    const progress = (more: Partial<ErasureJob>): void => {
      current = { ...current, job: { ...current.job, ...more } };
      set(current);
    };
    const keep = async (changed: Kept): Promise<void> => {
      current = changed;
      await store.write([], [document(current)]);
    };
    try {
      if (one.user_id !== undefined) {
        const remember = (learned: NonNullable<Kept['learned']>): Promise<void> => keep({ ...current, learned });
        for await (const _ of erase(options, one.user_id, one.learned, () => current.job, progress, remember)) {
          if (stopped) return;
          await nextTurn();
        }
        await keep({ job: current.job, actor: one.actor });
      }
      await store.purgeErased();
      await finish(current);
    } catch (error) {
      progress({ state: 'failed' });
      onError(error);
    }
  }

  const enqueue = (id: string): void => {
    if (queued.has(id)) return;
    queued.add(id);
    turn = turn.then(() => run(id));
  };

  const found: Kept[] = [];
  for await (const { value } of store.docs(ERASURES_COLLECTION)) found.push(value as Kept);
  found.sort((a, b) => a.job.requested_ms - b.job.requested_ms);
  found.forEach(set);
  for (const { job } of found) if (job.state !== 'done') enqueue(job.erasure_id);
  // Shown here too; the gateway that was asked does it.
  const unsubscribe = store.onForeignFact(({ fact }) => {
    if (fact.kind !== 'admin' || (fact.action !== ERASE && fact.action !== ERASE_DONE)) return;
    store
      .doc(ERASURES_COLLECTION, String(fact.detail['erasure_id']))
      .then((value) => value !== undefined && set(value as Kept))
      .catch(onError);
  });

  return {
    async request(userId, actor) {
      const id = referenceOf(userId);
      const known = kept.get(id)?.job;
      if (known?.state === 'running') return known;
      if (queued.size >= WAITING_MAX) throw new GatehouseError('overloaded', `${WAITING_MAX} erasures wait already`);
      const job: ErasureJob = { erasure_id: id, state: 'running', requested_ms: now(), done_ms: null, scanned: 0, records: 0, erased: 0 };
      const one: Kept = { job, actor, user_id: userId };
      // What an earlier try learned of them stays known: the journal may no longer tell it.
      const learned = kept.get(id)?.learned;
      const whole = learned === undefined ? one : { ...one, learned };
      await audit.record({ actor, action: ERASE, detail: { erasure_id: id } }, [document(whole)]);
      set(whole);
      enqueue(id);
      return job;
    },
    list: () => [...kept.values()].map(({ job }) => job).reverse(),
    async idle() {
      for (let seen: Promise<void> | undefined; seen !== turn; ) {
        seen = turn;
        await seen;
      }
    },
    async close() {
      unsubscribe();
      stopped = true;
      await turn;
    },
  };
}

/** The steps of one erasure; between any two of them the process may end, and doing all of them again ends the same. */
async function* erase(
  { store, reviews, restrictions }: ErasuresOptions,
  userId: string,
  learned: Kept['learned'],
  job: () => ErasureJob,
  progress: (more: Partial<ErasureJob>) => void,
  remember: (learned: NonNullable<Kept['learned']>) => Promise<void>,
): AsyncGenerator<void> {
  const footprint = new Footprint(userId, learned?.sessions, learned?.transactions);
  const { first, last } = await store.bounds();
  progress({ records: Math.max(0, last - first + 1) });
  for await (const page of journalPages(store, last)) {
    for (const { fact } of page) footprint.learn(fact);
    progress({ scanned: job().scanned + page.length });
    yield;
  }
  await remember({ sessions: [...footprint.sessions], transactions: [...footprint.transactions] });
  // What came in meanwhile goes too.
  const end = (await store.bounds()).last;
  for await (const page of journalPages(store, end)) {
    const own = page.filter(({ fact }) => footprint.owns(fact));
    await store.erase({ facts: own.map(redacted), answers: own.flatMap(({ fact }) => answerKeys(fact)) });
    progress({ scanned: job().scanned + page.length, erased: job().erased + own.length });
    yield;
  }
  for await (const page of alertPages(store)) {
    const own = page.filter(({ alert }) => footprint.ownsCase(alert));
    await store.erase({ alerts: own.map(({ offset, alert }) => ({ offset, alert: redactedAlert(alert, offset) })) });
    progress({ erased: job().erased + own.length });
    yield;
  }
  const refs: EntityRef[] = [{ kind: 'user', id: userId }, ...Array.from(footprint.sessions, (id) => ({ kind: 'session' as const, id }))];
  for (let at = 0; at < refs.length; at += STATES_PER_STEP) {
    await store.erase({ states: refs.slice(at, at + STATES_PER_STEP) });
    yield;
  }
  await reviews.erase(reviews.find((one) => footprint.ownsCase(one)));
  await restrictions.erase(userId, footprint.transactions);
}

/** What an operator did stays known, with whom it was done to taken out; everything else leaves its place alone. */
function redacted({ offset, fact }: JournalRecord): JournalRecord {
  if (fact.kind === 'admin') return { offset, fact: { ...fact, detail: { erased: true } } };
  return { offset, fact: { kind: 'erased', at_ms: fact.at_ms } };
}

function answerKeys(fact: Fact): string[] {
  if (fact.kind === 'event' && fact.event.name === 'payment_attempt') return [eventKey(fact.event.event_id)];
  return fact.kind === 'decision' ? [eventKey(fact.request.transaction_id)] : [];
}

/** No alert of a payment any more: nobody opens a case for it. */
function redactedAlert({ severity, at_ms }: Alert, offset: number): Alert {
  return { alert_id: `erased.${offset}`, kind: 'system', severity, at_ms, title: 'Erased with the person whom it was about' };
}

async function* alertPages(store: Pick<Store<never>, 'alerts'>): AsyncGenerator<readonly AlertRecord[]> {
  for (let after = 0; ; ) {
    const page = await store.alerts(after, ALERTS_PAGE);
    const end = page.at(-1)?.offset;
    if (end === undefined) return;
    yield page;
    after = end;
  }
}
