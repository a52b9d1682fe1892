import { expect, test } from 'vitest';
import { GatehouseError } from '../../contracts/errors.ts';
import type { Fact } from '../../contracts/fact.ts';
import type { Alert } from '../../contracts/push.ts';
import type { Store, Unit } from '../../store/contract.ts';
import { openMemoryStore } from '../../store/memory.ts';
import { createAudit } from '../audit.ts';
import { Metrics } from '../metrics.ts';
import { openRestrictions, RESTRICTIONS_COLLECTION } from '../restrictions.ts';
import { openReviewDesk, REVIEWS_COLLECTION } from '../review/desk.ts';
import { ERASURES_COLLECTION, openErasures } from './erasures.ts';
import { FOOTPRINT_IDS_MAX, Footprint, referenceOf } from './footprint.ts';

const NOW_MS = 1_700_000_000_000;
const PERSON = 'ann';
/** More than two pages of the journal, so that a job dies in the middle of each pass. */
const STRANGERS = 1_200;
const now = (): number => NOW_MS;
const silent = { info: () => undefined, warn: () => undefined, error: () => undefined };

interface Count {
  n: number;
}

function view(eventId: string, who: { readonly user_id?: string; readonly session_id?: string }): Unit<Count> {
  const entities = [
    ...(who.user_id === undefined ? [] : [{ kind: 'user' as const, id: who.user_id }]),
    ...(who.session_id === undefined ? [] : [{ kind: 'session' as const, id: who.session_id }]),
  ];
  const fact: Fact = { kind: 'event', at_ms: NOW_MS, event: { event_id: eventId, name: 'page_view', timestamp_ms: NOW_MS, ...who } };
  return { key: `e:${eventId}`, digest: 'd', fact, entities, apply: (_ref, state = { n: 0 }) => ({ n: state.n + 1 }) };
}

const alert: Alert = {
  alert_id: 'a1',
  kind: 'decision',
  severity: 'high',
  at_ms: NOW_MS,
  title: 'Declined',
  transaction_id: 'pay',
  user_id: PERSON,
  decision: 'decline',
};

/** Ann, whose first session was anonymous for a while, among many others. */
async function shop(): Promise<Store<Count>> {
  const store = openMemoryStore<Count>({ clock: now });
  await store.ingest([view('early', { session_id: 's1' })]);
  for (let i = 0; i < STRANGERS; i++) await store.ingest([view(`x${i}`, { user_id: `u${i}` })]);
  await store.ingest([view('login', { user_id: PERSON, session_id: 's1' })]);
  await store.raise(alert);
  return store;
}

/** The store as a process sees it that dies at its `stepsMax`-th write: from then on nothing is written any more. */
function mortal(store: Store<Count>, stepsMax: number): Store<Count> {
  let steps = 0;
  const counted = new Set<PropertyKey>(['write', 'erase', 'purgeErased']);
  return new Proxy(store, {
    get(target, name) {
      const member: unknown = Reflect.get(target, name);
      if (typeof member !== 'function') return member;
      if (!counted.has(name)) return member.bind(target);
      return async (...args: unknown[]) => {
        if (++steps > stepsMax) throw new GatehouseError('store_unavailable', 'the process is gone');
        return member.apply(target, args);
      };
    },
  });
}

async function process(store: Store<Count>) {
  const failures: unknown[] = [];
  const onError = (error: unknown): void => void failures.push(error);
  const metrics = new Metrics();
  const audit = createAudit({ store, log: silent, metrics, now });
  const reviews = await openReviewDesk({
    rates: undefined,
    store: store as Store<never>,
    audit,
    now,
    label: async () => undefined,
    onError,
  });
  const restrictions = await openRestrictions({ store: store as Store<never>, audit, now, onError });
  const erasures = await openErasures({ store: store as Store<never>, audit, reviews, restrictions, now, onError });
  return { erasures, reviews, restrictions, failures, close: () => metrics.close() };
}

async function everything(store: Store<Count>): Promise<string> {
  const documents: unknown[] = [];
  for (const collection of [REVIEWS_COLLECTION, RESTRICTIONS_COLLECTION, ERASURES_COLLECTION])
    for await (const one of store.docs(collection)) documents.push(one);
  return JSON.stringify([await store.read(0, 10_000), await store.alerts(0, 100), documents]);
}

