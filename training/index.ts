/** The offline trainer: the journal becomes a bundle. */
export { type AddModelOptions, addModel } from './bundle/add.ts';
export { type EvaluatePolicyOptions, evaluatePolicy, type PolicyEvaluation } from './evaluate-policy.ts';
export { RISK_COSTS, type RiskCosts } from './evaluation/action-thresholds.ts';
export { evaluateHeldOut, type HoldOutOptions, type HoldOutResult, type TaskResult } from './evaluation/hold-out.ts';
export { type ExportedRows, exportFraudRows } from './export-rows.ts';
export { type FactSource, factsOf, journalSource } from './facts.ts';
export { POLICY_REWARDS, type PolicyCurves, type PolicyReward } from './policy-log.ts';
export { SESSION_DEFAULTS } from './session-models.ts';
export { resumableOffset, type TrainOptions, type TrainParams, type TrainResult, train } from './train.ts';
