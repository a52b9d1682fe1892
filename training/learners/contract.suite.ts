import { serialize } from 'node:v8';
import { describe, expect, test } from 'vitest';

/** What may be wrong with data. A learner says for each that applies to it whether it learns all the same, or with which code it refuses. */
export type BadData =
  | 'empty'
  | 'one class'
  | 'constant column'
  | 'all-missing column'
  | 'missing values'
  | 'infinite values'
  | 'duplicates'
  | 'vocabulary of ten million';

export type Outcome = 'learned' | 'training_data_insufficient' | 'training_data_too_large';

/** A fitted model, as the suite looks at it. */
export interface Fitted {
  /** All of it: an ONNX file, or what `bytesOf` makes of plain data. */
  readonly bytes: Uint8Array;
  /** Its answers to rows that it learned from and to stranger ones: missing, infinite and unseen values where it takes them. All must be finite. */
  readonly answers: ArrayLike<number>;
  /** The answers of the served file to the same rows, where there is one. */
  readonly served?: ArrayLike<number>;
}

export interface Case<Data> {
  readonly data: () => Data;
  readonly outcome: Outcome;
  /** What the message of a refusal must say. */
  readonly says?: string;
}

export interface LearnerUnderTest<Data> {
  readonly name: string;
  readonly good: () => Data;
  readonly learn: (data: Data, options: { readonly seed: number; readonly threads: number }) => Fitted | Promise<Fitted>;
  readonly bad: Partial<Record<BadData, Case<Data>>>;
  /** It spreads its work over threads. */
  readonly threaded?: boolean;
}

/** The bound that `docs/learners.md` states. */
const SERVED_DIFFERENCE_MAX = 1e-5;

/** Plain data (typed arrays, numbers, lists) as bytes: equal bytes, equal models. */
export function bytesOf(model: unknown): Uint8Array {
  return serialize(model);
}

/** What every learner keeps: the same bytes for the same seed, served answers as its own, and a stated end for bad data. */
export function learnerSuite<Data>({ name, good, learn, bad, threaded }: LearnerUnderTest<Data>): void {
  describe(name, () => {
    test('the same seed and data give the same bytes, and sound answers', async () => {
      const first = await learn(good(), { seed: 7, threads: 1 });
      expect(first.bytes.length).toBeGreaterThan(0);
      checkAnswers(first);
      expect(Buffer.compare(first.bytes, (await learn(good(), { seed: 7, threads: 1 })).bytes)).toBe(0);
    });

    if (threaded) {
      test('one worker and two give the same bytes', async () => {
        const [one, two] = [await learn(good(), { seed: 7, threads: 1 }), await learn(good(), { seed: 7, threads: 2 })];
        expect(Buffer.compare(one.bytes, two.bytes)).toBe(0);
      });
    }

    for (const [kind, { data, outcome, says }] of Object.entries(bad) as [BadData, Case<Data>][]) {
      test(`${kind}: ${outcome}`, async () => {
        const given = data();
        const fitting = (async () => learn(given, { seed: 7, threads: 1 }))();
        if (outcome === 'learned') checkAnswers(await fitting);
        else await expect(fitting).rejects.toMatchObject({ code: outcome, message: expect.stringContaining(says ?? '') });
      });
    }
  });
}

function checkAnswers({ answers, served }: Fitted): void {
  expect(answers.length).toBeGreaterThan(0);
  for (let i = 0; i < answers.length; i++) if (!Number.isFinite(answers[i]!)) expect.fail(`answer ${i} is ${answers[i]}`);
  if (served === undefined) return;
  expect(served.length).toBe(answers.length);
  let most = 0;
  for (let i = 0; i < answers.length; i++) most = Math.max(most, Math.abs(served[i]! - answers[i]!) / Math.max(1, Math.abs(answers[i]!)));
  expect(most).toBeLessThan(SERVED_DIFFERENCE_MAX);
}
