import { afterEach, describe, expect, test } from 'vitest';
import { GatehouseError } from '../../contracts/errors.ts';
import { ROUTES, type Route } from '../../contracts/routes.ts';
import type { RulesResponse } from '../../contracts/rules.ts';
import { Catalogue } from '../../scoring/recommend/catalogue.ts';
import { DEFAULT_RULES } from '../../scoring/risk/default-rules.ts';
import { controlFixture } from './control.suite.ts';

type Fixture = Awaited<ReturnType<typeof controlFixture>>;
let open: Fixture[] = [];
async function fixture(overrides: Parameters<typeof controlFixture>[0] = {}): Promise<Fixture> {
  const made = await controlFixture(overrides);
  open.push(made);
  return made;
}
afterEach(() => {
  for (const { metrics } of open) metrics.close();
  open = [];
});

const bearer = (token: string): { headers: Record<string, string> } => ({ headers: { authorization: `Bearer ${token}` } });
const adminRoutes = Object.entries<Route>(ROUTES).filter(([, route]) => route.plane === 'control' && route.key === 'admin');

describe('access', () => {
  test.each(adminRoutes)('%s needs the admin token', async (_name, route) => {
    const { app, secretKey, store } = await fixture();
    const path = route.path.replace('{version}', 'v3').replace('{id}', 'key_1');
    for (const init of [{}, bearer('wrong'), bearer(secretKey)]) {
      const response = await app.request(path, { method: route.method, ...init });
      expect([401, 403]).toContain(response.status);
      expect(response.headers.get('content-type')).toBe('application/problem+json');
      const problem = await response.json();
      expect(['unauthenticated', 'forbidden']).toContain(problem.code);
      if (response.status === 401) expect(response.headers.get('www-authenticate')).toBe('Bearer');
    }
    // Neither a cookie nor a token in the address is ever looked at.
    const cookie = await app.request(`${path}?token=x`, { method: route.method, headers: { cookie: 'token=x' } });
    expect(cookie.status).toBe(401);
    expect(store.facts).toEqual([]);
  });

  test('a host name that DNS could point here is refused, addresses and set names are not', async () => {
    const { app } = await fixture();
    const status = async (host: string): Promise<number> => (await app.request(`http://${host}/healthz`)).status;
    for (const host of ['evil.example', 'localhost.evil.example', '127.0.0.1.evil.example:8081']) expect(await status(host), host).toBe(403);
    for (const host of ['127.0.0.1:8081', 'localhost:8081', '[::1]:8081', '10.0.0.7', 'risk.example']) expect(await status(host), host).toBe(200);
    // The header counts, whatever the address line says.
    expect((await app.request('http://localhost/healthz', { headers: { host: 'evil.example' } })).status).toBe(403);
    expect((await app.request('http://localhost/healthz', { headers: { host: 'localhost@evil.example' } })).status).toBe(403);
  });

  test('every answer carries the security headers', async () => {
    const { app } = await fixture();
    for (const path of ['/', '/main.js', '/healthz', '/nothing', '/v1/bundles', '/docs']) {
      const { headers } = await app.request(path);
      const policy = headers.get('content-security-policy');
      expect(policy, path).toContain("default-src 'none'");
      expect(policy).not.toContain('unsafe-inline');
      expect(policy).toContain("connect-src 'self' ws://localhost:8080");
      expect(headers.get('x-content-type-options')).toBe('nosniff');
      expect(headers.get('x-frame-options')).toBe('DENY');
      expect(headers.get('access-control-allow-origin')).toBeNull();
    }
  });

  test('unknown addresses are 404, known ones with another method 405', async () => {
    const { app, adminToken } = await fixture();
    expect((await (await app.request('/nothing')).json()).code).toBe('not_found');
    const wrong = await app.request('/v1/keys', { method: 'PUT', ...bearer(adminToken) });
    expect(wrong.status).toBe(405);
    expect(wrong.headers.get('allow')).toBe('GET, POST');
    expect((await app.request('/..%2f..%2fetc/passwd')).status).toBe(404);
  });
});

