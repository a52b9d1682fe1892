// Ingests numbered events into the store at argv[2], from number argv[3] on, and prints the number of each acknowledged one.
// With argv[4] = `check` it only opens the store, prints what it holds as one line of JSON, and ends. With `fill` it ingests large events
// until the disk has no room for five batches in a row, then prints what it sees in memory as one line of JSON.
import { openLmdbStore } from '../../dist/store/lmdb.js';

const [, , path, start, mode] = process.argv;
const BATCH = 7;
const IN_FLIGHT = 4;
const encode = (state) => Buffer.from(JSON.stringify(state));

const store = await openLmdbStore({
  path,
  codec: { encode, encodeShared: encode, decode: (bytes) => JSON.parse(Buffer.from(bytes).toString()) },
  retention: { journalRecordsMax: 1e9, alertsMax: 1e9, idempotencyMs: 1e12, stateTtlMs: 1e12 },
});

const entities = (n) => [
  { kind: 'user', id: `u${n % 5}` },
  { kind: 'item', id: `i${n % 3}` },
];
const unit = (n) => ({
  key: `e:${n}`,
  digest: `d${n}`,
  fact: { kind: 'admin', at_ms: n, actor: 'child', action: 'count', detail: { n } },
  entities: entities(n),
  apply: (_ref, state = { count: 0 }) => {
    state.count++;
    return state;
  },
});

if (mode === 'check') {
  const numbers = [];
  for (let after = 0; ; ) {
    const records = await store.read(after, 5_000);
    if (records.length === 0) break;
    numbers.push(...records.map((record) => record.fact.detail.n));
    after = records.at(-1).offset;
  }
  // Everything again: none of it may count a second time.
  const resent = await store.ingest(numbers.map(unit));
  const refs = [0, 1, 2, 3, 4].map((n) => ({ kind: 'user', id: `u${n}` })).concat([0, 1, 2].map((n) => ({ kind: 'item', id: `i${n}` })));
  const states = await store.states(refs);
  const { first, last } = await store.bounds();
  process.stdout.write(
    `${JSON.stringify({
      numbers,
      bounds: { first, last },
      duplicates: resent.filter((result) => result.duplicate).length,
      counts: Object.fromEntries(refs.map((ref, i) => [ref.id, states[i]?.count ?? 0])),
    })}\n`,
  );
  await store.close();
} else if (mode === 'fill') {
  const codes = [];
  let acknowledged = 0;
  for (let n = 0; codes.length < 5; ) {
    const units = Array.from({ length: 20 }, () => {
      const base = unit(n++);
      return { ...base, fact: { ...base.fact, actor: 'x'.repeat(1_000) } };
    });
    try {
      await store.ingest(units);
      acknowledged += units.length;
    } catch (error) {
      codes.push(error.code);
    }
  }
  const users = await store.states([0, 1, 2, 3, 4].map((n) => ({ kind: 'user', id: `u${n}` })));
  const { last } = await store.bounds();
  process.stdout.write(`${JSON.stringify({ codes, acknowledged, last, counted: users.reduce((sum, state) => sum + state.count, 0) })}\n`);
  await store.close();
} else {
  process.stdout.write('open\n');
  let next = Number(start);
  await Promise.all(
    Array.from({ length: IN_FLIGHT }, async () => {
      for (;;) {
        const numbers = Array.from({ length: BATCH }, () => next++);
        await store.ingest(numbers.map(unit));
        process.stdout.write(`${numbers.join('\n')}\n`);
      }
    }),
  );
}
