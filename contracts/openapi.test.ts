import { describe, expect, test } from 'vitest';
import { ERRORS } from './errors.ts';
import { openApi } from './openapi.ts';
import { errorsOf, ROUTES, type Route } from './routes.ts';

const description = openApi('1.2.3') as {
  readonly openapi: string;
  readonly info: { readonly version: string };
  readonly paths: Readonly<Record<string, Readonly<Record<string, Operation>>>>;
  readonly components: { readonly schemas: Readonly<Record<string, unknown>>; readonly securitySchemes: Readonly<Record<string, unknown>> };
};
interface Operation {
  readonly operationId: string;
  readonly security: readonly Readonly<Record<string, unknown>>[];
  readonly parameters?: readonly { readonly name: string; readonly in: string; readonly required: boolean }[];
  readonly requestBody?: { readonly content: Readonly<Record<string, unknown>> };
  readonly responses: Readonly<Record<string, { readonly description: string; readonly content?: Readonly<Record<string, unknown>> }>>;
}
const routes = Object.entries<Route>(ROUTES);
const operations = Object.values(description.paths).flatMap((path) => Object.values(path));

function refsIn(value: unknown): string[] {
  if (typeof value !== 'object' || value === null) return [];
  return Object.entries(value).flatMap(([key, part]) => (key === '$ref' ? [String(part)] : refsIn(part)));
}

describe('the route table', () => {
  test('paths with a parameter declare it, and only those', () => {
    for (const [name, route] of routes) {
      const inPath = [...route.path.matchAll(/\{(\w+)\}/g)].map((match) => match[1]);
      expect(Object.keys(route.parameters ?? {}), name).toEqual(inPath);
    }
  });

  test('no two routes of a plane share method and path', () => {
    const keys = routes.map(([, route]) => `${route.plane} ${route.method} ${route.path}`);
    expect(new Set(keys).size).toBe(keys.length);
  });

  test('everything that is not read-only or public needs a key', () => {
    for (const [name, route] of routes) if (route.key === 'none') expect([route.method, name]).toEqual(['GET', name]);
  });

  test('every error is in the error table', () => {
    for (const [name, route] of routes) for (const code of errorsOf(route)) expect(ERRORS, `${name} ${code}`).toHaveProperty(code);
  });
});

describe('openApi', () => {
  test('is OpenAPI 3.1 of this version and plain JSON', () => {
    expect(description.openapi).toBe('3.1.0');
    expect(description.info.version).toBe('1.2.3');
    expect(JSON.parse(JSON.stringify(description))).toEqual(description);
  });

  test('has every route, each with a unique id', () => {
    for (const [name, route] of routes) {
      const operation = description.paths[route.path]?.[route.method.toLowerCase()];
      expect(operation, name).toBeDefined();
      expect(Object.keys(operation?.responses ?? {})).toContain(String(route.status ?? 200));
    }
    const ids = operations.map((operation) => operation.operationId);
    expect(new Set(ids).size).toBe(ids.length);
    // Both planes have /healthz; every other route has an operation of its own.
    expect(ids.length).toBe(routes.length - 1);
  });

  test('every reference leads to a schema, and every schema is referred to', () => {
    const refs = new Set(refsIn(description));
    for (const ref of refs) expect(description.components.schemas, ref).toHaveProperty(ref.replace('#/components/schemas/', ''));
    const unused = Object.keys(description.components.schemas).filter((name) => !refs.has(`#/components/schemas/${name}`));
    // The frames of the stream have no place under `paths`.
    expect(unused).toEqual(['ClientFrame', 'ServerFrame']);
  });

  test('every security scheme exists, and the data plane takes both content types', () => {
    for (const operation of operations) {
      for (const scheme of operation.security.flatMap((each) => Object.keys(each)))
        expect(description.components.securitySchemes).toHaveProperty(scheme);
    }
    const score = description.paths['/v1/score']?.['post'];
    expect(Object.keys(score?.requestBody?.content ?? {})).toEqual(['application/json', 'application/msgpack']);
    expect(score?.security).toEqual([{ secretKey: [] }]);
  });

  test('an error status names its codes', () => {
    const unavailable = description.paths['/v1/events']?.['post']?.responses['503'];
    for (const code of ['overloaded', 'draining', 'store_unavailable']) expect(unavailable?.description).toContain(`\`${code}\``);
    expect(Object.keys(unavailable?.content ?? {})).toEqual(['application/problem+json']);
  });

  test('path and query parameters are described', () => {
    const activate = description.paths['/v1/bundles/{version}/activate']?.['post'];
    expect(activate?.parameters).toEqual([expect.objectContaining({ name: 'version', in: 'path', required: true })]);
    const names = description.paths['/v1/recommend']?.['get']?.parameters?.map((parameter) => parameter.name);
    expect(names).toContain('user_id');
    expect(names).not.toContain('exclude');
  });
});
