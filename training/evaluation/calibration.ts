import type { Calibration } from '../../contracts/bundle.ts';
import { requireData, requireParam } from '../learners/contract.ts';

/** Steps of Newton's method; a sigmoid of two numbers settles in a handful. */
const NEWTON_STEPS = 50;
const PROBABILITY_MIN = 1e-7;
const SLOPE_MIN = 1e-3;
/** A step this small no longer changes anything. */
const SHARE_MIN = 1e-10;

/**
 * Platt's sigmoid on the log-odds (Platt 1999) with his smoothed targets, so that few frauds don't promise certainty; Newton's method. A model that
 * came out upside down keeps its order: the slope is at least a little over zero.
 */
export function fitPlatt(raw: ArrayLike<number>, labels: ArrayLike<number>): Extract<Calibration, { kind: 'platt' }> {
  const logOdds = Float64Array.from({ length: raw.length }, (_, i) => {
    const p = Math.min(1 - PROBABILITY_MIN, Math.max(PROBABILITY_MIN, raw[i]!));
    return Math.log(p / (1 - p));
  });
  return { kind: 'platt', ...fitSigmoid(logOdds, labels) };
}

/** The same for scores of any scale, such as margins: probability = sigmoid(a score + b), a over zero. */
export function fitSigmoid(scores: ArrayLike<number>, labels: ArrayLike<number>): { a: number; b: number } {
  requireParam(scores.length === labels.length, `there must be ${scores.length} labels, not ${labels.length}`);
  let positives = 0;
  for (let i = 0; i < labels.length; i++) if (labels[i]! > 0) positives++;
  const high = (positives + 1) / (positives + 2);
  const low = 1 / (labels.length - positives + 2);
  const target = (i: number): number => (labels[i]! > 0 ? high : low);
  const loss = (slope: number, offset: number): number => {
    let sum = 0;
    for (let i = 0; i < scores.length; i++) {
      const z = slope * scores[i]! + offset;
      // -t log p - (1 - t) log(1 - p), without overflow.
      sum += Math.max(z, 0) - target(i) * z + Math.log1p(Math.exp(-Math.abs(z)));
    }
    return sum;
  };
  // From the prior alone (Lin, Lin, Weng 2007): there the curvature is largest, and a step cannot overshoot far.
  let [a, b] = [0, Math.log((positives + 1) / (labels.length - positives + 1))];
  let best = loss(a, b);
  for (let step = 0; step < NEWTON_STEPS; step++) {
    // A whisper of ridge keeps the system solvable where all scores are the same.
    let [ga, gb, haa, hab, hbb] = [0, 0, 1e-9, 0, 1e-9];
    for (let i = 0; i < scores.length; i++) {
      const z = scores[i]!;
      const p = 1 / (1 + Math.exp(-(a * z + b)));
      const error = p - target(i);
      const weight = p * (1 - p);
      ga += error * z;
      gb += error;
      haa += weight * z * z;
      hab += weight * z;
      hbb += weight;
    }
    const determinant = haa * hbb - hab * hab;
    if (!(determinant > 0)) break;
    const da = (hbb * ga - hab * gb) / determinant;
    const db = (haa * gb - hab * ga) / determinant;
    // Where classes hardly overlap a whole step leaps to where nothing has a slope any more: halve it until it helps.
    let share = 1;
    let next = loss(a - da, b - db);
    for (; !(next <= best) && share > SHARE_MIN; next = loss(a - share * da, b - share * db)) share /= 2;
    if (!(next <= best)) break;
    a -= share * da;
    b -= share * db;
    best = next;
    if (share * (Math.abs(da) + Math.abs(db)) < 1e-10) break;
  }
  return { a: Math.max(SLOPE_MIN, a), b };
}

/** Steps of an isotonic calibration at most: it is written into the manifest, and a thousandth of the rows moves no decision. */
const STEPS_MAX = 1000;

interface Block {
  from: number;
  to: number;
  weight: number;
  sum: number;
}

/**
 * Isotonic regression by pool-adjacent-violators: the never-falling function of the raw score with the least squared error to the labels, flat over
 * each block and a line between blocks. Follows any shape, and so needs more rows than a sigmoid. Throws `training_data_insufficient` for no rows.
 */
export function fitIsotonic(
  raw: ArrayLike<number>,
  labels: ArrayLike<number>,
  weights?: ArrayLike<number>,
): Extract<Calibration, { kind: 'isotonic' }> {
  requireData(raw.length > 0, 'there are no rows to calibrate on');
  requireParam(labels.length === raw.length && (weights?.length ?? raw.length) === raw.length, `there must be ${raw.length} labels and weights`);
  const blocks: Block[] = [];
  for (const next of groupsOf(raw, labels, weights)) {
    let block = next;
    for (let last = blocks.at(-1); last && last.sum * block.weight >= block.sum * last.weight; last = blocks.at(-1)) {
      block = { from: last.from, to: block.to, weight: last.weight + block.weight, sum: last.sum + block.sum };
      blocks.pop();
    }
    blocks.push(block);
  }
  const x: number[] = [];
  const y: number[] = [];
  for (const { from, to, weight, sum } of blocks) {
    for (const knot of from === to ? [from] : [from, to]) {
      x.push(knot);
      y.push(Math.min(1, Math.max(0, sum / weight)));
    }
  }
  return { kind: 'isotonic', x, y };
}

/** Rows of equal score, ascending; neighbours together where there would be too many. */
function groupsOf(raw: ArrayLike<number>, labels: ArrayLike<number>, weights: ArrayLike<number> | undefined): Block[] {
  const order = Uint32Array.from({ length: raw.length }, (_, i) => i).sort((a, b) => raw[a]! - raw[b]! || a - b);
  const rowsWanted = raw.length / STEPS_MAX;
  const groups: Block[] = [];
  let rows = 0;
  for (const row of order) {
    const score = raw[row]!;
    requireData(Number.isFinite(score), `the score of row ${row} is ${score}`);
    const weight = weights ? weights[row]! : 1;
    if (weight === 0) continue;
    const last = groups.at(-1);
    if (last && (last.to === score || rows < rowsWanted)) {
      last.to = score;
      last.weight += weight;
      last.sum += labels[row]! > 0 ? weight : 0;
      rows++;
    } else {
      groups.push({ from: score, to: score, weight, sum: labels[row]! > 0 ? weight : 0 });
      rows = 1;
    }
  }
  requireData(groups.length > 0, 'all weights are zero');
  return groups;
}
