// Prints what the embedded store does on this machine: durable events/s in batches of 100, latency of one durable write, cached reads/s.
//   node dist/loadtests/bench/store.js [folder] [seconds]
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { EntityRef, StateCodec, Unit } from '../../store/contract.ts';
import { openLmdbStore } from '../../store/lmdb.ts';

/** A state of the size that a user's windows take when they are mostly empty. */
interface BenchState {
  count: number;
  lastMs: number;
}
const STATE_BYTES = 96;
const BATCH = 100;
/** Requests in flight: what 16 busy connections give. */
const IN_FLIGHT = 16;
const USERS = 20_000;
const ITEMS = 5_000;

const scratch = Buffer.alloc(STATE_BYTES);
const codec: StateCodec<BenchState> = {
  encode: (state) => Buffer.from(codec.encodeShared(state)),
  encodeShared(state) {
    scratch.writeDoubleBE(state.count, 0);
    scratch.writeDoubleBE(state.lastMs, 8);
    return scratch;
  },
  decode(bytes) {
    const view = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
    return { count: view.readDoubleBE(0), lastMs: view.readDoubleBE(8) };
  },
};

let serial = 0;
let seed = 1;
/** Park and Miller's minimal standard generator: the same run each time. */
function below(limit: number): number {
  seed = (seed * 48_271) % 2_147_483_647;
  return seed % limit;
}

function nextUnit(): Unit<BenchState> {
  const n = ++serial;
  const entities: EntityRef[] = [
    { kind: 'user', id: `user-${below(USERS)}` },
    { kind: 'item', id: `item-${below(ITEMS)}` },
  ];
  const event_id = `event-${below(1_000_000_000)}-${n}`;
  return {
    key: `e:${event_id}`,
    digest: `${n}`,
    fact: {
      kind: 'event',
      at_ms: n,
      event: { event_id, name: 'view_item', user_id: entities[0]?.id ?? '', timestamp_ms: n, items: [{ item_id: entities[1]?.id ?? '' }] },
    },
    entities,
    apply: (_ref, state = { count: 0, lastMs: 0 }) => {
      state.count++;
      state.lastMs = n;
      return state;
    },
  };
}

function percentile(sorted: readonly number[], share: number): number {
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Number.NaN;
}

const root = mkdtempSync(join(process.argv[2] ?? tmpdir(), 'gatehouse-bench-'));
const seconds = Number(process.argv[3] ?? 3);
try {
  const store = await openLmdbStore<BenchState>({
    path: join(root, 'store'),
    codec,
    retention: { journalRecordsMax: 1e9, alertsMax: 1e6, idempotencyMs: 1e12, stateTtlMs: 1e12 },
    clock: () => serial,
  });
  const single: number[] = [];
  for (const endMs = performance.now() + 1_000; performance.now() < endMs; ) {
    const startMs = performance.now();
    await store.ingest([nextUnit()]);
    single.push(performance.now() - startMs);
  }
  single.sort((a, b) => a - b);

  let events = 0;
  const batchMs: number[] = [];
  const cpu = process.cpuUsage();
  const startMs = performance.now();
  await Promise.all(
    Array.from({ length: IN_FLIGHT }, async () => {
      while (performance.now() - startMs < seconds * 1_000) {
        const units = Array.from({ length: BATCH }, nextUnit);
        const sentMs = performance.now();
        await store.ingest(units);
        batchMs.push(performance.now() - sentMs);
        events += BATCH;
      }
    }),
  );
  const elapsedMs = performance.now() - startMs;
  const used = process.cpuUsage(cpu);
  batchMs.sort((a, b) => a - b);

  const refs: EntityRef[] = [{ kind: 'user', id: 'user-1' }];
  const READS = 200_000;
  const readStartMs = performance.now();
  for (let i = 0; i < READS; i++) await store.states(refs);
  const readMs = performance.now() - readStartMs;

  const stats = await store.stats();
  process.stdout.write(
    `${JSON.stringify(
      {
        durable_events_per_s: Math.round((events / elapsedMs) * 1_000),
        batch_of_100_ms: { p50: percentile(batchMs, 0.5), p99: percentile(batchMs, 0.99) },
        cpu_us_per_event: (used.user + used.system) / events,
        single_durable_ms: { p50: percentile(single, 0.5), p99: percentile(single, 0.99) },
        cached_state_reads_per_s: Math.round((READS / readMs) * 1_000),
        commits: stats['commits'],
        disk_mb: Math.round((stats['disk_bytes'] ?? 0) / 1e6),
      },
      null,
      2,
    )}\n`,
  );
  await store.close();
} finally {
  rmSync(root, { recursive: true, force: true });
}
