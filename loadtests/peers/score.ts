/**
 * Payment scoring side by side: the gateway, with its journal durable and its features, rules and reasons on, and what a team would write instead,
 * (a) FastAPI and LightGBM with the features handed in, (b) the same with its velocity features read and updated in Redis.
 *
 *   sh loadtests/peers/python-env.sh && npm run build && node dist/loadtests/peers/score.js --help     (needs redis-server)
 */
import { DEFAULT_DECLARATIONS } from '../../scoring/features/defaults.ts';
import { createFeatureEngine } from '../../scoring/features/engine.ts';
import { FRAUD_SET } from '../../scoring/risk/pipeline.ts';
import { RedisServer } from '../../store/redis-server.testing.ts';
import { busyBefore } from '../load/processes.ts';
import { type Measured, ms, type Verdict, whole } from '../load/report.ts';
import { startPythonService } from './python-service.ts';
import { type PeerOptions, peerProgram, SideBySide } from './side-by-side.ts';

const OURS = 'Gatehouse, durable';
const HANDED_IN = 'FastAPI + LightGBM, features handed in';
const IN_REDIS = 'FastAPI + LightGBM, features in Redis';
/** Times their throughput, and the share of their p99, that the gateway is to reach. */
const GOALS: readonly (readonly [string, number])[] = [
  [HANDED_IN, 5],
  [IN_REDIS, 15],
];
const P99_SHARE_GOAL = 1 / 4;

async function main(options: PeerOptions): Promise<void> {
  const busy = busyBefore();
  const run = await SideBySide.prepare(options);
  const { workers } = run;
  const columns = createFeatureEngine(DEFAULT_DECLARATIONS).names(FRAUD_SET).length;
  const env = { PEER_FEATURES: String(columns) };
  await run.gateway(OURS, 'score');
  await run.measure(HANDED_IN, await startPythonService({ service: 'score_service', workers, env }), 'features', columns);
  const redis = new RedisServer();
  await redis.start();
  try {
    const withRedis = { ...env, PEER_REDIS: redis.url.slice('unix://'.length) };
    await run.measure(IN_REDIS, await startPythonService({ service: 'score_service', workers, env: withRedis }), 'score');
  } finally {
    await redis.destroy();
  }
  await run.report(busy, `${columns} features, 100 trees of 31 leaves everywhere`, judge(run.rows), 'score peers');
}

function judge(rows: readonly Measured[]): Verdict[] {
  const row = (name: string) => rows.find((other) => other.name === name)!;
  const own = row(OURS);
  return GOALS.flatMap(([name, times]): Verdict[] => {
    const peer = row(name);
    const [faster, late] = [own.perS / peer.perS, own.p99Ms / peer.p99Ms];
    return [
      {
        goal: `at least ${times} times ${name}`,
        got: `${faster.toFixed(1)} times (${whole(own.perS)} to ${whole(peer.perS)})`,
        met: faster >= times,
      },
      {
        goal: `at most ${P99_SHARE_GOAL} of its p99`,
        got: `${late.toFixed(2)} (${ms(own.p99Ms)} to ${ms(peer.p99Ms)} ms)`,
        met: late <= P99_SHARE_GOAL,
      },
    ];
  });
}

await main(peerProgram('score', 'Payment scoring beside what a team would write instead, in one run on one machine', 64).parse().opts<PeerOptions>());
