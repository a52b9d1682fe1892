import { treeEnsembleToOnnx } from '../../onnx/treeEnsemble.ts';
import type { FitOptions } from '../contract.ts';
import { fitGbdt } from '../gbdt/fit.ts';
import type { GbdtParams } from '../gbdt/params.ts';
import { predict } from '../gbdt/predict.ts';
import { fitLogistic, type LogisticParams, logisticToOnnx, predictLogistic } from '../linear/logistic.ts';
import { fitSvm, predictSvm, type SvmParams, svmToOnnx } from '../linear/svm.ts';
import type { TableRows } from '../linear/table.ts';

/** A fitted model of any kind, seen as an ensemble sees it. */
export interface Member {
  /** One value for each float32 row: the probability of class 1, or the number itself. */
  predict(rows: Float32Array): Float32Array;
  /** Input `features` float [N, F]; `output` float [N, 1] equals `predict`. */
  toOnnx(): Uint8Array;
  readonly output: 'probability' | 'score' | 'mean';
}

/** A learner with its parameters: what an ensemble fits again and again on other rows. */
export type MemberLearner = (rows: TableRows, options: FitOptions) => Promise<Member>;

export function logisticMember(params: Partial<LogisticParams>): MemberLearner {
  return async (rows, options) => {
    const model = fitLogistic(rows, params, options);
    return { predict: (given) => predictLogistic(model, given), toOnnx: () => logisticToOnnx(model), output: 'probability' };
  };
}

export function svmMember(params: Partial<SvmParams>): MemberLearner {
  return async (rows, options) => {
    const model = fitSvm(rows, params, options);
    return { predict: (given) => predictSvm(model, given), toOnnx: () => svmToOnnx(model), output: 'probability' };
  };
}

/** Boosted trees: `binary` gives probabilities, `poisson` means, the other objectives their score. */
export function gbdtMember(params: Partial<GbdtParams>): MemberLearner {
  return async (rows, options) => {
    const model = await fitGbdt(rows, params, options);
    const output = model.objective === 'binary' ? 'probability' : model.objective === 'poisson' ? 'mean' : 'score';
    return { predict: (given) => predict(model, given), toOnnx: () => treeEnsembleToOnnx(model), output };
  };
}
