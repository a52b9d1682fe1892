import type { TimedEvent } from './event.ts';
import type { ExplorationLog } from './exploration.ts';
import type { Item } from './item.ts';
import type { Alert } from './push.ts';
import type { RecommendRequest, RecommendResponse } from './recommend.ts';
import type { DecisionName, RuleHit, ScoreRequest, ScoreResponse } from './score.ts';

/**
 * What the journal holds, in one order. Everything else (entity state, catalogue, indexes, training rows) is derived
 * from these and can be rebuilt. `at_ms` is the gateway's clock when it took the fact.
 */
export type Fact =
  | { readonly kind: 'event'; readonly at_ms: number; readonly event: TimedEvent }
  /** A decision, with the exact vector that was scored (float32, in the order of the feature set), so that it can be recomputed. */
  | {
      readonly kind: 'decision';
      readonly at_ms: number;
      readonly request: ScoreRequest & { timestamp_ms: number };
      readonly response: ScoreResponse;
      readonly vector: ArrayLike<number> | null;
      readonly feature_hash: string;
      /** What the other model said of it while a challenger is tried: the challenger, or, where that one decided, the model that it challenges. */
      readonly other_model?:
        | { readonly bundle: string; readonly score: number; readonly probability: number; readonly decision: DecisionName }
        | undefined;
      /** The rules in force, by the name under which the store keeps them. Decisions of older versions have none of these three. */
      readonly ruleset?: string;
      /** Shadow rules that would have acted. */
      readonly shadow_hits?: readonly RuleHit[] | undefined;
      /** Every question to a list that was answered with yes, as `name=value`; all others were answered with no. */
      readonly list_hits?: readonly string[] | undefined;
    }
  | { readonly kind: 'alert'; readonly at_ms: number; readonly alert: Alert }
  /** What was shown, so that a click can be credited and the ranker trained without skew. */
  | {
      readonly kind: 'recommendation';
      readonly at_ms: number;
      readonly request: RecommendRequest;
      readonly response: RecommendResponse;
      /** Time to make the answer. */
      readonly took_ms?: number;
      /** What the placement's policy chose from, where something was left to chance. */
      readonly exploration?: ExplorationLog;
    }
  | { readonly kind: 'item_put'; readonly at_ms: number; readonly item: Item }
  | { readonly kind: 'item_delete'; readonly at_ms: number; readonly item_id: string }
  /** What stands where a person's fact was erased: the place in the order and the time, and nothing of the person. */
  | { readonly kind: 'erased'; readonly at_ms: number }
  /** A change that an operator made through the control plane. */
  | { readonly kind: 'admin'; readonly at_ms: number; readonly actor: string; readonly action: string; readonly detail: Record<string, unknown> };

export type FactKind = Fact['kind'];
