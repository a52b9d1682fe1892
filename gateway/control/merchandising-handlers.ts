import type { Context } from 'hono';
import { ROUTES } from '../../contracts/routes.ts';
import { referenceOf } from '../privacy/footprint.ts';
import type { ControlDeps } from './deps.ts';
import type { ControlEnv } from './handlers.ts';
import { checker, jsonBody } from './input.ts';

const listParameter = checker(ROUTES.editorial_put.parameters.id);
const listRequest = checker(ROUTES.editorial_put.request);
const inspectRequest = checker(ROUTES.recommend_inspect.request);

/** The control plane's handlers for editorial lists, and for looking into an answer. */
export function merchandisingHandlers({ editorial, inspect, audit }: Pick<ControlDeps, 'editorial' | 'inspect' | 'audit'>) {
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
