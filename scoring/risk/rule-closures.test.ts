import { parse } from '@marcbachmann/cel-js';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { ScoreRequest } from '../../contracts/score.ts';
import { DEFAULT_RULES } from './default-rules.ts';
import { closureOf } from './rule-closures.ts';
import { type ListLookup, RuleLanguage, Tx } from './rule-language.ts';

const NAMES = ['amount_mean', 'cards_24h', 'attempts'];
const LISTS: ListLookup = { kind: () => 'block', names: () => ['cards'], has: () => false };
const number = fc.constantFrom(0, 1, -1, 0.1, 3, 100, 250.5, 1e9);
const literal = number.map((value) => (value < 0 ? `-${(-value).toFixed(1)}` : Number.isInteger(value) ? value.toFixed(1) : String(value)));
const texts = ['', 'DE', 'KP', 'card-1', "o'clock"];
const textLiteral = fc.constantFrom(...texts).map((text) => JSON.stringify(text));
const textField = fc.constantFrom('country', 'card_id', 'session_id').map((field) => `tx.${field}`);

/** Expressions of what has a closure. */
const { rule } = fc.letrec<{ double: string; text: string; rule: string }>((tie) => ({
  double: fc.oneof(
    { maxDepth: 4, depthSize: 'small' },
    fc.constantFrom('tx.amount', 'score', 'probability', 'anomaly', ...NAMES.map((name) => `features.${name}`)),
    literal,
    tie('double').map((of) => `-(${of})`),
    fc.tuple(tie('double'), fc.constantFrom('+', '-', '*'), tie('double')).map(([a, op, b]) => `(${a} ${op} ${b})`),
  ),
  text: fc.oneof(textField, textLiteral),
  rule: fc.oneof(
    { maxDepth: 5, depthSize: 'small' },
    fc.tuple(tie('double'), fc.constantFrom('==', '!=', '<', '<=', '>', '>='), tie('double')).map(([a, op, b]) => `${a} ${op} ${b}`),
    fc.tuple(tie('text'), fc.constantFrom('==', '!='), tie('text')).map(([a, op, b]) => `${a} ${op} ${b}`),
    fc.tuple(tie('text'), fc.array(textLiteral, { minLength: 1, maxLength: 3 })).map(([a, list]) => `${a} in [${list.join(', ')}]`),
    tie('text').map((value) => `in_list("cards", ${value})`),
    fc.constantFrom('true', 'false'),
    tie('rule').map((of) => `!(${of})`),
    fc.tuple(tie('rule'), fc.constantFrom('&&', '||'), tie('rule')).map(([a, op, b]) => `(${a} ${op} ${b})`),
  ),
}));
const value = fc.oneof(number, fc.constantFrom(Number.NaN, Number.POSITIVE_INFINITY, -0));
const field = fc.option(fc.constantFrom(...texts.filter((text) => text !== '')), { nil: undefined });
const payment = fc.record({
  vector: fc.array(value, { minLength: NAMES.length, maxLength: NAMES.length }),
  ...{ amount: number, score: value, probability: value, anomaly: value, country: field, card_id: field, session_id: field },
});

test('closures say what the interpreter says, and ask the same of lists in the same order', () => {
  const questions: string[] = [];
  const language = new RuleLanguage(NAMES, LISTS, (name, text) => {
    questions.push(`${name}=${text}`);
    return text === 'card-1';
  });
  let hits = 0;
  fc.assert(
    fc.property(rule, fc.array(payment, { minLength: 1, maxLength: 5 }), (when, payments) => {
      const closure = language.compile(when).when;
      // A condition has no closure, so all of it goes to the interpreter.
      const interpreted = language.compile(`(${when}) ? true : false`).when;
      expect(closure.toString()).not.toBe(interpreted.toString());
      for (const { vector, score, probability, anomaly, ...request } of payments) {
        const context = {
          tx: new Tx(request as unknown as ScoreRequest),
          features: new language.Features(Float32Array.from(vector)),
          ...{ score, probability, anomaly },
        };
        questions.length = 0;
        const said = closure(context);
        const asked = questions.splice(0);
        expect([said, asked]).toEqual([interpreted(context), [...questions]]);
        if (said === true) hits++;
      }
    }),
    { seed: 31, numRuns: 1_500 },
  );
  expect(hits).toBeGreaterThan(500);
});

test('the shipped rules all have closures; what is none of these nodes has not', () => {
  const names = DEFAULT_RULES.flatMap(({ when }) => [...when.matchAll(/features\.(\w+)/g)].map((match) => match[1]!));
  const known = {
    features: names,
    strings: ['card_id', 'user_id', 'device_id', 'ip', 'email_domain'] as const,
    readable: Number,
    asked: () => false,
  };
  for (const { when } of DEFAULT_RULES) expect(closureOf(parse(when).ast, known), when).toBeDefined();
  for (const when of [
    'tx.card_id.startsWith("x")',
    'score / 2.0 > 1.0',
    '1 < 2',
    'score in [1.0]',
    'size(tx.card_id) > 3',
    'score',
    'tx.nothing == "a"',
  ])
    expect(closureOf(parse(when).ast, known), when).toBeUndefined();
});
