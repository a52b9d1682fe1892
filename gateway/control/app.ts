import { randomUUID } from 'node:crypto';
import { Hono } from 'hono';
import { ERRORS, GatehouseError } from '../../contracts/errors.ts';
import { ROUTES, type Route } from '../../contracts/routes.ts';
import type { ControlDeps } from './deps.ts';
import { hostAllowed, securityHeaders, streamUrlFor } from './guards.ts';
import { type ControlEnv, controlHandlers } from './handlers.ts';

/**
 * The control plane. Whoever may call a route stands in the route table: all but health, readiness, metrics, the description and the page's own
 * files need the admin token, in `Authorization` alone. No cookie is ever read, so no foreign page can act in an operator's name (CSRF).
 */
export function createControlApp(deps: ControlDeps): Hono<ControlEnv> {
  const app = new Hono<ControlEnv>();
  const handlers = controlHandlers(deps);

  app.use(async (c, next) => {
    c.set('requestId', randomUUID());
    const host = c.req.header('host') ?? new URL(c.req.url).host;
    const trusted = hostAllowed(host, deps.config);
    c.set('host', trusted ? host : deps.config.controlHost);
    if (trusted) await next();
    else c.res = problem(c.get('requestId'), new GatehouseError('forbidden', 'this host name is not allowed: see GATEHOUSE_CONTROL_ALLOWED_HOSTS'));
    for (const [name, value] of Object.entries(securityHeaders(streamUrlFor(c.get('host'), deps.config.streamUrl, deps.dataPort()))))
      c.header(name, value);
    c.header('x-request-id', c.get('requestId'));
  });

  const methods = new Map<string, string[]>();
  for (const name of Object.keys(handlers) as (keyof typeof handlers)[]) {
    const route: Route = ROUTES[name];
    const path = route.path.replace(/\{(\w+)\}/g, ':$1');
    methods.set(path, [...(methods.get(path) ?? []), route.method]);
    app.on(route.method, path, async (c) => {
      if (route.key === 'admin') c.set('actor', deps.keyring.check(c.req.header('authorization'), 'admin').id);
      return handlers[name](c);
    });
  }
  for (const [path, asset] of deps.assets) {
    if (path !== '/') app.get(path, (c) => c.body(asset.body, 200, { 'content-type': asset.contentType }));
  }
  for (const [path, allowed] of methods) {
    app.all(path, (c) => {
      c.header('allow', allowed.join(', '));
      throw new GatehouseError('method_not_allowed', `${path} takes ${allowed.join(', ')}`);
    });
  }
  app.notFound((c) => problem(c.get('requestId'), new GatehouseError('not_found', 'there is nothing at this address')));
  app.onError((thrown, c) => {
    const error = thrown instanceof GatehouseError ? thrown : new GatehouseError('internal', ERRORS.internal.title, { cause: thrown });
    const requestId = c.get('requestId');
    if (error.code === 'unauthenticated' || error.code === 'forbidden') deps.log.warn({ code: error.code, path: c.req.path, requestId }, 'refused');
    if (error.status >= 500) deps.log.error({ err: thrown, path: c.req.path, requestId }, 'a control request failed');
    const allow = c.res.headers.get('allow');
    return problem(requestId, error, allow === null ? {} : { allow });
  });
  return app;
}

function problem(requestId: string, error: GatehouseError, headers: Readonly<Record<string, string>> = {}): Response {
  return new Response(JSON.stringify(error.toProblem(requestId)), {
    status: error.status,
    headers: {
      ...headers,
      'content-type': 'application/problem+json',
      ...(error.code === 'unauthenticated' ? { 'www-authenticate': 'Bearer' } : {}),
      ...(error.status === 503 ? { 'retry-after': '1' } : {}),
    },
  });
}
