import { expect, test } from 'vitest';
import type { TimedEvent } from '../../contracts/event.ts';
import { VISITOR_COUNTRIES_MAX, VisitorCountries } from './visitor-countries.ts';

const seen = (more: Partial<TimedEvent>): TimedEvent => ({ event_id: 'e', name: 'view_item', timestamp_ms: 1, ...more });

test('a visit is where its last event that says so was; a request without a visit asks about the user', () => {
  const countries = new VisitorCountries('salt');
  countries.add(seen({ session_id: 's', user_id: 'u', country: 'DE' }));
  countries.add(seen({ session_id: 's', ip_country: 'FR' }));
  countries.add(seen({ session_id: 's' }));
  expect(countries.of({ session_id: 's', user_id: 'u' })).toBe('FR');
  expect(countries.of({ user_id: 'u' })).toBe('DE');
  expect(countries.of({ session_id: 'other', user_id: 'u' })).toBeUndefined();
  expect(countries.of({ session_id: 'u' })).toBeUndefined();
  expect(countries.of({})).toBeUndefined();
});

test('what an event says of the country goes before where its address is', () => {
  const countries = new VisitorCountries('salt');
  for (const country of ['AA', 'ZZ', 'AZ', 'ZA']) {
    countries.add(seen({ session_id: 's', country, ip_country: 'US' }));
    expect(countries.of({ session_id: 's' })).toBe(country);
  }
});

test('memory is bounded: of many visits the later ones are known, and nobody gets a country of others', () => {
  const countries = new VisitorCountries('salt');
  const visits = 3 * VISITOR_COUNTRIES_MAX;
  for (let i = 0; i < visits; i++) countries.add(seen({ session_id: `s${i}`, country: i % 2 === 0 ? 'DE' : 'FR' }));
  let [known, wrong] = [0, 0];
  for (let i = 0; i < visits; i++) {
    const country = countries.of({ session_id: `s${i}` });
    if (country === undefined) continue;
    known++;
    if (country !== (i % 2 === 0 ? 'DE' : 'FR')) wrong++;
  }
  expect(known).toBeGreaterThan(0.9 * VISITOR_COUNTRIES_MAX);
  expect(known).toBeLessThanOrEqual(VISITOR_COUNTRIES_MAX);
  expect(wrong).toBeLessThan(10);
  expect(countries.of({ session_id: `s${visits - 1}` })).toBe('FR');
});
