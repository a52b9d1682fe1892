import { randomUUID } from 'node:crypto';
import type { ExplorationLog } from '../../contracts/exploration.ts';
import type { Fact } from '../../contracts/fact.ts';
import type { RecommendRequest, RecommendResponse } from '../../contracts/recommend.ts';
import { createRecommender, RECOMMEND_STAGES, type RecommendStage } from '../../scoring/recommend/pipeline.ts';
import { DEFAULT_PLACEMENT, DEFAULT_PLACEMENTS } from '../../scoring/recommend/placements.ts';
import { visitorOf } from '../experiments/assign.ts';
import type { LatencyCell } from '../histogram.ts';
import type { DataDeps } from './plane.ts';

/** `POST` and `GET /v1/recommend`. */
export function createRecommendHandler(deps: DataDeps) {
  const { store, engine, catalogue, trending, itemNumbers, bundles, placements, config, metrics, log, now } = deps;
  const cells = Object.fromEntries(RECOMMEND_STAGES.map((stage) => [stage, metrics.latency('stages', stage)])) as Record<RecommendStage, LatencyCell>;
  const recommend = createRecommender({
    store,
    engine,
    catalogue,
    trending,
    itemNumbers,
    clicks: deps.clicks,
    candidatesMax: config.candidatesMax,
    onStage: (stage, ms) => cells[stage].observe(ms / 1000),
    now: () => performance.now(),
  });
  for (const { when } of placements.values()) if (when !== undefined) catalogue.rule(when);
  const fallback = placements.get(DEFAULT_PLACEMENT) ?? placements.values().next().value ?? DEFAULT_PLACEMENTS[0]!;

  return async function handleRecommend(request: RecommendRequest): Promise<RecommendResponse> {
    const declared = (request.placement !== undefined && placements.get(request.placement)) || fallback;
    const trial = deps.experiments.trialOf(declared.id, visitorOf(request));
    const placement = trial?.placement ?? declared;
    const started = performance.now();
    const deadline = started + config.recommendDeadlineMs;
    const nowMs = now();
    const recommendationId = `r${randomUUID()}`;
    let exploration: ExplorationLog | undefined;
    const response = await bundles.lease(async (bundle): Promise<RecommendResponse> => {
      const answer = await recommend(request, placement, bundle?.recommend, nowMs, deadline, recommendationId);
      const { items, degradedBy } = answer;
      exploration = answer.exploration;
      for (const reason of degradedBy) metrics.counter('degraded', 'recommend', reason).inc();
      return {
        recommendation_id: recommendationId,
        placement: placement.id,
        items,
        bundle: bundle?.manifest.version ?? null,
        ...(trial === undefined ? {} : { experiment: { experiment_id: trial.experiment_id, variant: trial.variant } }),
        degraded: degradedBy.length > 0,
        ...(degradedBy.length > 0 ? { degraded_by: [...degradedBy] } : {}),
      };
    });
    // What was shown is for learning, not for the shopper: the answer does not wait for the disk, and does not fail with it.
    const took_ms = performance.now() - started;
    const fact: Fact = { kind: 'recommendation', at_ms: nowMs, request, response, took_ms, ...(exploration === undefined ? {} : { exploration }) };
    store.write([fact], [], { durable: false }).catch((cause: unknown) => {
      metrics.counter('degraded', 'recommend', 'impression_lost').inc();
      log.warn({ err: cause }, 'a recommendation could not be journalled');
    });
    return response;
  };
}
