import { expect, test } from 'vitest';
import { type Random, seededRandom } from '../learners/random.ts';
import { type ExpectedRewards, estimateValue, type LoggedPlaces } from './off-policy.ts';

const ACTIONS = 5;
const PLACES = 2;
const DECISIONS = 300;
const RUNS = 120;

/** Click rate of an action at a place for a visitor of one of two kinds. */
function rate(kind: number, action: number, place: number): number {
  return (0.08 + 0.1 * ((action + 2 * kind) % ACTIONS)) / (1 + place);
}
/** The log shows action `kind` half of the time, the policy in question action 4 - kind seven times of ten; all others as often as each other. */
const logged = (kind: number, action: number): number => (action === kind ? 0.5 : 0.5 / (ACTIONS - 1));
const wanted = (kind: number, action: number): number => (action === 4 - kind ? 0.7 : 0.3 / (ACTIONS - 1));

function truthOf(policy: typeof logged): number {
  let value = 0;
  for (const kind of [0, 1]) for (let a = 0; a < ACTIONS; a++) for (let j = 0; j < PLACES; j++) value += 0.5 * policy(kind, a) * rate(kind, a, j);
  return value;
}
const TRUTH = truthOf(wanted);

/** `error`: how wrong the reward model is. */
function experience(random: Random, error: number): { log: LoggedPlaces; expected: ExpectedRewards } {
  const rows = DECISIONS * PLACES;
  const log = {
    decisions: DECISIONS,
    starts: Uint32Array.from({ length: DECISIONS + 1 }, (_, n) => n * PLACES),
    place: Uint16Array.from({ length: rows }, (_, row) => row % PLACES),
    reward: new Float64Array(rows),
    weight: new Float64Array(rows),
  };
  const expected = { shown: new Float64Array(rows), policy: new Float64Array(DECISIONS) };
  const model = (kind: number, action: number, place: number): number => rate(kind, action, place) + error;
  for (let n = 0; n < DECISIONS; n++) {
    const kind = random.int(2);
    for (let place = 0; place < PLACES; place++) {
      const row = n * PLACES + place;
      const action = random.next() < 0.5 ? kind : [0, 1, 2, 3, 4].filter((a) => a !== kind)[random.int(ACTIONS - 1)]!;
      log.reward[row] = random.next() < rate(kind, action, place) ? 1 : 0;
      log.weight[row] = wanted(kind, action) / logged(kind, action);
      expected.shown[row] = model(kind, action, place);
      for (let a = 0; a < ACTIONS; a++) expected.policy[n]! += wanted(kind, a) * model(kind, a, place);
    }
  }
  return { log, expected };
}

function moments(values: readonly number[]): { mean: number; deviation: number } {
  const mean = values.reduce((a, b) => a + b) / values.length;
  return { mean, deviation: Math.sqrt(values.reduce((sum, x) => sum + (x - mean) ** 2, 0) / (values.length - 1)) };
}

test('on a bandit with known truth: unbiased, covered at the stated rate, and doubly robust is the closest', () => {
  const random = seededRandom(3);
  const runs = Array.from({ length: RUNS }, (_, run) => {
    const { log, expected } = experience(random, 0);
    return estimateValue(log, expected, run, { replicates: 150, level: 0.9 });
  });
  const estimates = {
    logged: runs.map(({ logged: one }) => one),
    ips: runs.map(({ ips }) => ips),
    snips: runs.map(({ snips }) => snips),
    dr: runs.map(({ dr }) => dr!),
  };
  const deviations: Record<string, number> = {};
  for (const [name, intervals] of Object.entries(estimates)) {
    const truth = name === 'logged' ? truthOf(logged) : TRUTH;
    const { mean, deviation } = moments(intervals.map(({ value }) => value));
    deviations[name] = deviation;
    // SNIPS has a bias of the order of 1 / n.
    expect(Math.abs(mean - truth)).toBeLessThan((4 * deviation) / Math.sqrt(RUNS) + (name === 'snips' ? 0.005 : 0));
    const covered = intervals.filter(({ low, high }) => low <= truth && truth <= high).length / RUNS;
    // 0.9 within three standard errors, and what a bootstrap of 150 replicates loses.
    expect(covered).toBeGreaterThan(0.9 - 3 * Math.sqrt((0.9 * 0.1) / RUNS) - 0.01);
    expect(covered).toBeLessThan(0.9 + 3 * Math.sqrt((0.9 * 0.1) / RUNS) + 0.01);
  }
  expect(deviations['dr']).toBeLessThan(0.95 * deviations['ips']!);
  expect(deviations['snips']).toBeLessThan(deviations['ips']!);
  // The mean square of the weights is 3.98 where 4 - kind is another action than kind: about a quarter of the places is left.
  for (const { effectivePlaces, weightMax } of runs) {
    expect(effectivePlaces).toBeGreaterThan(0.15 * DECISIONS * PLACES);
    expect(effectivePlaces).toBeLessThan(0.45 * DECISIONS * PLACES);
    expect(weightMax).toBeCloseTo(0.7 / 0.125, 12);
  }
}, 60_000);

test('doubly robust stays unbiased when the model is wrong', () => {
  const random = seededRandom(4);
  const values = Array.from({ length: RUNS }, () => {
    const { log, expected } = experience(random, 0.2);
    const { dr } = estimateValue(log, expected, 1, { replicates: 2 });
    return dr!.value;
  });
  const { mean, deviation } = moments(values);
  expect(Math.abs(mean - TRUTH)).toBeLessThan((4 * deviation) / Math.sqrt(RUNS));
});

test('a policy that shows what was shown has the value of the log, and every place counts', () => {
  const { log } = experience(seededRandom(5), 0);
  const same = { ...log, weight: log.weight.map(() => 1) };
  const { logged: value, ips, snips, dr, effectivePlaces } = estimateValue(same, undefined, 1, { replicates: 50 });
  expect(ips).toEqual(value);
  expect(snips.value).toBeCloseTo(value.value, 12);
  expect(dr).toBeUndefined();
  expect(effectivePlaces).toBe(DECISIONS * PLACES);
});
