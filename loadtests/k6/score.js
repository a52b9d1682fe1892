import { check } from 'k6';
import http from 'k6/http';
import { BASE_URL, headers, isScore, payment, serial, options as shared } from './common.js';

export const options = shared;

/** Payments in JSON; one in ten is sent twice and must get the same answer. */
export default function score() {
  const n = serial();
  const sent = payment(n, n % 50 === 0 ? 950 : 10 + (n % 500));
  const post = () => http.post(`${BASE_URL}/v1/score`, JSON.stringify(sent), { headers: headers('application/json') });
  const response = post();
  check(response, {
    'status is 200': ({ status }) => status === 200,
    'a whole answer': ({ status }) => status === 200 && isScore(response.json(), sent),
  });
  if (n % 10 === 0) check(post(), { 'a retry gets the first answer': ({ status, body }) => status === 200 && body === response.body });
}
