import type { Context } from 'hono';
import { ROUTES } from '../../contracts/routes.ts';
import { referenceOf } from '../privacy/footprint.ts';
import type { ControlDeps } from './deps.ts';
import type { ControlEnv } from './handlers.ts';
import { checker, jsonBody } from './input.ts';

const listParameter = checker(ROUTES.editorial_put.parameters.id);
const listRequest = checker(ROUTES.editorial_put.request);
const placementParameter = checker(ROUTES.placement_put.parameters.id);
const placementRequest = checker(ROUTES.placement_put.request);
const inspectRequest = checker(ROUTES.recommend_inspect.request);

type Deps = Pick<ControlDeps, 'editorial' | 'placements' | 'inspect' | 'audit'>;

/** The control plane's handlers for editorial lists and placements, and for looking into an answer. */
export function merchandisingHandlers({ editorial, placements, inspect, audit }: Deps) {
  return {
    editorial_lists: (c: Context<ControlEnv>) => c.json(editorial.list()),
    editorial_put: async (c: Context<ControlEnv>) => {
      const id = listParameter(c.req.param('id'));
      return c.json(await editorial.put(id, listRequest(await jsonBody(c.req.raw)), c.get('actor')));
    },
    editorial_remove: async (c: Context<ControlEnv>) => {
      await editorial.remove(listParameter(c.req.param('id')), c.get('actor'));
      return c.json(editorial.list());
    },
    placements: (c: Context<ControlEnv>) => c.json(placements.list()),
    placement: (c: Context<ControlEnv>) => c.json(placements.entry(placementParameter(c.req.param('id')))),
    placement_put: async (c: Context<ControlEnv>) => {
      const id = placementParameter(c.req.param('id'));
      return c.json(await placements.put(id, placementRequest(await jsonBody(c.req.raw)), c.get('actor')));
    },
    placement_remove: async (c: Context<ControlEnv>) => {
      await placements.remove(placementParameter(c.req.param('id')), c.get('actor'));
      return c.json(placements.list());
    },
    recommend_inspect: async (c: Context<ControlEnv>) => {
      const request = inspectRequest(await jsonBody(c.req.raw));
      const { placement = null, user_id, session_id } = request;
      const person = user_id ?? session_id;
      const detail = { placement, ...(person === undefined ? {} : { person: referenceOf(person) }) };
      await audit.record({ actor: c.get('actor'), action: 'recommend.inspect', detail });
      return c.json(await inspect(request));
    },
  };
}