test('a process may die at any step: the next one finishes, and nothing is left', async () => {
  let steps = 0;
  for (let died = true; died; steps++) {
    const store = await shop();
    const first = await process(mortal(store, steps));
    const asked = await first.erasures.request(PERSON, 'maria').catch((error: GatehouseError) => error.code);
    await first.erasures.idle();
    first.close();
    died = first.failures.length > 0 || asked === 'store_unavailable';
    // Refused before it was written down: nothing was promised.
    if (steps === 0) expect(asked).toBe('store_unavailable');
    const second = await process(store);
    if (steps === 0) await second.erasures.request(PERSON, 'maria');
    await second.erasures.idle();
    second.close();
    expect(second.failures).toEqual([]);
    expect(second.erasures.list()).toMatchObject([{ erasure_id: referenceOf(PERSON), state: 'done' }]);
    expect(second.reviews.list({}).total).toBe(0);
    const left = await everything(store);
    for (const trace of ['"ann"', '"s1"', '"early"', '"pay"']) expect([steps, trace, left.includes(trace)]).toEqual([steps, trace, false]);
    expect(left.match(/"erased","at_ms"/g)).toHaveLength(3);
    expect((await store.bounds()).first).toBe(1);
    const states = await store.states([PERSON, 'u7'].map((id) => ({ kind: 'user', id })));
    expect(states).toEqual([undefined, { n: 1 }]);
    expect(await store.states([{ kind: 'session', id: 's1' }])).toEqual([undefined]);
  }
  // The request, what was learned, three pages, the alerts, the states, cases, restrictions, whom it was about, the purge, the end.
  expect(steps).toBeGreaterThan(8);
});

test('a closed process stops between two steps, and the next one goes on', async () => {
  const store = await shop();
  const first = await process(store);
  await first.erasures.request(PERSON, 'maria');
  expect((await first.erasures.request(PERSON, 'maria')).state).toBe('running');
  await first.erasures.close();
  first.close();
  expect(first.erasures.list()).toMatchObject([{ state: 'running' }]);
  const second = await process(store);
  await second.erasures.idle();
  second.close();
  expect(second.erasures.list()).toMatchObject([{ state: 'done', done_ms: NOW_MS }]);
});

test('a job that failed is tried again by the next request', async () => {
  const store = await shop();
  const running = await process(mortal(store, 2));
  await running.erasures.request(PERSON, 'maria');
  await running.erasures.idle();
  expect(running.erasures.list()).toMatchObject([{ state: 'failed' }]);
  expect(running.failures).toHaveLength(1);
  await expect(running.erasures.request(PERSON, 'maria')).rejects.toMatchObject({ code: 'store_unavailable' });
  running.close();
});

test('an id that many share is refused before anything is gathered without end', () => {
  const footprint = new Footprint('guest');
  const seen = (n: number): Fact => ({
    kind: 'event',
    at_ms: NOW_MS,
    event: { event_id: `e${n}`, name: 'page_view', timestamp_ms: NOW_MS, user_id: 'guest', session_id: `s${n}` },
  });
  for (let n = 0; n < FOOTPRINT_IDS_MAX; n++) footprint.learn(seen(n));
  expect(() => footprint.learn(seen(FOOTPRINT_IDS_MAX))).toThrow(expect.objectContaining({ code: 'user_too_large' }));
  expect(footprint.owns({ ...seen(1), kind: 'event' } as Fact)).toBe(true);
});

test('a session that two people used goes with either as far as it names nobody', () => {
  const footprint = new Footprint(PERSON, ['s1'], ['pay']);
  const of = (event: object): Fact => ({ kind: 'event', at_ms: 0, event: { event_id: 'e', name: 'page_view', timestamp_ms: 0, ...event } });
  expect(footprint.owns(of({ session_id: 's1' }))).toBe(true);
  expect(footprint.owns(of({ session_id: 's1', user_id: 'bob' }))).toBe(false);
  expect(footprint.owns(of({ transaction_id: 'pay' }))).toBe(true);
  expect(footprint.owns({ kind: 'item_delete', at_ms: 0, item_id: PERSON })).toBe(false);
});
