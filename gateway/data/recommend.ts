import { randomUUID } from 'node:crypto';
import type { RecommendRequest, RecommendResponse } from '../../contracts/recommend.ts';
import { createRecommender, RECOMMEND_STAGES, type RecommendStage } from '../../scoring/recommend/pipeline.ts';
import { DEFAULT_PLACEMENT, DEFAULT_PLACEMENTS } from '../../scoring/recommend/placements.ts';
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
    candidatesMax: config.candidatesMax,
    onStage: (stage, ms) => cells[stage].observe(ms / 1000),
    now: () => performance.now(),
  });
  for (const { when } of placements.values()) if (when !== undefined) catalogue.rule(when);
  const fallback = placements.get(DEFAULT_PLACEMENT) ?? placements.values().next().value ?? DEFAULT_PLACEMENTS[0]!;

  return async function handleRecommend(request: RecommendRequest): Promise<RecommendResponse> {
    const placement = (request.placement !== undefined && placements.get(request.placement)) || fallback;
    const deadline = performance.now() + config.recommendDeadlineMs;
    const nowMs = now();
    const response = await bundles.lease(async (bundle): Promise<RecommendResponse> => {
      const { items, degradedBy } = await recommend(request, placement, bundle?.recommend, nowMs, deadline);
      for (const reason of degradedBy) metrics.counter('degraded', 'recommend', reason).inc();
      return {
        recommendation_id: `r${randomUUID()}`,
        placement: placement.id,
        items,
        bundle: bundle?.manifest.version ?? null,
        degraded: degradedBy.length > 0,
        ...(degradedBy.length > 0 ? { degraded_by: [...degradedBy] } : {}),
      };
    });
    // What was shown is for learning, not for the shopper: the answer does not wait for the disk, and does not fail with it.
    store.write([{ kind: 'recommendation', at_ms: nowMs, request, response }], [], { durable: false }).catch((cause: unknown) => {
      metrics.counter('degraded', 'recommend', 'impression_lost').inc();
      log.warn({ err: cause }, 'a recommendation could not be journalled');
    });
    return response;
  };
}
