import Type, { type Static } from 'typebox';

/** A file of a bundle. Names are flat: no folders, no dots that climb. */
export const BundleFile = Type.Object(
  {
    name: Type.String({ pattern: '^[a-z][a-z0-9_.-]{0,63}$' }),
    bytes: Type.Integer({ minimum: 0 }),
    sha256: Type.String({ pattern: '^[0-9a-f]{64}$' }),
  },
  { additionalProperties: false },
);
export type BundleFile = Static<typeof BundleFile>;

const FileName = BundleFile.properties.name;
/** A tensor of a model; -1 stands for a size that the caller chooses. */
export const TensorShape = Type.Object(
  { name: Type.String(), shape: Type.Array(Type.Integer({ minimum: -1 }), { maxItems: 4 }) },
  { additionalProperties: false },
);
export type TensorShape = Static<typeof TensorShape>;

const ModelFields = {
  file: FileName,
  inputs: Type.Array(TensorShape, { minItems: 1, maxItems: 4 }),
  outputs: Type.Array(TensorShape, { minItems: 1, maxItems: 4 }),
};

/** What a model's number means: a probability, its log-odds, or a score to sort by and nothing more. */
export const OutputMeaning = Type.Enum(['probability', 'log_odds', 'score']);
export type OutputMeaning = Static<typeof OutputMeaning>;

/** Wider than any declared set; the occlusion of a decision makes one row a column. */
export const ADAPTER_COLUMNS_MAX = 512;

/** How a model that others trained is fed and read (docs/bring-your-own-model.md). Absent from a row model: it has the tensors of the trainer's own. */
export const ModelAdapter = Type.Object(
  {
    /** Names of the set's features in the order of the model's columns: a subset, in any order. */
    features: Type.Array(Type.String(), { minItems: 1, maxItems: ADAPTER_COLUMNS_MAX }),
    input: Type.String(),
    output: Type.String(),
    /** Which column of the output counts, from 0; absent: the only one, or the last of two. */
    column: Type.Optional(Type.Integer({ minimum: 0, maximum: ADAPTER_COLUMNS_MAX })),
    meaning: OutputMeaning,
    /** What stands in for each feature when a decision is explained by occlusion, in the order of `features`; null is a missing value. */
    reference: Type.Optional(Type.Array(Type.Union([Type.Number(), Type.Null()]))),
    /** Where the model comes from, in words. */
    origin: Type.Optional(Type.String({ maxLength: 2000 })),
  },
  { additionalProperties: false },
);
export type ModelAdapter = Static<typeof ModelAdapter>;

/** A model over a feature set. `hash` is `FeatureEngine.hash(set)` when it was trained; another hash is refused. */
const RowModelFields = { ...ModelFields, set: Type.String(), hash: Type.String(), adapter: Type.Optional(ModelAdapter) };

/** Raw probability to calibrated: Platt on the log-odds, or a monotone step function by its knots. */
export const Calibration = Type.Union([
  Type.Object({ kind: Type.Literal('platt'), a: Type.Number(), b: Type.Number() }, { additionalProperties: false }),
  Type.Object({ kind: Type.Literal('isotonic'), x: Type.Array(Type.Number()), y: Type.Array(Type.Number()) }, { additionalProperties: false }),
]);
export type Calibration = Static<typeof Calibration>;

/**
 * From an anomaly model's score to the share of known payments that look less strange: `shares[i]` of them scored below `scores[i]`, straight lines between,
 * 0 below the first score and 1 above the last. Both ascend.
 */
export const AnomalyScale = Type.Object(
  {
    scores: Type.Array(Type.Number(), { minItems: 1, maxItems: 1000 }),
    shares: Type.Array(Type.Number({ minimum: 0, maximum: 1 }), { minItems: 1, maxItems: 1000 }),
  },
  { additionalProperties: false },
);
export type AnomalyScale = Static<typeof AnomalyScale>;

/** Calibrated probabilities from which each action applies. */
export const RiskThresholds = Type.Object(
  { review: Type.Number({ minimum: 0 }), challenge: Type.Number({ minimum: 0 }), decline: Type.Number({ minimum: 0 }) },
  { additionalProperties: false },
);
export type RiskThresholds = Static<typeof RiskThresholds>;

