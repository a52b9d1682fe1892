import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { TimedEvent } from '../../contracts/event.ts';
import type { Item } from '../../contracts/item.ts';
import type { EntityRef } from '../../store/contract.ts';
import { openMemoryStore } from '../../store/memory.ts';
import type { Candidate, EntityState, FeatureDeclarations } from '../features/contract.ts';
import { DEFAULT_DECLARATIONS } from '../features/defaults.ts';
import { createFeatureEngine } from '../features/engine.ts';
import { eventUnit } from '../ingest.ts';
import { Catalogue } from './catalogue.ts';
import { ItemNumbersTable } from './item-numbers.ts';
import { RANK_SET } from './pipeline.ts';

const T0 = 1_750_000_000_000;
const HOUR = 3_600_000;
const ITEMS = 8;
const LATE_MS = 60_000;

/** Numbers that the age of an item's events decides change each millisecond; the shipped set has none of these. */
const AGES: FeatureDeclarations = {
  ...DEFAULT_DECLARATIONS,
  sets: {
    ...DEFAULT_DECLARATIONS.sets,
    [RANK_SET]: [
      ...DEFAULT_DECLARATIONS.sets[RANK_SET]!,
      { name: 'viewed_ago', text: '{value}', aggregate: 'time_since', entity: 'item', edge: 'last', events: ['view_item'] },
      { name: 'viewers', text: '{value}', aggregate: 'distinct', entity: 'item', window: '24h', of: 'user_id', events: ['view_item'] },
      { name: 'mean_paid', text: '{value}', aggregate: 'mean', entity: 'item', window: '7d', of: 'price', events: ['purchase'] },
    ],
  },
};

const step = fc.record({
  afterMs: fc.oneof(fc.constant(0), fc.integer({ min: 1, max: 3 * HOUR }), fc.integer({ min: 0, max: 40 * 24 * HOUR })),
  name: fc.constantFrom('view_item' as const, 'add_to_cart' as const, 'purchase' as const),
  item: fc.nat(ITEMS - 1),
  ask: fc.boolean(),
  changed: fc.option(fc.record({ price: fc.integer({ min: 1, max: 50 }), brand: fc.constantFrom('a', 'b') }), { nil: undefined }),
});

describe.each([
  ['the shipped features', DEFAULT_DECLARATIONS],
  ['features of every sort', AGES],
])('rows of columns, %s', (_, declarations) => {
  const engine = createFeatureEngine(declarations);
  const width = engine.names(RANK_SET).length;
  const contextKeys = engine.contextKeys(RANK_SET).length;

  test('are, value for value, rows of the states as they are', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 25 }), async (steps) => {
        const store = openMemoryStore<EntityState>();
        const catalogue = new Catalogue();
        const { handles } = catalogue;
        for (let i = 0; i < ITEMS; i++)
          catalogue.put({ item_id: `i${i}`, category: `c${i % 3}`, ...(i > 2 && { price: i, created_ms: T0 - i * HOUR }) });
        const table = new ItemNumbersTable(engine, RANK_SET, handles);
        const order = Int32Array.from({ length: ITEMS }, (_, i) => (i * 3) % ITEMS);
        const context = Array.from({ length: contextKeys }, (_, k) =>
          Float64Array.from(order, (handle) => (handle === k ? Number.NaN : handle / 7 + k)),
        );
        let nowMs = T0;
        let n = 0;
        for (const { afterMs, name, item, ask, changed } of steps) {
          nowMs += afterMs;
          const item_id = `i${item}`;
          if (changed) catalogue.put({ ...(catalogue.get(item_id) as Item), ...changed });
          const event: TimedEvent = { event_id: `e${n++}`, name, user_id: `u${n % 3}`, session_id: 's', timestamp_ms: nowMs, items: [{ item_id }] };
          await store.ingest([eventUnit(engine, (id) => catalogue.get(id), event, nowMs)]);
          table.touched(event);
          if (!ask) continue;
          if (!table.isFresh(order, ITEMS, nowMs)) await table.refresh(store, order, ITEMS, nowMs, LATE_MS);
          const refs: EntityRef[] = [
            { kind: 'user', id: 'u1' },
            { kind: 'session', id: 's' },
          ];
          for (const handle of order) refs.push({ kind: 'item', id: handles.idOf(handle) });
          const [user, session, ...states] = await store.states(refs);
          const subject = { nowMs, states: { user, session } };
          const given = { count: ITEMS, handles: order, items: catalogue, context, itemNumbers: table.values };
          const ranked = new Float32Array(ITEMS * width);
          engine.rows(RANK_SET, subject, given, ranked);
          const columns = new Float32Array(ITEMS * width);
          engine.columns(RANK_SET, subject, given, columns);
          const candidates = states.map(
            (state, c): Candidate => ({ item: catalogue.at(order[c]!), state, context: context.map((column) => column[c]!) }),
          );
          const rows = new Float32Array(ITEMS * width);
          engine.vectors(RANK_SET, subject, candidates, rows);
          expect(ranked).toEqual(rows);
          expect(columns).toEqual(rows.map((_, at) => rows[(at % ITEMS) * width + Math.floor(at / ITEMS)]!));
        }
      }),
      { seed: 12, numRuns: 60 },
    );
  });
});

describe('a table of item numbers', () => {
  const engine = createFeatureEngine(DEFAULT_DECLARATIONS);
  const view = (n: number): TimedEvent => ({ event_id: `e${n}`, name: 'view_item', user_id: 'u', timestamp_ms: T0, items: [{ item_id: 'i0' }] });

  test('reads no state twice while nothing happens, and each again in the next period', async () => {
    const catalogue = new Catalogue();
    for (const id of ['i0', 'i1']) catalogue.put({ item_id: id });
    const table = new ItemNumbersTable(engine, RANK_SET, catalogue.handles);
    const read: string[][] = [];
    const store = {
      states: async (refs: readonly EntityRef[]) => {
        read.push(refs.map(({ id }) => id));
        return refs.map(() => undefined);
      },
    };
    const both = Int32Array.of(0, 1);
    await table.refresh(store, both, 2, T0, LATE_MS);
    expect(table.isFresh(both, 2, T0)).toBe(true);
    table.touched(view(1));
    expect(table.isFresh(both, 2, T0)).toBe(false);
    await table.refresh(store, both, 2, T0, LATE_MS);
    expect(table.isFresh(both, 2, T0 + HOUR)).toBe(false);
    await table.refresh(store, both, 2, T0 + HOUR, LATE_MS);
    expect(read).toEqual([['i0', 'i1'], ['i0'], ['i0', 'i1']]);
  });

  test('does not lose an event that comes while it reads', async () => {
    const catalogue = new Catalogue();
    catalogue.put({ item_id: 'i0' });
    const table = new ItemNumbersTable(engine, RANK_SET, catalogue.handles);
    const store = {
      states: async () => {
        table.touched(view(1));
        return [undefined];
      },
    };
    await table.refresh(store, Int32Array.of(0), 1, T0, LATE_MS);
    expect(table.isFresh(Int32Array.of(0), 1, T0)).toBe(false);
  });

  test('refuses a set that asks for more of an item than numbers', () => {
    const share = { name: 's', text: '{value}', aggregate: 'share', entity: 'item', of: 'payment_method', events: ['purchase'] } as const;
    const declared = createFeatureEngine({ ...DEFAULT_DECLARATIONS, sets: { ...DEFAULT_DECLARATIONS.sets, [RANK_SET]: [share] } });
    expect(() => new ItemNumbersTable(declared, RANK_SET, new Catalogue().handles)).toThrow('config_invalid');
  });
});
