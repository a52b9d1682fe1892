import { GatehouseError } from '../contracts/errors.ts';
import { type ExpectedRewards, estimateValue, type LoggedPlaces, type OffPolicyEstimates } from './evaluation/off-policy.ts';
import type { FactSource } from './facts.ts';
import { fitGbdt, type GbdtModel } from './learners/gbdt/fit.ts';
import type { GbdtParams } from './learners/gbdt/params.ts';
import { predict } from './learners/gbdt/predict.ts';
import { type Decision, POOL_FEATURES, PolicyLog, type PolicyLogOptions } from './policy-log.ts';

export interface EvaluatePolicyOptions extends PolicyLogOptions {
  readonly facts: FactSource;
  readonly seed: number;
  /** Bootstrap samples. */
  readonly replicates?: number;
}

/** What another form of a placement would have brought, in rewards of one recommendation. */
export interface PolicyEvaluation extends OffPolicyEstimates {
  readonly recommendations: number;
  /** Recommendations without chance, which say nothing. */
  readonly certain: number;
  /** Share of what it would have shown that the log could have shown there; the rest counts as if it brought nothing (ips) or what others there brought (snips). */
  readonly supportedShare: number;
  /** Why there is no doubly robust estimate. */
  readonly noModel: string | undefined;
  /** Why there is none by the click model. */
  readonly noCurve: string | undefined;
}

const WIDTH = 1 + POOL_FEATURES.length;
/** Few and shallow: there is little to learn, and each fold learns from half of the rows. */
const PARAMS: Partial<GbdtParams> = { numIterations: 60, learningRate: 0.1, numLeaves: 8, minDataInLeaf: 50, lambdaL2: 5 };
const FOLDS = 2;

/**
 * Judges another form of a placement by what was shown with known chances, before anybody sees it. Visitors are what is drawn again for the intervals.
 * Rejects with `training_data_insufficient` where the log has no chances.
 */
export async function evaluatePolicy(options: EvaluatePolicyOptions): Promise<PolicyEvaluation> {
  const log = new PolicyLog(options);
  for await (const { fact } of options.facts.read()) log.take(fact);
  const decisions = log.require();
  const places = placesOf(decisions, noCurveOf(options) === undefined);
  let expected: ExpectedRewards | undefined;
  let noModel: string | undefined;
  try {
    expected = await crossFit(decisions, places, options);
  } catch (cause) {
    if (!(cause instanceof GatehouseError && cause.code === 'training_data_insufficient')) throw cause;
    noModel = cause.detail;
  }
  const groups = decisions.map(({ visitor }) => visitor);
  const supported = decisions.reduce((sum, decision) => sum + decision.supported, 0) / decisions.length;
  return {
    recommendations: decisions.length,
    certain: log.certain,
    supportedShare: supported,
    noModel,
    noCurve: noCurveOf(options),
    ...estimateValue(places, expected, options.seed, { groups, ...(options.replicates === undefined ? {} : { replicates: options.replicates }) }),
  };
}

/** What is bought or put into the basket hangs on more than on being looked at in the list. */
function noCurveOf({ reward, curves, placement }: EvaluatePolicyOptions): string | undefined {
  if (reward !== 'click') return 'the click model speaks of clicks alone';
  return curves?.newest ? undefined : `no bundle says how often the places of ${placement.id} are looked at`;
}

function placesOf(decisions: readonly Decision[], byLooks: boolean): LoggedPlaces {
  const starts = new Uint32Array(decisions.length + 1);
  for (const [n, { shown }] of decisions.entries()) starts[n + 1] = starts[n]! + shown.length;
  const rows = starts[decisions.length]!;
  const places = {
    decisions: decisions.length,
    starts,
    place: new Uint16Array(rows),
    reward: new Float64Array(rows),
    weight: new Float64Array(rows),
    lookWeight: byLooks ? new Float64Array(rows) : undefined,
  };
  for (const [n, { shown, rewards, propensities, chances, lookWeights }] of decisions.entries()) {
    for (const [place, position] of shown.entries()) {
      const row = starts[n]! + place;
      places.place[row] = place;
      places.reward[row] = rewards[place]!;
      places.weight[row] = (chances[place]?.[position] ?? 0) / (propensities[place] ?? 1);
      if (places.lookWeight) places.lookWeight[row] = lookWeights![place]!;
    }
  }
  return places;
}

/** Each fold of visitors is spoken of by a model that learned from the others. */
async function crossFit(decisions: readonly Decision[], places: LoggedPlaces, { reward, seed }: EvaluatePolicyOptions): Promise<ExpectedRewards> {
  const folds = foldsOf(decisions);
  const expected = { shown: new Float64Array(places.reward.length), policy: new Float64Array(decisions.length) };
  for (let fold = 0; fold < FOLDS; fold++) {
    const learned = decisions.flatMap((_, n) => (folds[n] === fold ? [] : [n]));
    const model = await fitReward(decisions, places, learned, reward === 'revenue', seed);
    for (const [n, decision] of decisions.entries()) if (folds[n] === fold) expectOf(decision, n, places, model, expected);
  }
  return expected;
}

/** Visitors in turn, in the order of their first recommendation. */
function foldsOf(decisions: readonly Decision[]): number[] {
  const byVisitor = new Map<string, number>();
  return decisions.map(({ visitor }) => {
    const fold = byVisitor.get(visitor) ?? byVisitor.size % FOLDS;
    byVisitor.set(visitor, fold);
    return fold;
  });
}

async function fitReward(
  decisions: readonly Decision[],
  { starts, reward }: LoggedPlaces,
  learned: readonly number[],
  isMoney: boolean,
  seed: number,
): Promise<GbdtModel> {
  const rows: number[] = [];
  const labels: number[] = [];
  for (const n of learned) {
    const decision = decisions[n]!;
    for (const [place, position] of decision.shown.entries()) {
      if (position < 0) continue;
      rows.push(...featuresOf(decision, place, position));
      labels.push(reward[starts[n]! + place]!);
    }
  }
  const table = { rows: Float32Array.from(rows), n: labels.length, f: WIDTH, labels: Float32Array.from(labels) };
  return fitGbdt(table, { ...PARAMS, objective: isMoney ? 'regression' : 'binary' }, { seed, threads: 1 });
}

/** Fills in what the model expects of a decision: of what was shown, and of what the policy in question would have shown. */
function expectOf(decision: Decision, n: number, { starts }: LoggedPlaces, model: GbdtModel, expected: ExpectedRewards): void {
  const rows: number[] = [];
  const uses: ((value: number) => void)[] = [];
  for (const [place, position] of decision.shown.entries()) {
    if (position < 0) continue;
    rows.push(...featuresOf(decision, place, position));
    uses.push((value) => {
      expected.shown[starts[n]! + place] = value;
    });
  }
  for (const [place, chances] of decision.chances.entries()) {
    for (const [position, chance] of chances.entries()) {
      if (chance === 0) continue;
      rows.push(...featuresOf(decision, place, position));
      uses.push((value) => {
        expected.policy[n]! += chance * value;
      });
    }
  }
  for (const [i, value] of predict(model, Float32Array.from(rows)).entries()) uses[i]!(value);
}

function featuresOf({ features }: Decision, place: number, position: number): number[] {
  const width = POOL_FEATURES.length;
  return [place, ...features.subarray(position * width, (position + 1) * width)];
}