const IndexSnapshot = Type.Object(
  {
    format: Type.Literal('gatehouse-index-1'),
    kind: Type.Enum(['hnsw', 'exact']),
    metric: Type.Enum(['ip', 'cosine', 'l2']),
    dimensions: Type.Integer({ minimum: 1, maximum: 4096 }),
    count: Type.Integer({ minimum: 0 }),
    m: Type.Optional(Type.Integer()),
    efConstruction: Type.Optional(Type.Integer()),
    /** How inner products were lifted onto a sphere when the graph was built (index/graph-row.ts). */
    sphere: Type.Optional(Type.Object({ radius: Type.Number(), spread: Type.Number() }, { additionalProperties: false })),
    files: Type.Array(BundleFile),
  },
  { additionalProperties: false },
);

/** What a bundle may be called. Its folder has the same name, so it can't climb out of its parent. */
export const VERSION_PATTERN = '^[0-9A-Za-z][0-9A-Za-z._-]{0,63}$';

/** How past sessions are asked for what comes next: `v_stan` by visits like this one, `followers` by what came after its last items. */
export const SESSION_SEARCHES = ['v_stan', 'followers'] as const;
export type SessionSearchName = (typeof SESSION_SEARCHES)[number];

/** `manifest.json` of a bundle. Everything that the gateway loads is named here with its size and hash. */
export const BundleManifest = Type.Object(
  {
    format: Type.Literal('gatehouse-bundle-1'),
    /** Sortable and unique; also the folder's name. */
    version: Type.String({ pattern: VERSION_PATTERN }),
    created_ms: Type.Integer(),
    trained: Type.Object(
      {
        from_ms: Type.Integer(),
        to_ms: Type.Integer(),
        events: Type.Integer(),
        users: Type.Integer(),
        items: Type.Integer(),
        seed: Type.Integer(),
        journal_offset: Type.Integer(),
      },
      { additionalProperties: false },
    ),
    models: Type.Object(
      {
        /**
         * Input `features` [-1, F]; outputs `score` (log-odds) and `probability`, both [-1, 1]; with an adapter, what that says. `trees` is the same
         * ensemble for TreeSHAP (contracts/trees.ts); a model without it has no Shapley values.
         */
        fraud: Type.Optional(
          Type.Object(
            {
              ...RowModelFields,
              calibration: Calibration,
              thresholds: RiskThresholds,
              trees: Type.Optional(FileName),
              /** How features and score were distributed when the model was measured (`DriftReferenceFile`); without it no drift is watched. */
              reference: Type.Optional(FileName),
            },
            { additionalProperties: false },
          ),
        ),
        /** Isolation forest over the payments, without their outcomes: input `features` [-1, F]; output `score` [-1, 1], the higher the stranger. */
        anomaly: Type.Optional(
          Type.Object({ ...ModelFields, set: Type.String(), hash: Type.String(), scale: AnomalyScale }, { additionalProperties: false }),
        ),
        /** Input `features` [-1, F]; output `score` [-1, 1]; with an adapter, what that says. `trees` as for `fraud`: without it no item's score is explained. */
        ranker: Type.Optional(Type.Object({ ...RowModelFields, trees: Type.Optional(FileName) }, { additionalProperties: false })),
        /** ALS fold-in: inputs `items` [-1, factors] and `confidence` [-1]; output `user` [1, factors]. */
        user_tower: Type.Optional(
          Type.Object(
            { ...ModelFields, factors: Type.Integer({ minimum: 1 }), alpha: Type.Number(), history: Type.String() },
            { additionalProperties: false },
          ),
        ),
        /** Sequence encoder: input `items` int64 [-1, length_max], the oldest first, -1 for no click; output `query` [-1, width of its index]. */
        next_item: Type.Optional(
          Type.Object(
            {
              ...ModelFields,
              length_max: Type.Integer({ minimum: 1, maximum: 1000 }),
              /** MessagePack list: the id of each item number. */
              ids: FileName,
            },
            { additionalProperties: false },
          ),
        ),
      },
      { additionalProperties: false },
    ),
    indexes: Type.Object(
      { items: Type.Optional(IndexSnapshot), users: Type.Optional(IndexSnapshot), next_items: Type.Optional(IndexSnapshot) },
      { additionalProperties: false },
    ),
    tables: Type.Object(
      {
        neighbours: Type.Optional(FileName),
        popularity: Type.Optional(FileName),
        /** Item-to-item weights of a linear model (EASE), written like `neighbours`; the strongest of either sign first. */
        linear: Type.Optional(FileName),
        /** People by what they hold, without names (index/profiles-file.ts). */
        profiles: Type.Optional(FileName),
        /** Past sessions (index/sessions-file.ts). */
        sessions: Type.Optional(FileName),
        /** What the words of the catalogue tell (`ContentFile`): any item has a content vector by it, at once. */
        content: Type.Optional(FileName),
        /** What places items that training did not know in the space of `indexes.items` (`ItemFoldInFile`); that index then takes live updates. */
        item_fold_in: Type.Optional(FileName),
      },
      { additionalProperties: false },
    ),
    /** How `tables.sessions` is asked; absent: `v_stan`. */
    session_search: Type.Optional(Type.Enum([...SESSION_SEARCHES])),
    report: Type.Optional(FileName),
    files: Type.Array(BundleFile, { maxItems: 64 }),
    /** Metrics on the later time slice, beside their baselines. */
    metrics: Type.Record(Type.String(), Type.Number()),
  },
  { additionalProperties: false },
);
export type BundleManifest = Static<typeof BundleManifest>;

