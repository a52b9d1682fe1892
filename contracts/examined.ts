/** A place counts as looked at this often at least, beside the first: what is learned of the last places is mostly noise. */
export const EXAMINED_MIN = 0.1;
/** How often a place, from 0, is looked at beside the first where nothing was learned of it: 1 / place, the usual guess (Joachims et al. 2017). */
export function lookedAt(place: number): number {
  return Math.max(EXAMINED_MIN, 1 / (place + 1));
}

/** The metric of a bundle that says what the logarithm of an item's appeal weighs in its ranker's scores. */
export const APPEAL_METRIC = 'recommend_appeal_weight';
const PREFIX = 'recommend_examined_';

/** How often the places of each placement's lists are looked at, beside its first. */
export type Examined = ReadonlyMap<string, readonly number[]>;

/** The metric of a bundle that says it of one place, from 0. */
export function examinedMetric(placement: string, place: number): string {
  return `${PREFIX}${placement}_${place + 1}`;
}

/** What a bundle's metrics say of it. Empty where its log had too few lists to learn it from. */
export function examinedOf(metrics: Readonly<Record<string, number>>): Examined {
  const curves = new Map<string, number[]>();
  for (const [name, share] of Object.entries(metrics)) {
    const [, placement, place] = (name.startsWith(PREFIX) && /^(.+)_([1-9]\d*)$/.exec(name.slice(PREFIX.length))) || [];
    if (placement === undefined) continue;
    const curve = curves.get(placement) ?? [];
    curves.set(placement, curve);
    curve[Number(place) - 1] = share;
  }
  // A place that is left out would be a hole.
  for (const [placement, curve] of curves) if (curve.includes(undefined as never)) curves.delete(placement);
  return curves;
}
