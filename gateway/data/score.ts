import { GatehouseError } from '../../contracts/errors.ts';
import type { ScoreRequest } from '../../contracts/score.ts';
import { JsonText } from '../../contracts/wire.ts';
import type { EntityState } from '../../scoring/features/contract.ts';
import { eventUnit, paymentEvent } from '../../scoring/ingest.ts';
import { withRate } from '../../scoring/rates.ts';
import { assess, type FraudModel } from '../../scoring/risk/pipeline.ts';
import { takesPart } from '../../scoring/risk/rollout.ts';
import { type EntityKind, ERASED_ANSWER, type UnitResult } from '../../store/contract.ts';
import type { DataDeps } from './plane.ts';
import { settleTime } from './time.ts';

/** An answer as the store keeps it: JSON in UTF-8. Throws `erased`. */
function storedAnswer(bytes: Uint8Array): JsonText {
  if (bytes.length === ERASED_ANSWER.length) throw new GatehouseError('erased', 'the answer to this transaction was erased with its user');
  return new JsonText(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('utf8'));
}

/**
 * `POST /v1/score`. The payment attempt is journalled and counted first, then judged; the decision is recorded once per transaction. A retry,
 * a twin request and a request that follows a crash half-way all end with the one stored answer.
 */
export function createScoreHandler(deps: DataDeps) {
  const { store, engine, catalogue, bundles, config, metrics, log, now, restrictions, watch, desk, rates, itemNumbers } = deps;
  const durable = config.durability === 'sync';
  const terms = { suspend: config.suspendMs, restrict_payment_method: config.restrictMs };
  const stages = {
    state: metrics.latency('stages', 'score_state'),
    assess: metrics.latency('stages', 'score_assess'),
    store: metrics.latency('stages', 'score_store'),
  };

  return async function handleScore(sent: ScoreRequest): Promise<JsonText> {
    const nowMs = now();
    const started = performance.now();
    const request = settleTime(sent, nowMs, config.clockSkewMaxMs, '/timestamp_ms');
    const event = withRate(paymentEvent(request, request.timestamp_ms), rates);
    const unit = eventUnit(engine, (id) => catalogue.get(id), event, nowMs);
    // `decide` waits for both, so the event itself need not be on disk before the model runs.
    let results: readonly UnitResult<EntityState>[];
    try {
      results = await store.ingest([unit], { durable: false });
    } finally {
      itemNumbers.touched(event);
    }
    const [result] = results;
    if (!result) throw new Error('the store gave no result for a unit');
    if (result.conflict) throw new GatehouseError('event_conflict', `${request.transaction_id} was scored before with another content`);
    if (result.answer) return storedAnswer(result.answer);
    const states: Partial<Record<EntityKind, EntityState | undefined>> = {};
    for (let i = 0; i < unit.entities.length; i++) {
      const { kind } = unit.entities[i]!;
      // Items are many; the fraud features are about the payment's other entities.
      if (kind !== 'item') states[kind] = result.states[i];
    }
    const seen = performance.now();
    stages.state.observe((seen - started) / 1000);

    let model: FraudModel | undefined;
    const outcome = await bundles.lease((bundle, challenger) => {
      const tried = challenger?.bundle.fraud;
      const decides = challenger !== undefined && takesPart(request.user_id, challenger.version, challenger.share);
      model = decides ? tried : bundle?.fraud;
      const other = decides ? bundle?.fraud : tried;
      return assess(engine, {
        request,
        event,
        states,
        model,
        other,
        anomaly: (decides ? challenger.bundle : bundle)?.anomaly,
        rules: desk.book(),
        standing: restrictions.standing(request, nowMs),
        terms,
        nowMs,
        deadlineMs: config.scoreDeadlineMs,
      });
    });
    for (const { reason, cause } of outcome.failures) {
      metrics.counter('degraded', 'score', reason).inc();
      if (cause !== undefined) log.warn({ err: cause, reason }, 'a score is degraded');
    }
    const assessed = performance.now();
    stages.assess.observe((assessed - seen) / 1000);

    // Before the decision in the store's order: a crash between the two leaves a restriction that the retry imposes again, never a decision without its effect.
    if (outcome.imposed !== undefined && !restrictions.impose(outcome.imposed))
      log.error({ ...outcome.imposed }, 'too many restrictions: this one holds for its payment alone');
    const answer = JSON.stringify(outcome.response);
    const decided = await store.decide(unit.key, outcome.decision, Buffer.from(answer, 'utf8'), outcome.alert, { durable });
    stages.store.observe((performance.now() - assessed) / 1000);
    if (!decided.won) return storedAnswer(decided.answer);
    metrics.counter('decisions', outcome.response.decision).inc();
    const said = outcome.decision.other_model;
    if (said !== undefined) metrics.counter('otherModel', outcome.response.decision, said.decision).inc();
    watch.scored(model, outcome.decision, nowMs);
    for (const hit of outcome.response.rule_hits) metrics.counter('ruleHits', hit.rule).inc();
    for (const hit of outcome.decision.shadow_hits ?? []) metrics.counter('shadowHits', hit.rule).inc();
    desk.observe(outcome.response.rule_hits, nowMs);
    if (outcome.alert) metrics.counter('alerts', outcome.alert.severity).inc();
    return new JsonText(answer);
  };
}
