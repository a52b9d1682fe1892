import type { Point } from './svg.ts';

/** What a training report shows. Numbers only; the report computes nothing but differences. */
export interface ReportInput {
  readonly title: string;
  readonly bundleVersion: string;
  readonly createdMs: number;
  readonly featureSetHash: string;
  readonly data: DataSummary;
  readonly models: readonly ModelReport[];
  readonly checks: readonly QualityCheck[];
  readonly environment: TrainingEnvironment;
}

export interface DataSummary {
  readonly facts: number;
  readonly users: number;
  readonly items: number;
  readonly fromMs: number;
  readonly toMs: number;
  readonly splits: readonly { readonly name: string; readonly rows: number; readonly fromMs: number; readonly toMs: number }[];
}

export interface QualityCheck {
  readonly name: string;
  readonly status: 'pass' | 'warn' | 'fail';
  readonly detail: string;
}

export interface TrainingEnvironment {
  readonly nodeVersion: string;
  readonly threads: number;
  readonly stages: readonly { readonly name: string; readonly seconds: number }[];
}

export interface ModelReport {
  readonly name: string;
  /** As `gbdt`, `two-tower`, `als`. */
  readonly kind: string;
  readonly params: Readonly<Record<string, string | number | boolean>>;
  /** Loss by iteration (or epoch). */
  readonly trainingCurve?: {
    readonly lossName: string;
    readonly stepName: string;
    readonly train: readonly Point[];
    readonly validation: readonly Point[];
    readonly bestStep?: number;
  };
  readonly metrics: readonly MetricRow[];
  /** x: false positive rate, y: true positive rate. */
  readonly roc?: readonly Point[];
  /** x: recall, y: precision; `positiveShare` is what a random order gives. */
  readonly precisionRecall?: { readonly points: readonly Point[]; readonly positiveShare: number };
  readonly calibration?: readonly { readonly predicted: number; readonly observed: number; readonly count: number }[];
  /** Counts per bin of score; `edges` is one longer than the counts. */
  readonly scores?: { readonly edges: readonly number[]; readonly negatives: readonly number[]; readonly positives: readonly number[] };
  /** Most important first; any scale. */
  readonly importance?: readonly { readonly feature: string; readonly value: number }[];
  readonly recallAtK?: {
    readonly model: readonly Point[];
    readonly baselines: readonly { readonly name: string; readonly points: readonly Point[] }[];
  };
}

export interface MetricRow {
  readonly metric: string;
  readonly value: number;
  /** Of the same metric on the same rows, by the baseline's name. */
  readonly baselines: Readonly<Record<string, number>>;
  readonly lowerIsBetter?: boolean;
}