/** How a number was distributed: shares of the bins between `edges` (ascending), and of missing values last. */
const ReferenceColumn = Type.Object(
  {
    name: Type.String(),
    edges: Type.Array(Type.Number(), { maxItems: 100 }),
    shares: Type.Array(Type.Number({ minimum: 0, maximum: 1 }), { minItems: 2, maxItems: 102 }),
  },
  { additionalProperties: false },
);
/** `models.fraud.reference` (JSON): of each feature, in the order of the set, and of the model's raw score. */
export const DriftReferenceFile = Type.Object({ features: Type.Array(ReferenceColumn), score: ReferenceColumn }, { additionalProperties: false });

/**
 * `tables.neighbours` (MessagePack): item-to-item lists, the closest first. Item i of `ids` has neighbours `neighbours[indptr[i]..indptr[i+1])`,
 * which are positions in `ids`. `indptr` and `neighbours` are little-endian Uint32 bytes, `similarities` Float32 bytes.
 */
export interface NeighboursFile {
  readonly ids: readonly string[];
  readonly indptr: Uint8Array;
  readonly neighbours: Uint8Array;
  readonly similarities: Uint8Array;
}

/** `tables.popularity` (MessagePack): the most popular first; scores are decayed counts, scaled so that the first is 1. */
export interface PopularityFile {
  readonly ids: readonly string[];
  readonly scores: Uint8Array;
}

/** Wider content vectors cost time at every change of an item, and their cosines are hardly truer. */
export const CONTENT_DIMENSIONS_MAX = 1024;
export const CONTENT_BUCKETS_MAX = 2 ** 22;

/**
 * `tables.content` (MessagePack): the model of content vectors (scoring/recommend/content-vector.ts). `idf` are the little-endian Float32 bytes of a power of
 * two of buckets, 0 for one that no item had, which weighs `idf_unseen`.
 */
export interface ContentFile {
  readonly dimensions: number;
  readonly idf: Uint8Array;
  readonly idf_unseen: number;
}

/**
 * `tables.item_fold_in` (MessagePack): the model of scoring/recommend/item-fold-in.ts. `user_gram` are the little-endian Float64 bytes of factors x factors, `weights`
 * the Float32 bytes of factors x (dimensions + 1), the constants last.
 */
export interface ItemFoldInFile {
  readonly factors: number;
  readonly regularization: number;
  readonly alpha: number;
  readonly acts: number;
  readonly user_gram: Uint8Array;
  readonly content?: { readonly dimensions: number; readonly weights: Uint8Array; readonly r2: number };
}
