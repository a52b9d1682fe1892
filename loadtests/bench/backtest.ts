/**
 * A backtest of 20 rules over a journal of simulated payments, in the process that the gateway starts for it: wall, CPU and the most memory that it held.
 * `decided` payments have their decision in the journal, as the gateway's own have; `imported` ones have none, so that a replay makes their features.
 *
 *   node dist/loadtests/bench/backtest.js [payments] [decided | imported]
 */
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { TimedEvent } from '../../contracts/event.ts';
import type { Fact } from '../../contracts/fact.ts';
import type { Rule } from '../../contracts/rules.ts';
import type { ScoreRequest } from '../../contracts/score.ts';
import { backtestInChild } from '../../gateway/rules/backtest-process.ts';
import { entryChange, listChange } from '../../gateway/rules/stored-lists.ts';
import { EntityReplay } from '../../scoring/entity-replay.ts';
import { DEFAULT_DECLARATIONS } from '../../scoring/features/defaults.ts';
import { createFeatureEngine } from '../../scoring/features/engine.ts';
import { paymentEvent } from '../../scoring/ingest.ts';
import { DEFAULT_LISTS, DEFAULT_RULES } from '../../scoring/risk/default-rules.ts';
import { FRAUD_SET } from '../../scoring/risk/pipeline.ts';
import { openLmdbStore } from '../../store/lmdb.ts';
import { type Random, seededRandom } from '../../training/learners/random.ts';
import { skewed } from '../draws.ts';
import { payment } from '../load/workloads.ts';

const RULES = 20;
/** Each with a session, a card, a device and an address: the replay holds five states for each that paid. */
const USERS = 100_000;
/** The journal is four weeks long, whatever the number of payments. */
const SPAN_MS = 28 * 24 * 60 * 60_000;
const LARGE_SHARE = 0.01;
const FRAUD_SHARE = 0.005;
/** A chargeback comes this many payments later, within the same journal. */
const LABEL_BEHIND = 5_000;
const FACTS_PER_WRITE = 2_000;
const LISTED = 1_000;
const START_MS = Date.UTC(2026, 0, 1);

const payments = Number(process.argv[2] ?? 1_300_000);
const decided = (process.argv[3] ?? 'decided') === 'decided';
const engine = createFeatureEngine(DEFAULT_DECLARATIONS);

function requestAt(i: number, random: Random): ScoreRequest & { timestamp_ms: number } {
  const request = payment('bt', skewed(random, USERS), random.next() < LARGE_SHARE, random) as unknown as ScoreRequest;
  return { ...request, transaction_id: `t${i}`, timestamp_ms: START_MS + Math.floor((SPAN_MS * i) / payments) };
}

/** A decision as the gateway journals it; the model's word is drawn, the vector is the engine's. */
function decisionOf(request: ScoreRequest & { timestamp_ms: number }, vector: Float32Array, random: Random): Fact {
  const probability = random.next() ** 8;
  return {
    kind: 'decision',
    at_ms: request.timestamp_ms,
    request,
    response: {
      transaction_id: request.transaction_id,
      decision: 'approve',
      score: probability,
      probability,
      anomaly: random.next(),
      reasons: [],
      rule_hits: [],
      bundle: 'bench',
      degraded: false,
    },
    vector: [...vector],
    feature_hash: engine.hash(FRAUD_SET),
    ruleset: '0123456789abcdef',
  };
}

function chargebackOf(i: number, atMs: number): TimedEvent {
  return { event_id: `c${i}`, name: 'chargeback', transaction_id: `t${i}`, timestamp_ms: atMs };
}

async function fill(dir: string): Promise<void> {
  const store = await openLmdbStore({
    path: join(dir, 'store'),
    codec: engine.codec,
    retention: { journalRecordsMax: Number.MAX_SAFE_INTEGER, alertsMax: 1, idempotencyMs: 1, stateTtlMs: 1 },
  });
  const random = seededRandom(1);
  const states = new EntityReplay(engine);
  const vector = new Float32Array(engine.names(FRAUD_SET).length);
  let facts: Fact[] = [];
  const take = (fact: Fact): void => {
    if (decided) states.apply(fact);
    facts.push(fact);
  };
  await store.write(
    [],
    DEFAULT_LISTS.flatMap((list) => [
      listChange(list.name, undefined, { ...list, author: 'bench', created_ms: START_MS }),
      ...Array.from({ length: LISTED }, (_, i) => {
        const value = list.of === 'ip' ? `10.200.${i >> 8}.${i & 255}` : `${list.of}-${USERS + i}`;
        return entryChange(list.name, value, { value, reason: 'bench', author: 'bench', created_ms: START_MS });
      }),
    ]),
  );
  for (let i = 0; i < payments; i++) {
    const request = requestAt(i, random);
    const event = paymentEvent(request, request.timestamp_ms);
    take({ kind: 'event', at_ms: request.timestamp_ms, event });
    if (decided) {
      engine.vector(FRAUD_SET, states.paymentSubject(event), [], vector, 0);
      take(decisionOf(request, vector, random));
    }
    if (i >= LABEL_BEHIND && random.next() < FRAUD_SHARE)
      take({ kind: 'event', at_ms: request.timestamp_ms, event: chargebackOf(i - LABEL_BEHIND, request.timestamp_ms) });
    if (facts.length >= FACTS_PER_WRITE) {
      await store.write(facts);
      facts = [];
    }
  }
  await store.write(facts);
  await store.close();
}

/** The shipped rules again and again, all in shadow: each payment is judged by twenty. */
const rules = Array.from({ length: RULES }, (_, i): Rule => ({ ...DEFAULT_RULES[i % DEFAULT_RULES.length]!, id: `r${i}` }));

const dir = await mkdtemp(join(tmpdir(), 'gatehouse-backtest-'));
try {
  let startMs = performance.now();
  await fill(dir);
  process.stderr.write(
    `a journal of ${payments} payments (${decided ? 'decided' : 'imported'}) was filled in ${((performance.now() - startMs) / 1000).toFixed(0)} s\n`,
  );
  const usagePath = join(dir, 'usage.json');
  process.env['BACKTEST_USAGE'] = usagePath;
  startMs = performance.now();
  const { done } = backtestInChild(
    {
      journal: { store: 'lmdb', dataDir: dir, redisUrl: '', redisPrefix: '' },
      featuresFile: undefined,
      rules,
      request: { transactions_max: payments },
    },
    () => {},
    fileURLToPath(new URL('./backtest-child.js', import.meta.url)),
  );
  const result = await done;
  const wallS = (performance.now() - startMs) / 1000;
  if (!result) throw new Error('the backtest was cancelled');
  const { userCPUTime, systemCPUTime, maxRSS } = JSON.parse(await readFile(usagePath, 'utf8')) as NodeJS.ResourceUsage;
  process.stdout.write(
    `${RULES} rules over ${result.transactions} payments (${result.journalled} journalled, ${result.replayed} replayed, ${result.left_out} left out, ${result.fraud} fraud): ` +
      `${wallS.toFixed(1)} s by the clock, ${((userCPUTime + systemCPUTime) / 1e6).toFixed(1)} s of CPU (system ${(systemCPUTime / 1e6).toFixed(1)}), ` +
      `${Math.round(maxRSS / 1024)} MB at most\n`,
  );
} finally {
  await rm(dir, { recursive: true, force: true });
}
