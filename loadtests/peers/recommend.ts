/**
 * Recommendations side by side: the gateway, with the shipped placements (all candidate sources, the ranker, filters, diversity, and each answer in the journal),
 * and what a team would write instead: FastAPI and the `implicit` package, whose answer is the nearest items to a user fitted once.
 *
 *   sh loadtests/peers/python-env.sh && npm run build && node dist/loadtests/peers/recommend.js --help
 */
import { busyBefore } from '../load/processes.ts';
import { type Measured, ms, type Verdict, whole } from '../load/report.ts';
import { startPythonService } from './python-service.ts';
import { type PeerOptions, peerProgram, SHOP, SideBySide } from './side-by-side.ts';

const OURS = 'Gatehouse, home and product';
const IMPLICIT = 'FastAPI + implicit, ALS of 64 factors';
const CONNECTIONS = 16;

async function main(options: PeerOptions): Promise<void> {
  const busy = busyBefore();
  const run = await SideBySide.prepare(options);
  await run.gateway(OURS, 'recommend');
  const env = { PEER_ITEMS: String(SHOP.items), PEER_USERS: String(SHOP.users), OPENBLAS_NUM_THREADS: '1' };
  await run.measure(IMPLICIT, await startPythonService({ service: 'recommend_service', workers: run.workers, env }), 'recommend');
  await run.report(busy, `${whole(SHOP.items)} items, 12 an answer`, judge(run.rows), 'recommend peers');
}

function judge([own, peer]: readonly Measured[]): Verdict[] {
  if (!own || !peer) throw new Error('two rows are compared');
  return [
    {
      goal: 'faster than FastAPI + implicit',
      got: `${(own.perS / peer.perS).toFixed(1)} times (${whole(own.perS)} to ${whole(peer.perS)})`,
      met: own.perS > peer.perS,
    },
    { goal: 'with a lower p99', got: `${ms(own.p99Ms)} to ${ms(peer.p99Ms)} ms`, met: own.p99Ms < peer.p99Ms },
  ];
}

await main(
  peerProgram('recommend', 'Recommendations beside what a team would write instead, in one run on one machine', CONNECTIONS)
    .parse()
    .opts<PeerOptions>(),
);
