import { createHash } from 'node:crypto';
import type { Feature, FeatureDeclarations, Threshold } from './contract.ts';
import { withInputs } from './derived.ts';
import { filterName } from './schema.ts';
import {
  DISTINCT_KEYS_MAX,
  ENGINE_VERSION,
  RECENT_EVENTS_MAX,
  SHARE_SIGHTINGS_MAX,
  SKEW_MS,
  SPARE_TILES,
  UNITS_PER_ONE,
  WINDOW_SPECS,
} from './tiles.ts';

/**
 * sha256 over what decides a set's values: engine version, limits, and each feature in order with its window's tile. Sentences are left out,
 * and so is the order in which a filter lists its events. Names are in, because reasons and stored vectors are read by them. What events carry is in where the
 * set reads it.
 */
export function setHash(features: readonly Feature[], { carried, sets }: Pick<FeatureDeclarations, 'carried' | 'sets'>): string {
  const limits = [ENGINE_VERSION, DISTINCT_KEYS_MAX, SHARE_SIGHTINGS_MAX, RECENT_EVENTS_MAX, SKEW_MS, SPARE_TILES, UNITS_PER_ONE];
  const isRead = carried !== undefined && features.some((feature) => 'of' in feature && feature.of === 'carried');
  return createHash('sha256')
    .update(
      JSON.stringify([
        limits,
        features.map(canonical),
        ...(isRead ? [filterName(carried), withInputs(sets[carried.set]!, carried.feature).map(canonical)] : []),
      ]),
    )
    .digest('hex');
}

/** What of a state the feature is read from, whatever it is called; undefined where it needs none of its own. */
export function stateKey(feature: Feature): string | undefined {
  return 'entity' in feature ? JSON.stringify(canonical(feature).slice(1)) : undefined;
}

function canonical(feature: Feature): readonly unknown[] {
  const common = [feature.name, feature.aggregate];
  switch (feature.aggregate) {
    case 'ratio':
      return [...common, feature.numerator, feature.denominator, ...(feature.plus === undefined ? [] : [feature.plus])];
    case 'zscore':
      return [...common, feature.value, feature.center, feature.scale, feature.plus];
    case 'differs':
      return [...common, feature.left, feature.right];
    case 'subject':
      return [...common, feature.field];
    case 'context':
      return [...common, feature.key];
    default:
  }
  const window = 'window' in feature ? [feature.window, WINDOW_SPECS[feature.window].windowMs, WINDOW_SPECS[feature.window].tileMs] : [];
  const what = 'of' in feature ? feature.of : 'edge' in feature ? feature.edge : '';
  const recent = feature.aggregate === 'recent' ? [feature.statistic, feature.last, thresholdParts(feature.above)] : [];
  return [...common, feature.entity, filterName(feature), what, ...window, ...recent];
}

/** In one order, whatever the file's. */
function thresholdParts(above: Threshold | undefined): readonly unknown[] | number | null {
  return typeof above === 'object' ? [above.times, above.feature, above.plus] : (above ?? null);
}
