import { expect, test } from 'vitest';
import type { TimedEvent } from '../../contracts/event.ts';
import type { Experiment } from '../../contracts/experiment.ts';
import type { Fact } from '../../contracts/fact.ts';
import { Tally, WAITING_MAX } from './tally.ts';

const NOW = 1_750_000_000_000;
const HOUR_MS = 3_600_000;
const EXPERIMENT: Experiment = {
  experiment_id: 'e1',
  placement: 'home',
  variants: [
    { name: 'control', weight: 1, overrides: {} },
    { name: 'other', weight: 1, overrides: {} },
  ],
  alpha: 0.05,
  window_hours: 2,
  visitors_planned: 1_000,
  guardrails: { degraded_share_rise: 0.02, latency_ms_rise: 20, revenue_drop: 0.05 },
  state: 'running',
  created_ms: NOW,
  started_ms: NOW,
  started_offset: 0,
  stopped_ms: null,
  stop_reason: null,
};

interface Answer {
  readonly id?: string;
  readonly user?: string;
  readonly session?: string;
  readonly variant?: string;
  readonly items?: readonly string[];
  readonly atMs?: number;
  readonly degraded?: boolean;
}

function answer({ id = 'r1', user, session, variant = 'control', items = ['a', 'b'], atMs = NOW, degraded = false }: Answer): Fact {
  return {
    kind: 'recommendation',
    at_ms: atMs,
    took_ms: 3,
    request: { ...(user === undefined ? {} : { user_id: user }), ...(session === undefined ? {} : { session_id: session }) },
    response: {
      recommendation_id: id,
      placement: 'home',
      items: items.map((item_id) => ({ item_id, score: 1, sources: [], reason: '' })),
      bundle: null,
      degraded,
      experiment: { experiment_id: 'e1', variant },
    },
  };
}
let events = 0;
function act(name: TimedEvent['name'], item: string, more: Partial<TimedEvent>, atMs = NOW + 1_000): Fact {
  const event: TimedEvent = { event_id: `e${events++}`, name, timestamp_ms: atMs, items: [{ item_id: item }], ...more };
  return { kind: 'event', at_ms: atMs, event };
}
/** The means of the control once every window is over. */
function means(...facts: Fact[]): unknown {
  const tally = new Tally(EXPERIMENT);
  for (const fact of [...facts, act('page_view', 'x', { user_id: 'nobody' }, NOW + 100 * HOUR_MS)]) tally.take(fact);
  return tally.result(EXPERIMENT, true).variants[0]!.means;
}

test.each<[string, Fact, object]>([
  ['a click that names the answer', act('select_item', 'a', { user_id: 'u', recommendation_id: 'r1' }), { click_rate: 1 }],
  ['a click that names it, of a session that has no user', act('select_item', 'a', { session_id: 's9', recommendation_id: 'r1' }), { click_rate: 1 }],
  ['a click on an item that was shown', act('select_item', 'b', { user_id: 'u' }), { click_rate: 1 }],
  ['a click on another item', act('select_item', 'z', { user_id: 'u' }), { click_rate: 0 }],
  ['a click on a list of another placement', act('select_item', 'a', { user_id: 'u', placement: 'search' }), { click_rate: 0 }],
  ['a click that names another answer', act('select_item', 'a', { user_id: 'u', recommendation_id: 'r9' }), { click_rate: 0 }],
  ['a click of somebody else', act('select_item', 'a', { user_id: 'v' }), { click_rate: 0 }],
  ['a view', act('view_item', 'a', { user_id: 'u' }), { click_rate: 0, basket_rate: 0 }],
  ['a basket', act('add_to_cart', 'a', { user_id: 'u' }), { basket_rate: 1, click_rate: 0 }],
  ['a purchase of what was shown', act('purchase', 'a', { user_id: 'u', value: 30 }), { purchase_rate: 1, revenue_per_visitor: 30 }],
  [
    'a purchase of something else counts as revenue alone',
    act('purchase', 'z', { user_id: 'u', items: [{ item_id: 'z', price: 4, quantity: 2 }] }),
    { purchase_rate: 0, revenue_per_visitor: 8 },
  ],
  [
    'what was done before and is told late',
    act('purchase', 'a', { user_id: 'u', value: 30, timestamp_ms: NOW - 1 }),
    { purchase_rate: 0, revenue_per_visitor: 0 },
  ],
  [
    'what comes behind the window',
    act('purchase', 'a', { user_id: 'u', value: 30 }, NOW + 3 * HOUR_MS),
    { purchase_rate: 0, revenue_per_visitor: 0 },
  ],
])('%s', (_, fact, wanted) => {
  expect(means(answer({ user: 'u' }), fact)).toMatchObject(wanted);
});

