import { check } from 'k6';
import http from 'k6/http';
import { BASE_URL, headers, itemOf, serial, options as shared, userOf } from './common.js';

export const options = shared;
const LIMIT = 12;

/** Recommendations for known and unknown visitors: as many items as asked for, none twice, not degraded. */
export default function recommend() {
  const n = serial();
  const user_id = n % 5 === 0 ? `stranger-${n}` : userOf(n);
  const request = n % 2 === 0 ? { placement: 'home', user_id, limit: LIMIT } : { placement: 'product', user_id, item_id: itemOf(n), limit: LIMIT };
  const response = http.post(`${BASE_URL}/v1/recommend`, JSON.stringify(request), { headers: headers('application/json') });
  const answer = response.status === 200 ? response.json() : { items: [] };
  const ids = answer.items.map((item) => item.item_id);
  check(response, {
    'status is 200': ({ status }) => status === 200,
    'as many items as asked for': () => ids.length === LIMIT,
    'no item twice': () => new Set(ids).size === ids.length,
    'not the item on the page': () => !ids.includes(request.item_id),
    'not degraded': () => answer.degraded === false,
  });
}
