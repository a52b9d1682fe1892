import { randomUUID } from 'node:crypto';
import { GatehouseError } from '../../contracts/errors.ts';
import type { ExplorationLog } from '../../contracts/exploration.ts';
import type { Fact } from '../../contracts/fact.ts';
import type { RecommendPageRequest, RecommendPageResponse, RecommendRequest, RecommendResponse } from '../../contracts/recommend.ts';
import type { RecommendTrace } from '../../contracts/recommend-trace.ts';
import { SOURCE_OUTCOMES, SOURCES, type SourceOutcome } from '../../scoring/recommend/candidates/gather.ts';
import { createRecommender, RECOMMEND_STAGES, type RecommendStage } from '../../scoring/recommend/pipeline.ts';
import type { Placement } from '../../scoring/recommend/placements.ts';
import { Trace } from '../../scoring/recommend/trace.ts';
import type { Principal } from '../auth/keyring.ts';
import { visitorOf } from '../experiments/assign.ts';
import type { LatencyCell } from '../histogram.ts';
import type { DataDeps } from './plane.ts';

export interface Recommendations {
  /** `POST` and `GET /v1/recommend`. Rejects with `forbidden` where a publishable key asks to explain. */
  handle(request: RecommendRequest, principal: Pick<Principal, 'kind'>): Promise<RecommendResponse>;
  /** `POST /v1/recommend/page`: one placement behind the other, each without what those before it show. Rejects as `handle`. */
  handlePage(request: RecommendPageRequest, principal: Pick<Principal, 'kind'>): Promise<RecommendPageResponse>;
  /** The answer that the visitor would get, with what every stage did. Nothing is journalled. */
  inspect(request: RecommendRequest): Promise<RecommendTrace>;
}

interface Answer {
  readonly response: RecommendResponse;
  readonly exploration: ExplorationLog | undefined;
  readonly nowMs: number;
  readonly tookMs: number;
}

export function createRecommendations(deps: DataDeps): Recommendations {
  const { store, engine, catalogue, trending, itemNumbers, bundles, placements, config, metrics, log, now } = deps;
  const cells = Object.fromEntries(RECOMMEND_STAGES.map((stage) => [stage, metrics.latency('stages', stage)])) as Record<RecommendStage, LatencyCell>;
  const sources = sourceCells(metrics);
  const recommend = createRecommender({
    store,
    engine,
    catalogue,
    trending,
    itemNumbers,
    clicks: deps.clicks,
    countries: deps.countries,
    editorial: deps.editorial,
    untrained: deps.untrained,
    candidatesMax: config.candidatesMax,
    onStage: (stage, ms) => cells[stage].observe(ms / 1000),
    onSource: (source, outcome, ms) => sources[source][outcome]?.observe(ms / 1000),
    now: () => performance.now(),
  });

  async function answer(request: RecommendRequest, trace?: Trace): Promise<Answer> {
    const declared = (request.placement !== undefined && placements.get(request.placement)) || placements.fallback();
    const trial = deps.experiments.trialOf(declared.id, visitorOf(request));
    const placement = trial?.placement ?? declared;
    const started = performance.now();
    const deadline = started + config.recommendDeadlineMs;
    const nowMs = now();
    const recommendationId = `r${randomUUID()}`;
    let exploration: ExplorationLog | undefined;
    const response = await bundles.lease(async (bundle): Promise<RecommendResponse> => {
      const made = await recommend(request, placement, bundle?.recommend, nowMs, deadline, recommendationId, trace);
      const { items, degradedBy } = made;
      exploration = made.exploration;
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
    return { response, exploration, nowMs, tookMs: performance.now() - started };
  }

  async function handle(request: RecommendRequest, { kind }: Pick<Principal, 'kind'>): Promise<RecommendResponse> {
    if (request.explain && kind === 'publishable')
      throw new GatehouseError('forbidden', 'a publishable key may not ask to explain: it would tell any page what a shopper did');
    const { response, exploration, nowMs, tookMs } = await answer(request);
    // What was shown is for learning, not for the shopper: the answer does not wait for the disk, and does not fail with it.
    const fact: Fact = {
      kind: 'recommendation',
      at_ms: nowMs,
      request,
      response: request.explain ? withoutExplanations(response) : response,
      took_ms: tookMs,
      ...(exploration === undefined ? {} : { exploration }),
    };
    store.write([fact], [], { durable: false }).catch((cause: unknown) => {
      metrics.counter('degraded', 'recommend', 'impression_lost').inc();
      log.warn({ err: cause }, 'a recommendation could not be journalled');
    });
    return response;
  }

  return {
    handle,
    async handlePage({ placements: slots, exclude = [], ...visitor }, principal) {
      const shown = [...exclude];
      const answers: RecommendResponse[] = [];
      for (const slot of slots) {
        const answer = await handle({ ...visitor, ...slot, exclude: [...shown] }, principal);
        answers.push(answer);
        for (const { item_id } of answer.items) shown.push(item_id);
      }
      return { answers };
    },
    async inspect(request) {
      const trace = new Trace(catalogue.handles);
      const { response } = await answer({ ...request, explain: true }, trace);
      const { stages, scoredBy, candidates } = trace;
      return { response, stages, scored_by: scoredBy, sources: trace.sources, candidates: [...candidates] };
    },
  };
}

/** They would make the journal's record ten times as long, and nothing learns from them. */
function withoutExplanations(response: RecommendResponse): RecommendResponse {
  return { ...response, items: response.items.map(({ explanation: _, ...item }) => item) };
}

type SourceCells = Record<keyof Placement['sources'], Partial<Record<SourceOutcome, LatencyCell>>>;

/** Not of sources that are off. */
function sourceCells(metrics: DataDeps['metrics']): SourceCells {
  const outcomes = SOURCE_OUTCOMES.filter((outcome) => outcome !== 'off');
  return Object.fromEntries(
    SOURCES.map(({ name }) => [name, Object.fromEntries(outcomes.map((outcome) => [outcome, metrics.latency('sources', name, outcome)]))]),
  ) as SourceCells;
}
