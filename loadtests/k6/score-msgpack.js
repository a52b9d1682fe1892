/**
 * k6 cannot parse the top-level `for await` of @msgpack/msgpack, and resolves no packages, so this script is bundled first: loadtests/smoke.ts does it.
 */
// First: the package makes its encoder while it loads.
import './text-codec.js';
import { decode, encode } from '@msgpack/msgpack';
import { check } from 'k6';
import http from 'k6/http';
import { BASE_URL, headers, isScore, payment, serial, options as shared } from './common.js';

export const options = shared;
const TYPE = 'application/msgpack';

/** Payments in MessagePack, answered in MessagePack. */
export default function scoreMsgpack() {
  const n = serial();
  const sent = payment(n, 10 + (n % 500));
  const bytes = encode(sent);
  const body = bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.byteLength);
  const response = http.post(`${BASE_URL}/v1/score`, body, { headers: headers(TYPE), responseType: 'binary' });
  check(response, {
    'status is 200': ({ status }) => status === 200,
    'answered in MessagePack': () => response.headers['Content-Type'] === TYPE,
    'a whole answer': ({ status }) => status === 200 && isScore(decode(new Uint8Array(response.body)), sent),
  });
}
