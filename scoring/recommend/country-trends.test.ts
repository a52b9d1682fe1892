import { expect, test } from 'vitest';
import { Handles } from '../../contracts/handles.ts';
import { COUNTRIES_MAX, COUNTRY_DEMAND_MIN, COUNTRY_ITEMS_MAX, CountryTrends } from './country-trends.ts';

const SECOND = 1000;
function trendsOf(...ids: string[]) {
  const handles = new Handles();
  for (const id of ids) handles.intern(id);
  const trends = new CountryTrends(handles);
  const top = (code: string, nowMs: number, age = 1) => {
    const list = trends.top(code, nowMs, age, SECOND);
    return list && Array.from(list, (handle) => handles.idOf(handle));
  };
  const add = (code: string, id: string, weight: number) => trends.add(code, [{ item_id: id }], weight);
  return { handles, trends, add, top };
}
/** Two-letter codes that differ. */
const codeOf = (i: number): string => String.fromCharCode(65 + Math.floor(i / 26), 65 + (i % 26));

test('a country has a list of its own once enough is known of it, and loses it as that ages', () => {
  const { add, top } = trendsOf('bread', 'rice');
  add('DE', 'bread', COUNTRY_DEMAND_MIN - 1);
  add('JP', 'rice', COUNTRY_DEMAND_MIN);
  expect(top('DE', 0)).toBeUndefined();
  expect(top('JP', 0)).toEqual(['rice']);
  expect(top('FR', 0)).toBeUndefined();
  add('DE', 'rice', 1);
  expect(top('DE', 0)).toEqual(['bread', 'rice']);
  expect(top('DE', 0, 0.9)).toBeUndefined();
});

test('a list is made again at most once a second; items that come after their events are in it, deleted ones are not', () => {
  const { handles, trends, add, top } = trendsOf('a');
  add('DE', 'a', COUNTRY_DEMAND_MIN);
  add('DE', 'late', 2 * COUNTRY_DEMAND_MIN);
  expect(top('DE', 0)).toEqual(['a']);
  handles.intern('late');
  add('DE', 'a', 1);
  expect(top('DE', SECOND - 1)).toEqual(['a']);
  expect(top('DE', SECOND)).toEqual(['late', 'a']);
  trends.delete('late');
  expect(top('DE', 2 * SECOND)).toEqual(['a']);
  // A clock that was set back does not keep an old list.
  add('DE', 'late', 1);
  expect(top('DE', 0)).toEqual(['a', 'late']);
});

test('counts keep their order when they are scaled down', () => {
  const { trends, add, top } = trendsOf('a', 'b');
  add('DE', 'a', 2 ** 500);
  trends.rescale(2 ** -500);
  add('DE', 'b', COUNTRY_DEMAND_MIN);
  expect(top('DE', 0)).toEqual(['b', 'a']);
});

test('items of a country are bounded: the less wanted half goes', () => {
  const { trends, add, top } = trendsOf('hit');
  add('DE', 'hit', COUNTRY_DEMAND_MIN);
  for (let i = 0; i < 3 * COUNTRY_ITEMS_MAX; i++) add('DE', `invented-${i}`, 1);
  expect(trends.itemCount('DE')).toBeLessThanOrEqual(COUNTRY_ITEMS_MAX);
  expect(trends.itemCount('DE')).toBeGreaterThanOrEqual(COUNTRY_ITEMS_MAX / 2);
  expect(top('DE', 0)).toEqual(['hit']);
});

test('countries are bounded: the one with the least demand goes', () => {
  const { trends, add, top } = trendsOf('a');
  for (let i = 0; i < COUNTRIES_MAX; i++) add(codeOf(i), 'a', COUNTRY_DEMAND_MIN + (i === 7 ? 0 : 1));
  for (let i = 0; i < 3; i++) add(codeOf(COUNTRIES_MAX + i), 'a', 1);
  expect(trends.size).toBe(COUNTRIES_MAX);
  expect(top(codeOf(7), 0)).toBeUndefined();
  for (const kept of [0, 6, 8, COUNTRIES_MAX - 1]) expect(top(codeOf(kept), 0)).toEqual(['a']);
});
