import { softplus } from './activation.ts';
import { binary, sub, unary } from './arithmetic.ts';
import { reshape } from './layout.ts';
import { sum } from './reduction.ts';
import { known } from './shape.ts';
import type { Value } from './tape.ts';

/** All losses are one number a row; `weightedSum` makes the scalar. Rows that only fill up a batch have weight 0. */
export function weightedSum(losses: Value, weights: Value): Value {
  return losses.tape.applyOne(
    [losses],
    () => sum(binary('Mul', losses, weights)),
    (g) => [() => binary('Mul', weights, g)],
  );
}

/** Cross-entropy of logits [n] with targets [n] from 0 to 1: log(1 + e^x) - x y. */
export function binaryCrossEntropy(logits: Value, targets: Value): Value {
  const { tape } = logits;
  return tape.applyOne(
    [logits],
    () => binary('Sub', softplus(logits), binary('Mul', logits, targets)),
    (g) => [() => binary('Mul', g, binary('Sub', unary('Sigmoid', logits), targets))],
  );
}

/** (x - y)^2 / 2, summed over the last axis when there are two: x and y are [n] or [n, width]. */
export function squaredError(x: Value, y: Value): Value {
  const { tape } = x;
  const difference = sub(x, y);
  return tape.applyOne(
    [difference],
    () => {
      const halves = binary('Mul', binary('Mul', difference, difference), tape.scalar(0.5));
      return halves.shape.length === 1 ? halves : sum(halves, [-1], false);
    },
    (g) => [() => binary('Mul', difference, difference.shape.length === 1 ? g : reshape(g, [...g.shape, 1]))],
  );
}

/** Cross-entropy of logits [n, classes] with int64 labels [n]. */
export function softmaxCrossEntropy(logits: Value, labels: Value): Value {
  const { tape } = logits;
  const [n] = logits.shape.map(known);
  const column = [n!, 1];
  const logs = tape.node('LogSoftmax', [logits], logits.shape, { axis: { i: -1 } });
  const places = reshape(labels, column);
  return tape.applyOne(
    [logits],
    () => reshape(unary('Neg', tape.node('GatherElements', [logs, places], column, { axis: { i: 1 } })), [n!]),
    (g) => [
      () => {
        // e^logs g with g taken off at the label: one place a row, so no sum can be lost.
        const share = reshape(g, column);
        const all = binary('Mul', unary('Exp', logs), share);
        return tape.node('ScatterElements', [all, places, unary('Neg', share)], logits.shape, { axis: { i: 1 }, reduction: { s: 'add' } });
      },
    ],
  );
}

/**
 * Softmax cross-entropy of one positive logit a row [n, 1] against shared negatives [n, samples]; the caller has subtracted log q from both.
 * `isHit` (bool, [n, samples]) leaves out negatives that are the row's own positive.
 */
export function sampledSoftmax(positive: Value, negatives: Value, isHit: Value): Value {
  const { tape } = positive;
  const [n] = positive.shape.map(known);
  const column = [n!, 1];
  const kept = tape.node('Where', [isHit, tape.scalar(HIT_LOGIT), negatives], negatives.shape);
  const rest = tape.node('ReduceLogSumExp', [kept, tape.graph.ints(-1)], column);
  // log(e^p + e^r) = p + log(1 + e^(r - p)), so the loss is softplus(r - p).
  const gap = binary('Sub', rest, positive);
  return tape.applyOne(
    [positive, negatives],
    () => reshape(softplus(gap), [n!]),
    (g) => {
      let pulled: Value | undefined;
      const pull = () => {
        pulled ??= binary('Mul', reshape(g, column), unary('Sigmoid', gap));
        return pulled;
      };
      return [
        () => unary('Neg', pull()),
        // A hit's logit is so low that its share is exactly 0: no second selection.
        () => binary('Mul', unary('Exp', binary('Sub', kept, rest)), pull()),
      ];
    },
  );
}

/** e^(this - any logit) is 0 in float32, while no sum overflows. */
const HIT_LOGIT = -1e9;
