import { EXAMINED_MIN } from '../contracts/examined.ts';
import { fitGbdt } from './learners/gbdt/fit.ts';
import type { GbdtParams } from './learners/gbdt/params.ts';
import { predictMargin } from './learners/gbdt/predict.ts';
import type { SeenList } from './list-rows.ts';

/** Fewer lists or clicks of a placement say too little of its places, and nothing is learned from them. */
const LISTS_MIN = 200;
const CLICKS_MIN = 80;
/** Clicks that a place is expected to have had like the one before it, before it is believed otherwise. */
const PRIOR_CLICKS = 5;
const ROUNDS_MAX = 4;
/** More than so much of a step is not believed to follow it: steps of noise are nearly equal. */
const FACTOR_MAX = 0.8;
/** Places have settled when none moves more. */
const SETTLED = 0.01;
/** Small trees: appeal has to be a smooth function of what is known, or it would explain every click by itself. */
const APPEAL: Partial<GbdtParams> = {
  objective: 'regression',
  numIterations: 50,
  learningRate: 0.15,
  numLeaves: 8,
  minDataInLeaf: 50,
  lambdaL2: 5,
  featureFraction: 0.7,
};
const APPEAL_MIN = 1e-3;

/** How often the places of a placement are looked at, beside its first. */
export interface PlaceCurve {
  readonly lists: number;
  readonly clicks: number;
  /** By place from the first, which is 1. */
  readonly examined: readonly number[];
}

export type PlaceCurves = Readonly<Record<string, PlaceCurve>>;

/**
 * How often each place is looked at, from lists as they were: a click is as likely as its place is looked at times the appeal of what stands there, and
 * appeal is a function of what the ranker knows of visitor and item. Both are found by turns, as in the regression EM of Wang et al. (2018), with clicks
 * taken as Poisson, so that each step is exact: a place is its clicks over the appeal that stood there, appeal is boosted trees over clicks divided by
 * places. Each half of the visitors is told its appeal by the other: trees that have seen a click would call its item appealing, wherever it stood.
 */
export async function placeCurves(lists: readonly SeenList[], width: number, seed: number): Promise<PlaceCurves> {
  const byPlacement = new Map<string, SeenList[]>();
  for (const list of lists) {
    const mine = byPlacement.get(list.placement);
    if (mine) mine.push(list);
    else byPlacement.set(list.placement, [list]);
  }
  const curves: Record<string, PlaceCurve> = {};
  for (const [placement, mine] of byPlacement) {
    const clicks = mine.reduce((sum, { clicked }) => sum + clicked.reduce((a, b) => a + b, 0), 0);
    if (mine.length < LISTS_MIN || clicks < CLICKS_MIN) continue;
    curves[placement] = { lists: mine.length, clicks, examined: await examinedOf(tableOf(mine, width), seed) };
  }
  return curves;
}

/** What a place adds to the logarithm of the odds that its item is clicked on rather than another; 0 at the first, and where nothing is known of the place. */
export function placeOffset({ examined }: PlaceCurve, place: number): number {
  return Math.log(Math.max(EXAMINED_MIN, examined[place] ?? 1));
}

interface Table {
  readonly n: number;
  readonly f: number;
  readonly rows: Float32Array;
  readonly place: Uint8Array;
  readonly clicked: Uint8Array;
  /** Which half of the visitors each row is of. */
  readonly half: Uint8Array;
}

function tableOf(lists: readonly SeenList[], f: number): Table {
  const n = lists.reduce((sum, { places }) => sum + places.length, 0);
  const table = { n, f, rows: new Float32Array(n * f), place: new Uint8Array(n), clicked: new Uint8Array(n), half: new Uint8Array(n) };
  const halves = new Map<string, number>();
  let at = 0;
  for (const { visitor, places, clicked, rows } of lists) {
    const half = halves.get(visitor) ?? halves.size % 2;
    halves.set(visitor, half);
    table.rows.set(rows, at * f);
    table.place.set(places, at);
    table.clicked.set(clicked, at);
    table.half.fill(half, at, at + places.length);
    at += places.length;
  }
  return table;
}

async function examinedOf(table: Table, seed: number): Promise<number[]> {
  const turn = async (examined: readonly number[]): Promise<number[]> => placesGiven(table, await appealGiven(table, examined, seed));
  let examined = placesGiven(table, new Float64Array(table.n).fill(1));
  for (let round = 0; round < ROUNDS_MAX; round++) {
    const once = await turn(examined);
    const twice = await turn(once);
    const ahead = extrapolated(examined, once, twice);
    const moved = Math.max(...ahead.map((value, place) => Math.abs(value - examined[place]!)));
    examined = ahead;
    if (moved < SETTLED) break;
  }
  return examined;
}

/**
 * Where two steps lead that shrink by the same factor each time (Aitken), in logarithms. Items stand at their places because they are liked, so that
 * turns hand the one's share over to the other slowly.
 */
function extrapolated(from: readonly number[], once: readonly number[], twice: readonly number[]): number[] {
  const first = once.map((value, place) => Math.log(value / from[place]!));
  const second = twice.map((value, place) => Math.log(value / once[place]!));
  const dot = (a: readonly number[], b: readonly number[]): number => a.reduce((sum, value, i) => sum + value * b[i]!, 0);
  const factor = Math.min(FACTOR_MAX, Math.max(0, dot(first, second) / dot(first, first) || 0));
  return twice.map((value, place) => value * Math.exp((second[place]! * factor) / (1 - factor)));
}

/** Clicks of each place over the appeal that stood there, beside the first place's. */
function placesGiven({ n, place, clicked }: Table, appeal: ArrayLike<number>): number[] {
  const places = place.reduce((most, one) => Math.max(most, one + 1), 0);
  const clicks = new Float64Array(places);
  const stood = new Float64Array(places);
  for (let i = 0; i < n; i++) {
    clicks[place[i]!]! += clicked[i]!;
    stood[place[i]!]! += appeal[i]!;
  }
  const first = clicks[0]! / stood[0]!;
  const examined = [1];
  for (let k = 1; k < places; k++) {
    const expected = stood[k]! * first;
    examined.push((clicks[k]! + PRIOR_CLICKS * examined[k - 1]!) / (expected + PRIOR_CLICKS));
  }
  return examined;
}

/** Appeal of each row, told by what was learned from the other half of the visitors. */
async function appealGiven({ n, f, rows, place, clicked, half }: Table, examined: readonly number[], seed: number): Promise<Float64Array> {
  const appeal = new Float64Array(n);
  for (const learnt of [0, 1]) {
    const from: number[] = [];
    const to: number[] = [];
    for (let i = 0; i < n; i++) (half[i] === learnt ? from : to).push(i);
    const pick = (positions: readonly number[]): Float32Array => {
      const picked = new Float32Array(positions.length * f);
      positions.forEach((i, row) => {
        picked.set(rows.subarray(i * f, (i + 1) * f), row * f);
      });
      return picked;
    };
    const model = await fitGbdt(
      {
        rows: pick(from),
        n: from.length,
        f,
        // Weighted by the place, a leaf's mean is its clicks over how often it was looked at.
        labels: Float32Array.from(from, (i) => clicked[i]! / examined[place[i]!]!),
        weights: Float32Array.from(from, (i) => examined[place[i]!]!),
      },
      APPEAL,
      { seed },
    );
    const told = predictMargin(model, pick(to));
    to.forEach((i, row) => {
      appeal[i] = Math.max(APPEAL_MIN, told[row]!);
    });
  }
  return appeal;
}
