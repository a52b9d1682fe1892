import { afterEach, beforeEach, expect, test } from 'vitest';
import type { Fact } from '../../contracts/fact.ts';
import type { Alert } from '../../contracts/push.ts';
import { DEFAULT_PLACEMENTS, type Placement } from '../../scoring/recommend/placements.ts';
import type { Store } from '../../store/contract.ts';
import { openMemoryStore } from '../../store/memory.ts';
import { createAudit } from '../audit.ts';
import { Metrics } from '../metrics.ts';
import { type Experiments, openExperiments } from './desk.ts';

// Two gateways on one store that have not heard of each other's changes.

const NOW_MS = 1_700_000_000_000;
const quiet = { info: () => {}, warn: () => {}, error: () => {} };
let store: Store<never>;
let metrics: Metrics;
let raised: Alert[];
let open: Experiments[];
let placements: Map<string, Placement>;
beforeEach(() => {
  placements = new Map(DEFAULT_PLACEMENTS.map((placement) => [placement.id, placement]));
  [store, metrics, raised, open] = [openMemoryStore<never>(), new Metrics(), [], []];
});
afterEach(async () => {
  for (const one of open) await one.close();
  metrics.close();
});

async function gateway(): Promise<Experiments> {
  const one = await openExperiments({
    store,
    audit: createAudit({ store, log: quiet, metrics, now: () => NOW_MS }),
    placements,
    raise: async (alert) => void raised.push(alert),
    now: () => NOW_MS,
    onError: (error) => {
      throw error;
    },
  });
  open.push(one);
  return one;
}
const variants = [
  { name: 'control', weight: 1, overrides: {} },
  { name: 'short', weight: 1, overrides: { limit: 3 } },
];

test('a guardrail that both see crossed stops the experiment, and says so, once', async () => {
  const one = await gateway();
  await one.create({ experiment_id: 'lost', placement: 'home', variants }, 'anna');
  await one.start('lost', 'anna');
  const two = await gateway();
  const answers = Array.from({ length: 200 }, (_, n): Fact => {
    const answer = { recommendation_id: `r${n}`, placement: 'home', items: [], bundle: null, degraded: false };
    const experiment = { experiment_id: 'lost', variant: n % 4 === 0 ? 'short' : 'control' };
    return { kind: 'recommendation', at_ms: NOW_MS, request: { user_id: `u${n}` }, response: { ...answer, experiment } };
  });
  await store.write(answers);
  await Promise.all([one.follow(), two.follow()]);
  expect(raised.map(({ title }) => title)).toEqual(['The experiment lost was stopped']);
  const stops = (await store.read(0, 1_000)).filter(({ fact }) => fact.kind === 'admin' && fact.action === 'experiment.stop');
  expect(stops).toHaveLength(1);
  for (const desk of [one, two]) {
    expect(desk.list().experiments).toMatchObject([{ state: 'stopped', stop_reason: expect.stringContaining('not divided') }]);
    expect(desk.trialOf('home', 'u1')).toBeUndefined();
  }
});

test('one experiment is declared and started once', async () => {
  const [one, two] = [await gateway(), await gateway()];
  const both = await Promise.allSettled([one, two].map((desk) => desk.create({ experiment_id: 'e', placement: 'home', variants }, 'anna')));
  expect(both.map(({ status }) => status).sort()).toEqual(['fulfilled', 'rejected']);
  const starts = await Promise.allSettled([one, two].map((desk) => desk.start('e', 'anna')));
  expect(starts.filter(({ status }) => status === 'fulfilled')).toHaveLength(1);
  for (const { reason } of [...both, ...starts].filter((tried) => tried.status === 'rejected'))
    expect(reason).toMatchObject({ code: 'experiment_conflict' });
});

test('a variant whose rule does not compile is refused before anybody gets it', async () => {
  const desk = await gateway();
  const broken = [variants[0]!, { name: 'broken', weight: 1, overrides: { when: 'item.price <' } }];
  await expect(desk.create({ experiment_id: 'e', placement: 'home', variants: broken }, 'anna')).rejects.toMatchObject({ code: 'invalid_request' });
  expect(desk.list().experiments).toEqual([]);
});

test('variants are those of the placement as it is now; one that a change does not go with stands in its way', async () => {
  const desk = await gateway();
  const home = placements.get('home')!;
  const winter = { share: 0.5, source: 'new' as const };
  const overrides = { slots: [winter, winter] };
  await desk.create({ experiment_id: 'e', placement: 'home', variants: [variants[0]!, { name: 'slots', weight: 1, overrides }] }, 'anna');
  desk.requireFits('home', undefined);
  await desk.start('e', 'anna');
  const visitors = Array.from({ length: 20 }, (_, n) => `u${n}`);
  const given = () => visitors.map((visitor) => desk.trialOf('home', visitor)!);
  const before = given();
  placements.set('home', { ...home, limit: 7, diversity: 0.5 });
  const after = given();
  expect(after.map(({ variant }) => variant)).toEqual(before.map(({ variant }) => variant));
  for (const { variant, placement } of after) expect(placement).toEqual({ ...home, limit: 7, diversity: 0.5, ...(variant === 'slots' && overrides) });
  desk.requireFits('home', { ...home, limit: 3 });
  desk.requireFits('cart', undefined);
  for (const to of [undefined, { ...home, limit: 0 }])
    expect(() => desk.requireFits('home', to)).toThrow(expect.objectContaining({ code: 'experiment_conflict' }));
  await desk.stop('e', 'enough', 'anna');
  desk.requireFits('home', undefined);
});
