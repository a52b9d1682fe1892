import { ROUTES, type Route } from '../contracts/routes.ts';
import { type Metrics, statusClass } from './metrics.ts';

/** Counts answers by route and status class, with the cells resolved once. */
export function requestObserver(metrics: Metrics): (route: string, method: string, status: number, durationMs: number) => void {
  const cells = new Map<string, ReturnType<Metrics['latency']>>();
  return (route, method, status, durationMs) => {
    const key = `${method} ${route} ${Math.floor(status / 100)}`;
    let cell = cells.get(key);
    if (!cell) {
      cell = metrics.latency('requests', routeLabel(method, route), statusClass(status));
      cells.set(key, cell);
    }
    cell.observe(durationMs / 1000);
  };
}

/** The route's name in the table of all routes; `other` for what matched none. */
function routeLabel(method: string, path: string): string {
  for (const [name, route] of Object.entries<Route>(ROUTES))
    if (route.plane === 'data' && route.method === method && route.path === path) return name;
  return 'other';
}

export function pushObserver(metrics: Metrics): (lagMs: number) => void {
  const deliveries = metrics.counter('pushDeliveries');
  const lag = metrics.latency('pushLag');
  return (lagMs) => {
    deliveries.inc();
    lag.observe(lagMs / 1000);
  };
}