describe('open routes', () => {
  test('health, readiness with reasons, metrics, description, docs and page', async () => {
    const { app, metrics } = await fixture({ readiness: () => ['no bundle is loaded'], warnings: () => ['a rule does not act'] });
    expect(await (await app.request('/healthz')).json()).toEqual({ status: 'ok', version: '9.9.9' });
    const ready = await app.request('/readyz');
    expect(ready.status).toBe(503);
    expect(await ready.json()).toEqual({ ready: false, reasons: ['no bundle is loaded'], warnings: ['a rule does not act'] });
    metrics.counter('decisions', 'approve').inc(5);
    const scrape = await app.request('/metrics');
    expect(scrape.headers.get('content-type')).toContain('text/plain');
    expect(await scrape.text()).toContain('gatehouse_decisions_total{decision="approve"} 5');
    expect((await (await app.request('/openapi.json')).json()).info.version).toBe('9.9.9');
    const docs = await (await app.request('/docs')).text();
    expect(docs).toContain('/v1/recommend');
    expect(docs).not.toContain('<script');
    expect(docs).not.toMatch(/(?:src|href)="https?:/);
    expect(await (await app.request('/')).text()).toContain('Gatehouse');
  });

  test('ready is 200 when nothing is amiss', async () => {
    const { app } = await fixture();
    expect((await app.request('/readyz')).status).toBe(200);
  });
});

describe('bundles and rules', () => {
  test('lists with the state of each', async () => {
    const { app, adminToken } = await fixture();
    const answer = await (await app.request('/v1/bundles', bearer(adminToken))).json();
    expect(answer.current).toBe('v2');
    expect(answer.bundles.map((bundle: { version: string; state: string }) => [bundle.version, bundle.state])).toEqual([
      ['v3', 'available'],
      ['v2', 'current'],
      ['v1', 'previous'],
      ['v0', 'available'],
    ]);
    expect(answer.bundles[0]).toMatchObject({ bytes: 1000, metrics: { 'fraud.ap': 0.8 } });
    expect(answer.bundles[3]).toMatchObject({ problem: 'manifest.json is missing' });
  });

  test('activate and rollback swap, are journalled before and after, and are counted', async () => {
    const { app, adminToken, store, metrics } = await fixture();
    const activated = await app.request('/v1/bundles/v3/activate', { method: 'POST', ...bearer(adminToken) });
    expect(await activated.json()).toEqual({ current: 'v3' });
    expect(store.facts).toMatchObject([
      { kind: 'admin', actor: 'admin', action: 'bundle.activate', detail: { version: 'v3', from: 'v2' } },
      { kind: 'admin', action: 'bundle.activate.done' },
    ]);
    const rolledBack = await app.request('/v1/bundles/rollback', { method: 'POST', ...bearer(adminToken) });
    expect(await rolledBack.json()).toEqual({ current: 'v1' });
    expect((await metrics.counterValues('bundleChanges')).map(({ labels }) => labels['outcome'])).toEqual(['activated', 'rolled_back']);
  });

  test('a refused bundle answers its code and is journalled as failed', async () => {
    const { app, adminToken, store } = await fixture();
    const response = await app.request('/v1/bundles/v0/activate', { method: 'POST', ...bearer(adminToken) });
    expect(response.status).toBe(422);
    expect(await response.json()).toMatchObject({ code: 'bundle_corrupt', detail: 'manifest.json is missing' });
    expect(store.facts.at(-1)).toMatchObject({ action: 'bundle.activate.failed', detail: { code: 'bundle_corrupt' } });
    const name = await app.request('/v1/bundles/..%2fsecret/activate', { method: 'POST', ...bearer(adminToken) });
    expect(await name.json()).toMatchObject({ code: 'invalid_request' });
  });

  test('nothing is changed that cannot be journalled', async () => {
    const { app, adminToken, store, deps } = await fixture();
    store.failure = new GatehouseError('store_unavailable', 'disk');
    const response = await app.request('/v1/bundles/v3/activate', { method: 'POST', ...bearer(adminToken) });
    expect(response.status).toBe(503);
    expect(response.headers.get('retry-after')).toBe('1');
    expect(deps.bundles.current?.version).toBe('v2');
  });

  test('an unexpected failure is `internal`, without its message, and logged', async () => {
    const broken = {
      current: undefined,
      list: async () => Promise.reject(new Error('secret path')),
      activate: async () => Promise.reject(),
      rollback: async () => Promise.reject(),
      challenge: undefined,
      challengeBy: async () => Promise.reject(),
      endChallenge: async () => Promise.reject(),
    };
    const { app, adminToken, logged } = await fixture({ bundles: broken });
    const response = await app.request('/v1/bundles', bearer(adminToken));
    expect(response.status).toBe(500);
    expect(await response.text()).not.toContain('secret path');
    expect(logged.at(-1)).toEqual({ level: 'error', message: 'a control request failed' });
  });

  test('rules are listed and read again', async () => {
    const { app, adminToken, store } = await fixture();
    const { rules, approval } = (await (await app.request('/v1/rules', bearer(adminToken))).json()) as RulesResponse;
    expect(approval).toBe('off');
    expect(rules.map(({ id }) => id)).toEqual(DEFAULT_RULES.map(({ id }) => id).sort());
    expect(rules[0]).toMatchObject({ version: 1, state: 'live', author: 'gatehouse', overridable: true });
    const again = await app.request('/v1/rules/reload', { method: 'POST', ...bearer(adminToken) });
    expect(((await again.json()) as RulesResponse).rules).toEqual(rules);
    expect(store.facts.map((fact) => fact.kind === 'admin' && fact.action)).toEqual(['rules.reload', 'rules.reload.done']);
  });
});

test('the catalogue is read in pages, whatever is put or deleted meanwhile', async () => {
  const catalogue = new Catalogue();
  for (const id of ['c', '12', 'a', 'b', 'd']) catalogue.put({ item_id: id, price: 1 });
  const { app, adminToken } = await fixture({ catalogue });
  const page = async (query: string) => (await app.request(`/v1/items?${query}`, bearer(adminToken))).json();
  expect(await page('limit=2')).toEqual({
    total: 5,
    items: [
      { item_id: 'c', price: 1 },
      { item_id: '12', price: 1 },
    ],
    next: '12',
  });
  catalogue.delete('12');
  catalogue.put({ item_id: 'c', price: 2 });
  expect((await page('after=12&limit=2')).items.map(({ item_id }: { item_id: string }) => item_id)).toEqual(['a', 'b']);
  expect(await page('after=b&limit=2')).toEqual({ total: 4, items: [{ item_id: 'd', price: 1 }], next: null });
  expect(await page('after=d')).toMatchObject({ items: [], next: null });
  expect(await page('after=unheard')).toMatchObject({ status: 404, code: 'item_not_found' });
  expect(await page('limit=1001')).toMatchObject({ status: 422, code: 'invalid_request' });
});

describe('alerts, streams, keys', () => {
  test('alerts page from an offset', async () => {
    const { app, adminToken } = await fixture();
    const page = await (await app.request('/v1/alerts?after=1&limit=1', bearer(adminToken))).json();
    expect(page).toMatchObject({ position: { offset: 3, epoch: 'e1' }, first: 1, alerts: [{ offset: 2, alert: { alert_id: 'a2' } }] });
    for (const query of ['after=-1', 'after=x', 'limit=0', 'limit=501', 'other=1', 'after=1&after=2']) {
      const response = await app.request(`/v1/alerts?${query}`, bearer(adminToken));
      expect(await response.json(), query).toMatchObject({ status: 422, code: 'invalid_request' });
    }
  });

  test('a stream token comes with the address at the host of the page', async () => {
    const { app, adminToken, streamTokens } = await fixture();
    const answer = await (await app.request('http://risk.example:8081/v1/stream-token', { method: 'POST', ...bearer(adminToken) })).json();
    expect(answer.url).toBe('ws://risk.example:8080/v1/stream');
    expect((await streamTokens.verify(answer.token)).channels).toEqual(['alerts']);
  });

  test('a key is made once, listed without itself, and revoked', async () => {
    const { app, adminToken } = await fixture();
    const json = (body: string, type = 'application/json'): RequestInit => ({
      method: 'POST',
      body,
      headers: { ...bearer(adminToken).headers, 'content-type': type },
    });
    const made = await app.request('/v1/keys', json('{"kind":"publishable","label":"shop","origins":["https://shop.example"]}'));
    expect(made.status).toBe(201);
    const { key, id } = await made.json();
    expect(key).toMatch(/^gh_pub_/);
    const listed = await (await app.request('/v1/keys', bearer(adminToken))).text();
    expect(listed).toContain(id);
    expect(listed).not.toContain(key);
    expect(await (await app.request(`/v1/keys/${id}`, { method: 'DELETE', ...bearer(adminToken) })).json()).toEqual({ keys: [] });

    const codeOf = async (init: RequestInit): Promise<string> => (await (await app.request('/v1/keys', init)).json()).code;
    expect(await codeOf(json('{'))).toBe('malformed_body');
    expect(await codeOf(json('{"kind":"admin","label":"x"}'))).toBe('invalid_request');
    expect(await codeOf(json('{"kind":"secret","label":"x","more":1}'))).toBe('invalid_request');
    expect(await codeOf(json('{}', 'text/plain'))).toBe('unsupported_media_type');
    expect(await codeOf(json(`"${'x'.repeat(70_000)}"`))).toBe('body_too_large');
  });
});
