import { setTimeout as sleep } from 'node:timers/promises';
import { seededRandom } from '../../training/learners/random.ts';
import { bodyOf, Connection } from './client.ts';
import { Latencies } from './latencies.ts';
import { Pacer } from './pacer.ts';
import { requestSource, type WorkloadSpec } from './workloads.ts';

/** What the runner asks of this process; one job a process. */
export interface Job {
  readonly port: number;
  readonly connections: number;
  readonly warmupMs: number;
  readonly rounds: number;
  readonly roundMs: number;
  /** Requests a second of all connections together; as many as are answered where it is left out. */
  readonly perS?: number;
  readonly spec: WorkloadSpec;
}

/** What one timed round gave. Latencies are of good answers alone. */
export interface Round {
  readonly unitsPerS: number;
  readonly answers: number;
  readonly errors: number;
  readonly p50Ms: number;
  readonly p95Ms: number;
  readonly p99Ms: number;
  /** Cores that the generator used: near 1 it was the bottleneck, not the gateway. */
  readonly generatorCores: number;
}

/** What the gateway's Retry-After says, and what a client that was shed waits. */
const SHED_PAUSE_MS = 1_000;

/** Beyond the warm-up, for the first good answer: two windows of the gateway's overload guard. */
const FIRST_ANSWER_MS_MAX = 10_000;
const POLL_MS = 100;

/** Sent before the first timed round, after each round, and once at the end. */
export type GeneratorMessage =
  | { readonly kind: 'begin' }
  | { readonly kind: 'round'; readonly round: Round }
  | { readonly kind: 'end' }
  | { readonly kind: 'failed'; readonly reason: string };

/**
 * Closed loop: each connection sends its next request when the answer to the last one is there. With a rate, open loop once it is warm: a request that
 * is due while its connection waits for the answer before it is late from then on, so that a slow answer counts for all that queue behind it.
 */
async function drive(job: Job, tell: (message: GeneratorMessage) => void): Promise<void> {
  const source = requestSource(job.spec);
  const latencies = new Latencies();
  let errors = 0;
  let firstError: string | undefined;
  let stopped = false;
  let open = 0;
  let pacers: readonly Pacer[] = [];
  const connections = Array.from({ length: job.connections }, (_, i) => {
    let sinceMs = 0;
    const send = (fromMs: number): void => {
      sinceMs = fromMs;
      connection.send(source.next());
    };
    const sendNext = (): void => {
      const nowMs = performance.now();
      const dueMs = pacers[i]?.next() ?? nowMs;
      // A timer that fires late is this process's fault.
      if (dueMs > nowMs) setTimeout(() => send(performance.now()), dueMs - nowMs);
      else send(dueMs);
    };
    const connection: Connection = new Connection(
      job.port,
      () => {
        open++;
        sendNext();
      },
      (status, answer) => {
        if (status >= 200 && status < 300) latencies.add(performance.now() - sinceMs);
        else {
          errors++;
          firstError ??= `${status} ${bodyOf(answer).slice(0, 300)}`;
        }
        if (stopped) return;
        if (status === 503) setTimeout(sendNext, SHED_PAUSE_MS);
        else sendNext();
      },
      (error) => {
        if (!stopped) tell({ kind: 'failed', reason: `a connection was closed: ${error?.message ?? 'by the peer'}` });
      },
    );
    return connection;
  });
  await sleep(job.warmupMs);
  // A gateway that was overloaded by what ran before sheds for as long as its last window of delays says so.
  for (let waitedMs = 0; latencies.count === 0 && waitedMs < FIRST_ANSWER_MS_MAX; waitedMs += POLL_MS) await sleep(POLL_MS);
  if (open < job.connections) throw new Error(`only ${open} of ${job.connections} connections opened`);
  if (latencies.count === 0) throw new Error(`no good answer in the warm-up; the first error was ${firstError ?? 'none'}`);
  const { perS } = job;
  if (perS !== undefined) {
    const startMs = performance.now();
    const random = seededRandom(job.spec.seed);
    pacers = connections.map(() => new Pacer(startMs, (1000 * job.connections) / perS, random));
  }
  tell({ kind: 'begin' });
  for (let i = 0; i < job.rounds; i++) {
    latencies.clear();
    errors = 0;
    const cpu = process.cpuUsage();
    const startMs = performance.now();
    await sleep(job.roundMs);
    const elapsedMs = performance.now() - startMs;
    const used = process.cpuUsage(cpu);
    tell({
      kind: 'round',
      round: {
        unitsPerS: (latencies.count * source.unitsPerRequest * 1000) / elapsedMs,
        answers: latencies.count,
        errors,
        p50Ms: latencies.quantileMs(0.5),
        p95Ms: latencies.quantileMs(0.95),
        p99Ms: latencies.quantileMs(0.99),
        generatorCores: (used.user + used.system) / 1000 / elapsedMs,
      },
    });
  }
  stopped = true;
  tell({ kind: 'end' });
  for (const connection of connections) connection.close();
}

process.once('message', (job) => {
  const tell = (message: GeneratorMessage): void => {
    process.send?.(message);
  };
  drive(job as Job, tell)
    .catch((error: unknown) => tell({ kind: 'failed', reason: error instanceof Error ? error.message : String(error) }))
    .finally(() => process.disconnect());
});
