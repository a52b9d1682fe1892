/** What the scripts share. k6 runs them in its own engine: no Node modules here. Settings come as `k6 run -e NAME=value`. */
import encoding from 'k6/encoding';
import exec from 'k6/execution';

export const BASE_URL = __ENV.BASE_URL || 'http://127.0.0.1:8080';
const KEY = __ENV.KEY || '';
const ITEMS = Number(__ENV.ITEMS || 1000);
const USERS = Number(__ENV.USERS || 1000);
/** Requests a second, and for how long: a smoke test must not become a load test because a machine is slow. */
const RATE = Number(__ENV.RATE || 50);
const DURATION = __ENV.DURATION || '10s';
/** Virtual users at most; more waiting requests than this are dropped by k6 and fail the run. */
const VUS_MAX = 20;
/** The deadlines of the gateway are 50 and 100 ms; the rest is room for a busy machine. */
const P95_MS_MAX = Number(__ENV.P95_MS_MAX || 250);

/** Arrivals at a fixed rate; any failed check, failed or dropped request, or late answers fail the run. */
export const options = {
  scenarios: {
    smoke: { executor: 'constant-arrival-rate', rate: RATE, timeUnit: '1s', duration: DURATION, preAllocatedVUs: VUS_MAX, maxVUs: VUS_MAX },
  },
  thresholds: {
    checks: ['rate==1'],
    http_req_failed: ['rate==0'],
    dropped_iterations: ['count==0'],
    http_req_duration: [`p(95)<${P95_MS_MAX}`],
  },
};

export function headers(contentType) {
  return { Authorization: `Bearer ${KEY}`, 'Content-Type': contentType, Accept: contentType };
}

/** A number from 0 that no other iteration of this run has. */
export function serial() {
  return exec.scenario.iterationInTest;
}

export const userOf = (n) => `user-${n % USERS}`;
export const itemOf = (n) => `item-${(n * 7919) % ITEMS}`;

/** New in each run, so that a second run against the same gateway is no retry of the first. */
const RUN = encoding.b64encode(String(Date.now() % 1e9), 'rawurl');

/** A payment that nobody sent before. */
export function payment(n, amount) {
  const user = n % USERS;
  return {
    transaction_id: `k6-${RUN}-${n}`,
    user_id: `user-${user}`,
    session_id: `session-${user}`,
    amount,
    currency: 'EUR',
    country: 'DE',
    card_id: `card-${user}`,
    device_id: `device-${user}`,
    ip: `10.0.${(user >> 8) & 255}.${user & 255}`,
    merchant_id: `merchant-${n % 20}`,
    payment_method: 'card',
  };
}

const DECISIONS = ['suspend', 'decline', 'restrict_payment_method', 'challenge', 'review', 'approve'];

/** Whether an answer to a score request says all that a checkout needs. */
export function isScore(answer, sent) {
  return (
    answer.transaction_id === sent.transaction_id &&
    DECISIONS.includes(answer.decision) &&
    answer.probability >= 0 &&
    answer.probability <= 1 &&
    answer.degraded === false
  );
}
