import { readFile } from 'node:fs/promises';
import { describe, expect, test } from 'vitest';
import type { TimedEvent } from '../../contracts/event.ts';
import type { EntityState } from './contract.ts';
import { DEFAULT_DECLARATIONS } from './defaults.ts';
import { createFeatureEngine } from './engine.ts';
import { parseFeatureFile } from './file.ts';

const T0 = 1_750_000_000_000;
const ATTEMPTS = { events: ['payment_attempt'] };
const MORE = [
  { name: 'network_customers_24h', text: '{value}', aggregate: 'distinct', entity: 'network', window: '24h', of: 'user_id', ...ATTEMPTS },
  { name: 'domain_attempts_90d', text: '{value}', aggregate: 'count', entity: 'email_domain', window: '90d', ...ATTEMPTS },
  { name: 'address_customers_30d', text: '{value}', aggregate: 'distinct', entity: 'address', window: '30d', of: 'user_id', ...ATTEMPTS },
  { name: 'user_currency_share', text: '{value}', aggregate: 'share', entity: 'user', of: 'currency', ...ATTEMPTS },
  { name: 'abroad', text: '{value}', aggregate: 'differs', left: 'billing_country', right: 'ip_country' },
];
const file = (change: object): string => JSON.stringify({ version: 2, extends: 'default', sets: { fraud: MORE }, ...change });

describe('a features file', () => {
  test('adds features to the shipped ones, which keep their places, without a line of code', () => {
    const engine = createFeatureEngine(parseFeatureFile(file({})));
    const shipped = DEFAULT_DECLARATIONS.sets['fraud']!.map(({ name }) => name);
    expect(engine.names('fraud')).toEqual([...shipped, ...MORE.map(({ name }) => name)]);
    expect(engine.hash('rank')).toBe(createFeatureEngine(DEFAULT_DECLARATIONS).hash('rank'));

    const pay = (i: number): TimedEvent => ({
      event_id: `p${i}`,
      name: 'payment_attempt',
      timestamp_ms: T0 + i * 1_000,
      user_id: `u${i}`,
      ip: `198.51.100.${i}`,
      email_domain: 'mail.example',
      address_id: 'a1',
      currency: i === 2 ? 'USD' : 'EUR',
      billing_country: 'DE',
      ip_country: i === 2 ? 'BR' : 'DE',
      value: 10,
    });
    const states = new Map<string, EntityState>();
    for (const event of [pay(0), pay(1), pay(2)]) {
      for (const ref of engine.entities(event)) {
        states.set(
          `${ref.kind}:${ref.id}`,
          engine.apply(ref, states.get(`${ref.kind}:${ref.id}`), event, () => undefined),
        );
      }
    }
    const out = new Float32Array(engine.names('fraud').length);
    const of = (event: TimedEvent): Record<string, number | undefined> => {
      const own = Object.fromEntries(engine.entities(event).map(({ kind, id }) => [kind, states.get(`${kind}:${id}`)]));
      engine.vector('fraud', { nowMs: event.timestamp_ms, states: own, event }, [], out, 0);
      return Object.fromEntries(MORE.map(({ name }) => [name, out[engine.names('fraud').indexOf(name)]]));
    };
    const expected = { network_customers_24h: 3, domain_attempts_90d: 3, address_customers_30d: 3, user_currency_share: 1, abroad: 1 };
    expect(of(pay(2))).toEqual(expected);
    expect(of({ ...pay(2), ip_country: 'DE' })['abroad']).toBe(0);
    const { ip_country: _unknown, ...nowhere } = pay(2);
    expect(of(nowhere)['abroad']).toBeNaN();
  });

  test('is what the documentation shows', async () => {
    const page = await readFile(new URL('../../docs/features.md', import.meta.url), 'utf8');
    const examples = [...page.matchAll(/```json\n(.*?)```/gs)].map(([, example]) => example!);
    const added = examples.map((example) =>
      createFeatureEngine(parseFeatureFile(example)).names('fraud').slice(DEFAULT_DECLARATIONS.sets['fraud']!.length),
    );
    expect(added).toEqual([
      ['network_customers_24h', 'card_median', 'amount_to_card_median', 'abroad'],
      ['network_attempts_1h', 'network_customers_24h', 'network_fraud_30d', 'domain_attempts_24h', 'domain_fraud_30d'],
    ]);
    expect(page).toContain(`${DEFAULT_DECLARATIONS.sets['fraud']!.length} features.`);
  });

  test('stands alone without extends, and then has to have every set that the gateway asks for', () => {
    const own = { version: 1, sets: { fraud: [{ name: 'hour', text: 'hour {value}', aggregate: 'subject', field: 'hour' }] } };
    expect(() => parseFeatureFile(JSON.stringify(own))).toThrow(/the features file has no set rank/);
    const both = { ...own, sets: { ...own.sets, rank: own.sets.fraud } };
    expect(createFeatureEngine(parseFeatureFile(JSON.stringify(both))).names('fraud')).toEqual(['hour']);
  });

  const wrong: [string, string, RegExp][] = [
    ['no JSON', '{', /the features file is not JSON/],
    ['an unknown field', file({ feature: 1 }), /the features file at \/feature: there is no such field/],
    ['an unknown aggregate', file({ sets: { fraud: [{ ...MORE[0], aggregate: 'mode' }] } }), /at \/sets\/fraud\/0: unknown aggregate mode/],
    ['a missing window', file({ sets: { fraud: [MORE[0], { ...MORE[1], window: undefined }] } }), /at \/sets\/fraud\/1.*required/],
    ['a misspelt field', file({ sets: { fraud: [{ ...MORE[0], windows: '1h' }] } }), /at \/sets\/fraud\/0\/windows: there is no such field/],
    ['an unknown window', file({ sets: { fraud: [{ ...MORE[0], window: '2h' }] } }), /feature fraud.network_customers_24h has an unknown window: 2h/],
    ['a name that ships', file({ sets: { fraud: [{ ...MORE[0], name: 'amount' }] } }), /feature fraud.amount is declared twice/],
  ];
  for (const [name, text, message] of wrong) test(`is refused with the place: ${name}`, () => expect(() => parseFeatureFile(text)).toThrow(message));
});
