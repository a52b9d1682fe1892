import { Compile } from 'typebox/compile';
import type { Fact } from '../../contracts/fact.ts';
import { ScoreRequest } from '../../contracts/score.ts';
import { checkShape, decodeBody } from '../../contracts/wire.ts';
import type { EntityState, FeatureEngine } from '../../scoring/features/contract.ts';
import { eventUnit, paymentEvent } from '../../scoring/ingest.ts';
import { assess, FRAUD_SET, type FraudModel } from '../../scoring/risk/pipeline.ts';
import type { RuleBook } from '../../scoring/risk/rules.ts';
import type { EntityKind } from '../../store/contract.ts';
import { Packer } from '../../store/packer.ts';

/** Rounds over all payments; the first ones warm up the compiler and do not count. */
const ROUNDS = 8;
const ROUNDS_COUNTED = 4;
/** Rows of one model call, as many as the connections of the load test. */
const MODEL_ROWS = 64;
/** An explanation costs as much as all the rest, so fewer are timed. */
const EXPLAINED = 200;

const ShapeOfScore = Compile(ScoreRequest);

/** CPU time of this process for one call of `work`, in microseconds: what other processes do to the clock is left out. */
async function costUs(count: number, work: (i: number) => unknown): Promise<number> {
  let cpu = process.cpuUsage();
  for (let round = 0; round < ROUNDS; round++) {
    if (round === ROUNDS - ROUNDS_COUNTED) cpu = process.cpuUsage();
    for (let i = 0; i < count; i++) {
      const result = work(i);
      if (result instanceof Promise) await result;
    }
  }
  const { user, system } = process.cpuUsage(cpu);
  return (user + system) / (count * ROUNDS_COUNTED);
}

/** Times each stage of a score alone, over the same payments, and hands name and microseconds to `tell`. */
export async function scoreStages(
  engine: FeatureEngine,
  model: FraudModel,
  rules: RuleBook,
  bodies: readonly Uint8Array[],
  tell: (stage: string, us: number) => void,
): Promise<void> {
  const nowMs = Date.now();
  const time = async (stage: string, work: (i: number) => unknown): Promise<void> => tell(stage, await costUs(bodies.length, work));
  const read = (i: number): ScoreRequest => checkShape<ScoreRequest>(ShapeOfScore, decodeBody(bodies[i]!, 'application/json'));
  const requests = bodies.map((_, i) => ({ ...read(i), timestamp_ms: nowMs }));
  const unitOf = (i: number) => eventUnit(engine, () => undefined, paymentEvent(requests[i]!, nowMs), nowMs);
  const units = requests.map((_, i) => unitOf(i));
  const states = new Map<string, EntityState>();
  const bring = (i: number): void => {
    for (const ref of units[i]!.entities) {
      const key = `${ref.kind}:${ref.id}`;
      states.set(key, units[i]!.apply(ref, states.get(key)));
    }
  };
  await time('body: JSON and shape', read);
  await time('unit: event, entities, digest', unitOf);
  await time('states brought forward', bring);

  const inputs = requests.map((request, i) => {
    const own: Partial<Record<EntityKind, EntityState | undefined>> = {};
    for (const { kind, id } of units[i]!.entities) own[kind] = states.get(`${kind}:${id}`);
    return { request, event: paymentEvent(request, nowMs), states: own, model, rules, nowMs };
  });
  const width = engine.names(FRAUD_SET).length;
  const vectors = requests.map(() => new Float32Array(width));
  await time('feature vector', (i) => engine.vector(FRAUD_SET, { ...inputs[i]!, nowMs }, [], vectors[i]!, 0));
  const calls = Math.floor(bodies.length / MODEL_ROWS);
  const callUs = await costUs(calls, (call) =>
    Promise.all(vectors.slice(call * MODEL_ROWS, (call + 1) * MODEL_ROWS).map((row) => model.predict(row))),
  );
  tell(`model, of ${MODEL_ROWS} rows a call`, callUs / MODEL_ROWS);
  await time('rules', (i) => rules.evaluate({ request: requests[i]!, vector: vectors[i]!, score: 0.01, probability: 0.01, anomaly: 0.5, nowMs }));
  tell('explanation, where there is one', await costUs(EXPLAINED, (i) => model.contributions?.(vectors[i % vectors.length]!)));
  const results = await Promise.all(inputs.map((input) => assess(engine, input)));
  await time('answer as JSON', (i) => JSON.stringify(results[i]!.response));
  const packer = new Packer({ floatBlocks: true });
  const facts = units.map((unit, i): readonly Fact[] => [unit.fact, results[i]!.decision]);
  await time('both facts for the journal', (i) => {
    for (const fact of facts[i]!) packer.pack(fact);
  });
  await time('states encoded', (i) => {
    for (const { kind, id } of units[i]!.entities) engine.codec.encodeShared(states.get(`${kind}:${id}`)!);
  });
}