test('a visitor is counted once, when the window is over, and the first answer at once', () => {
  const tally = new Tally(EXPERIMENT);
  const result = () => tally.result(EXPERIMENT, true).variants[0]!;
  tally.take(answer({ user: 'u', degraded: true }));
  tally.take(answer({ id: 'r2', user: 'u', atMs: NOW + HOUR_MS }));
  expect(result()).toMatchObject({ visitors: 1, counted: 0, means: { degraded_share: 1, latency_ms: 3, click_rate: null } });
  tally.take(answer({ id: 'r3', user: 'u', atMs: NOW + 2 * HOUR_MS }));
  tally.take(answer({ id: 'r4', user: 'u', atMs: NOW + 9 * HOUR_MS }));
  expect(result()).toMatchObject({ visitors: 1, counted: 1, means: { click_rate: 0 } });
});

test('answers of other experiments, of nobody and of no variant count nothing', () => {
  const tally = new Tally(EXPERIMENT);
  const other = answer({ user: 'u' }) as Extract<Fact, { kind: 'recommendation' }>;
  tally.take({ ...other, response: { ...other.response, experiment: { experiment_id: 'e2', variant: 'control' } } });
  tally.take(answer({}));
  tally.take(answer({ user: 'u', variant: 'unheard-of' }));
  expect(tally.result(EXPERIMENT, true).variants.map(({ visitors }) => visitors)).toEqual([0, 0]);
});

test('is bounded: beyond the limit nobody is counted, until windows close', () => {
  const tally = new Tally(EXPERIMENT);
  for (let n = 0; n < WAITING_MAX + 5; n++) tally.take(answer({ id: `r${n}`, user: `u${n}` }));
  expect(tally.result(EXPERIMENT, true)).toMatchObject({ answers_over: 5, variants: [{ visitors: WAITING_MAX, counted: 0 }, { visitors: 0 }] });
  tally.take(answer({ user: 'later', atMs: NOW + 3 * HOUR_MS }));
  expect(tally.result(EXPERIMENT, true).variants[0]).toMatchObject({ visitors: WAITING_MAX + 1, counted: WAITING_MAX });
});

test('tells a real difference, and a side that is missing', () => {
  const tally = new Tally(EXPERIMENT);
  for (let n = 0; n < 1_500; n++) {
    const variant = n % 3 === 0 ? 'other' : 'control';
    tally.take(answer({ id: `r${n}`, user: `u${n}`, variant, atMs: NOW + n }));
    if (n % (variant === 'other' ? 2 : 10) === 0) tally.take(act('select_item', 'a', { user_id: `u${n}` }, NOW + n));
  }
  tally.take(act('page_view', 'x', { user_id: 'nobody' }, NOW + 10 * HOUR_MS));
  const { comparisons, sample_ratio } = tally.result(EXPERIMENT, true);
  const clicks = comparisons.find(({ metric }) => metric === 'click_rate')!;
  expect(clicks.significant).toBe(true);
  expect(clicks.low).toBeGreaterThan(0);
  expect(comparisons.find(({ metric }) => metric === 'purchase_rate')).toMatchObject({ difference: null, significant: false });
  // Twice as many on one side, where halves were declared.
  expect(sample_ratio.mismatch).toBe(true);
});
