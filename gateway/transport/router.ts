import type { HttpMethod, HttpRoute } from './http.ts';

/** The methods that a path takes, for 405 and preflights. The addon's own router finds the handlers of plain requests. */
export class Router {
  readonly #entries: { readonly segments: readonly string[]; readonly route: HttpRoute }[];

  constructor(routes: readonly HttpRoute[]) {
    const seen = new Set<string>();
    for (const route of routes) {
      const key = `${route.method} ${route.path.replace(/:[^/]+/g, ':')}`;
      if (seen.has(key)) throw new Error(`two routes for ${key}`);
      seen.add(key);
    }
    this.#entries = routes.map((route) => ({ segments: route.path.split('/'), route }));
  }

  /** The methods of a path, in the order of the routes; empty when there is nothing at it. */
  methods(path: string): HttpMethod[] {
    const segments = path.split('/');
    return this.#entries.filter((entry) => matches(entry.segments, segments)).map((entry) => entry.route.method);
  }

  find(method: HttpMethod, path: string): HttpRoute | undefined {
    const segments = path.split('/');
    return this.#entries.find((entry) => entry.route.method === method && matches(entry.segments, segments))?.route;
  }
}

function matches(pattern: readonly string[], segments: readonly string[]): boolean {
  if (pattern.length !== segments.length) return false;
  return pattern.every((part, index) => (part.startsWith(':') ? segments[index] !== '' : part === segments[index]));
}

/** Names of the `:name` parts of a route, in order. */
export function paramNames(path: string): string[] {
  return path
    .split('/')
    .filter((part) => part.startsWith(':'))
    .map((part) => part.slice(1));
}

/** Decoded parameters, or undefined when a part is empty or not valid percent-encoding (then nothing is at that address). */
export function decodeParams(names: readonly string[], values: readonly (string | undefined)[]): Record<string, string> | undefined {
  const params: Record<string, string> = {};
  for (const [index, name] of names.entries()) {
    const value = values[index];
    if (value === undefined || value === '') return undefined;
    try {
      params[name] = decodeURIComponent(value);
    } catch (error) {
      if (error instanceof URIError) return undefined;
      throw error;
    }
  }
  return params;
}

/** The raw values of a route's parameters in a path that it matches. */
export function paramValues(pattern: string, path: string): string[] {
  const segments = path.split('/');
  return pattern.split('/').flatMap((part, index) => (part.startsWith(':') ? [segments[index] ?? ''] : []));
}
