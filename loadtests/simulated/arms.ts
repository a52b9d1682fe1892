import type { Placement } from '../../contracts/placement.ts';

export interface Arm {
  readonly text: string;
  /** What it makes of the shipped placements. */
  readonly placement: (placement: Placement) => Placement;
}

const nothingTried = (placement: Placement): Placement => ({ ...placement, new_share: 0, exploration: { policy: 'none' } });
const withoutContent = (placement: Placement): Placement => ({ ...placement, sources: { ...placement.sources, content: 0 } });

/** The forms in which the shop's placements are played. */
export const ARMS: Readonly<Record<string, Arm>> = {
  none: { text: 'nothing is tried, no place is kept for new items', placement: nothingTried },
  blind: { text: 'the same, and nothing is found by content', placement: (placement) => withoutContent(nothingTried(placement)) },
  kept: {
    text: 'a place of home is kept for the best ranked new item',
    placement: (placement) => ({ ...placement, exploration: { policy: 'none' } }),
  },
  drawn: {
    text: 'that place is given to a new item at random',
    placement: (placement) =>
      placement.id === 'home'
        ? { ...placement, exploration: { policy: 'epsilon_greedy', epsilon: 1, by: 'slot', among: 'new', slots: 1, pool: 100 } }
        : placement,
  },
  shipped: { text: 'that place goes round among new items by Thompson sampling', placement: (placement) => placement },
  blind_shipped: { text: 'the same, and nothing is found by content', placement: withoutContent },
  two: {
    text: 'two places of home go round among new items by Thompson sampling',
    placement: (placement) =>
      placement.id === 'home'
        ? { ...placement, new_share: 0.25, new_days: 14, exploration: { policy: 'thompson', among: 'new', slots: 2, pool: 40 } }
        : placement,
  },
  thompson: {
    text: 'the last two places go round among the thirty best by Thompson sampling',
    placement: (placement) => ({ ...placement, exploration: { policy: 'thompson', among: 'all', slots: 2, pool: 30 } }),
  },
  epsilon: {
    text: 'each place is drawn from the forty best one time in ten',
    placement: (placement) => ({
      ...placement,
      exploration: { policy: 'epsilon_greedy', epsilon: 0.1, by: 'slot', among: 'all', slots: 8, pool: 40 },
    }),
  },
};
