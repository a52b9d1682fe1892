import { describe, expect, test } from 'vitest';
import type { ActiveExploration } from '../../../contracts/exploration.ts';
import { drawOf } from './draw.ts';
import { type Game, play, propensities, THOMPSON_LISTS } from './policy.ts';

const SCOPE = { among: 'all', slots: 3, pool: 7 } as const;
const POOL = 7;
const DRAWS = 60_000;
/** Of the share of a probability of one half over DRAWS draws; five of them are passed once in two million. */
const STANDARD_ERROR = 0.5 / Math.sqrt(DRAWS);

function gameOf(policy: ActiveExploration): Game {
  // Position 3 stands at a place that does not take part.
  return { policy, greedy: [1, 0, 5], eligible: [0, 1, 2, 4, 5, 6], beliefs: [2, 8, 1, 9, 3, 7, 1, 1, 5, 5, 1, 30, 4, 20] };
}

function shares(game: Game): number[][] {
  const draw = drawOf('shares');
  const counts = game.greedy.map(() => new Array<number>(POOL).fill(0));
  for (let n = 0; n < DRAWS; n++) for (const [place, position] of play(game, draw).entries()) counts[place]![position]! += 1 / DRAWS;
  return counts;
}

describe.each<[string, ActiveExploration]>([
  ['epsilon-greedy by request', { policy: 'epsilon_greedy', epsilon: 0.3, by: 'request', ...SCOPE }],
  ['epsilon-greedy by slot', { policy: 'epsilon_greedy', epsilon: 0.3, by: 'slot', ...SCOPE }],
  ['epsilon-greedy that always draws', { policy: 'epsilon_greedy', epsilon: 1, by: 'slot', ...SCOPE }],
  ['epsilon-greedy that never draws', { policy: 'epsilon_greedy', epsilon: 0, by: 'slot', ...SCOPE }],
])('%s', (_, policy) => {
  test('shows items as often as its propensities say, and they add up to 1', () => {
    const game = gameOf(policy);
    const rows = propensities(game, POOL, drawOf('unused'));
    for (const [place, counts] of shares(game).entries()) {
      expect([...rows[place]!].reduce((a, b) => a + b)).toBeCloseTo(1, 12);
      for (const [position, share] of counts.entries()) expect(Math.abs(share - rows[place]![position]!)).toBeLessThan(5 * STANDARD_ERROR);
    }
  });
});

test('no list has an item twice, and only eligible ones', () => {
  for (const by of ['request', 'slot'] as const) {
    const game = gameOf({ policy: 'epsilon_greedy', epsilon: 0.7, by, ...SCOPE });
    const draw = drawOf(by);
    for (let n = 0; n < 2_000; n++) {
      const list = play(game, draw);
      expect(new Set(list).size).toBe(3);
      for (const position of list) expect(game.eligible).toContain(position);
    }
  }
});

describe('thompson', () => {
  const game = gameOf({ policy: 'thompson', ...SCOPE });

  test('inverse propensities are unbiased but for what is hardly ever shown', () => {
    const truth = shares(game);
    const runs = 1_000;
    const weights = game.greedy.map(() => new Array<number>(POOL).fill(0));
    for (let run = 0; run < runs; run++) {
      const draw = drawOf(`run ${run}`);
      const shown = play(game, draw);
      const rows = propensities(game, POOL, draw, shown);
      for (const [place, position] of shown.entries()) {
        expect(rows[place]![position]).toBeGreaterThanOrEqual(1 / (THOMPSON_LISTS + 1) - 1e-12);
        weights[place]![position]! += 1 / rows[place]![position]! / runs;
      }
    }
    for (const [place, row] of weights.entries()) {
      for (const [position, weight] of row.entries()) {
        const p = truth[place]![position]!;
        if (p < 0.03) continue;
        // Weights of about 1 / p, with a chance of p each.
        expect(Math.abs(weight - (1 - (1 - p) ** (THOMPSON_LISTS + 1)))).toBeLessThan((6 / Math.sqrt(p)) * Math.sqrt(1 / runs));
      }
    }
  });

  test('prefers what is clicked more, and tries what is not known', () => {
    const [first] = shares(game);
    // Believed in: position 4 half, 2 three tenths, 5 one in thirty.
    expect(first![4]).toBeGreaterThan(first![2]!);
    expect(first![2]).toBeGreaterThan(first![5]!);
    expect(first![3]).toBe(0);
  });
});

test('a draw has the moments of its Beta distribution, and repeats from its name', () => {
  for (const [a, b] of [[0.3, 2.5] as const, [4, 1] as const, [30, 70] as const]) {
    const draw = drawOf(`beta ${a}`);
    const values = Array.from({ length: 40_000 }, () => draw.beta(a, b));
    const mean = values.reduce((x, y) => x + y) / values.length;
    const variance = values.reduce((x, y) => x + (y - mean) ** 2, 0) / values.length;
    const wanted = (a * b) / ((a + b) ** 2 * (a + b + 1));
    expect(Math.abs(mean - a / (a + b))).toBeLessThan(5 * Math.sqrt(wanted / values.length));
    expect(variance / wanted).toBeGreaterThan(0.94);
    expect(variance / wanted).toBeLessThan(1.06);
  }
  expect(drawOf('same').next()).toBe(drawOf('same').next());
  expect(drawOf('same').next()).not.toBe(drawOf('other').next());
});

test('what the ranking knows of the visitor counts as much as what is drawn, and no more where nothing is left to learn', () => {
  const game = { ...gameOf({ policy: 'thompson', ...SCOPE, slots: 1 }), greedy: [0], eligible: [0, 1, 2], beliefs: [50, 950, 50, 950, 1, 19] };
  const shown = (merits: readonly number[]): number[] => {
    const draw = drawOf('merits');
    const counts = [0, 0, 0];
    for (let n = 0; n < 2_000; n++) counts[play({ ...game, merits }, draw)[0]!]! += 1 / 2_000;
    return counts;
  };
  // Two well-known items of one rate: who is liked four times as much here is shown, the unknown one when its draw is higher still.
  const [liked, other, unknown] = shown([Math.log(4), 0, 0]);
  expect(other).toBeLessThan(0.01);
  expect(unknown).toBeGreaterThan(0.01);
  expect(unknown).toBeLessThan(0.1);
  expect(liked).toBeGreaterThan(0.9);
  // Nothing is known against the unknown one any more.
  expect(shown([0, 0, 0])[2]).toBeGreaterThan(0.3);
});
