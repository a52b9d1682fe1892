import Type, { type Static } from 'typebox';
import { ADAPTER_COLUMNS_MAX, Calibration, OutputMeaning, RiskThresholds } from './bundle.ts';

/** The file that a data scientist writes beside an exported ONNX, for `gatehouse bundle add` (docs/bring-your-own-model.md). */
export const ModelManifest = Type.Object(
  {
    format: Type.Literal('gatehouse-model-1'),
    /** Which model of the bundle it replaces. */
    model: Type.Enum(['fraud', 'ranker']),
    /** The ONNX file; a relative path starts at the manifest. */
    file: Type.String({ minLength: 1 }),
    /** The set that the features are of; `gatehouse bundle features` prints it. Absent: the one that the gateway computes for this model. */
    set: Type.Optional(Type.String()),
    /** Its hash when the model was trained. Absent: the gateway's own is taken. */
    hash: Type.Optional(Type.String()),
    /** The features in the order of the model's columns: a subset of the set, in any order. */
    features: Type.Array(Type.String(), { minItems: 1, maxItems: ADAPTER_COLUMNS_MAX }),
    /** Absent: the only one. */
    input: Type.Optional(Type.String()),
    output: Type.String(),
    /** Which column of the output counts, from 0. Absent: the only one, or the last of a two-column probability. */
    column: Type.Optional(Type.Integer({ minimum: 0, maximum: ADAPTER_COLUMNS_MAX })),
    meaning: OutputMeaning,
    /** Of a fraud model: from its probability to a calibrated one. Absent: what the model says is taken as calibrated. */
    calibration: Type.Optional(Calibration),
    /** Of a fraud model. Absent: those of the active bundle's fraud model, or the trainer's. */
    thresholds: Type.Optional(RiskThresholds),
    /** Of a fraud model: a usual value of each feature, such as its median; null for missing. Decisions are then explained by occlusion, else not at all. */
    reference: Type.Optional(Type.Record(Type.String(), Type.Union([Type.Number(), Type.Null()]))),
    origin: Type.Optional(Type.String({ maxLength: 2000 })),
    metrics: Type.Optional(Type.Record(Type.String({ pattern: '^[a-z][a-z0-9_]{0,63}$' }), Type.Number())),
  },
  { additionalProperties: false },
);
export type ModelManifest = Static<typeof ModelManifest>;
