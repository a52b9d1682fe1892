import { check } from 'k6';
import exec from 'k6/execution';
import http from 'k6/http';
import { Counter, Trend } from 'k6/metrics';
import { WebSocket } from 'k6/websockets';
import { BASE_URL, headers, payment } from './common.js';

const VUS = 4;
const PAYMENTS_PER_VU = 25;
/** The model of the prepared shop holds this for fraud, so that most of these payments raise an alert. */
const AMOUNT = 960;
/** All alerts are there within a second; after this the iteration ends and what is missing has failed. */
const DEADLINE_MS = 15_000;

const lag = new Trend('alert_lag_ms');
const gaps = new Counter('alert_gaps');

export const options = {
  scenarios: { stream: { executor: 'per-vu-iterations', vus: VUS, iterations: 1, maxDuration: '30s' } },
  thresholds: { checks: ['rate==1'], http_req_failed: ['rate==0'], alert_gaps: ['count==0'], alert_lag_ms: ['p(95)<500'] },
};

/** A stream token, as a shop's server hands it to a risk desk's browser. */
export function setup() {
  const response = http.post(`${BASE_URL}/v1/stream/tokens`, JSON.stringify({ channels: ['alerts'] }), { headers: headers('application/json') });
  if (response.status !== 200) exec.test.abort(`no stream token: ${response.status} ${response.body}`);
  return response.json();
}

/**
 * Subscribes, makes alerts, and checks that those of all virtual users arrive: each offset one after the one before, each own transaction once.
 */
export default function stream({ token }) {
  const expected = new Set();
  const seen = [];
  let last = -1;
  let epoch = '';
  let allSent = false;
  const socket = new WebSocket(`${BASE_URL.replace(/^http/, 'ws')}/v1/stream?token=${token}`);

  const finish = () => {
    clearTimeout(deadline);
    socket.close();
    check(seen, {
      'payments raised alerts': () => expected.size > PAYMENTS_PER_VU / 2,
      'every alert once': () => seen.length === expected.size && new Set(seen).size === seen.length,
    });
  };
  const deadline = setTimeout(finish, DEADLINE_MS);
  const finishWhenComplete = () => {
    if (allSent && seen.length >= expected.size) finish();
  };

  const pay = (left) => {
    const n = exec.vu.idInTest * 1_000_000 + left;
    const sent = payment(n, AMOUNT);
    const response = http.post(`${BASE_URL}/v1/score`, JSON.stringify(sent), { headers: headers('application/json') });
    if (response.json().decision !== 'approve') expected.add(sent.transaction_id);
    allSent = left === 1;
    // Between two payments the engine takes what has arrived; never before the answer, which says whether an alert is due.
    if (!allSent) setTimeout(() => pay(left - 1), 1);
    else finishWhenComplete();
  };

  const frames = {
    ready: () => socket.send(JSON.stringify({ type: 'subscribe', id: 1, channel: 'alerts' })),
    subscribed: (frame) => {
      last = frame.offset;
      epoch = frame.epoch;
      pay(PAYMENTS_PER_VU);
    },
    push: ({ offset, epoch: ofFrame, data }) => {
      if (offset !== last + 1 || ofFrame !== epoch) gaps.add(1);
      last = offset;
      lag.add(Date.now() - data.at_ms);
      if (expected.has(data.transaction_id)) seen.push(data.transaction_id);
      finishWhenComplete();
    },
    error: (frame) => exec.test.abort(`the stream says ${frame.code}: ${frame.detail}`),
  };
  socket.onmessage = ({ data }) => {
    const frame = JSON.parse(data);
    const handle = frames[frame.type];
    if (handle) handle(frame);
  };
  socket.onerror = (event) => exec.test.abort(`the stream failed: ${event.error}`);
}
