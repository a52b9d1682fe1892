import type { Context } from 'hono';
import { ROUTES } from '../../contracts/routes.ts';
import type { ControlDeps } from './deps.ts';
import type { ControlEnv } from './handlers.ts';
import { checker } from './input.ts';

const userId = checker(ROUTES.user_export.parameters.id);

/** Handlers of a person's data. Both reading and erasing are journalled where they happen. */
export function privacyHandlers({ people }: Pick<ControlDeps, 'people'>) {
  return {
    user_export: async (c: Context<ControlEnv>) => {
      const lines = await people.export(userId(c.req.param('id')), c.get('actor'));
      return c.body(streamOf(lines), 200, { 'content-type': ROUTES.user_export.contentType });
    },
    user_erase: async (c: Context<ControlEnv>) => c.json(await people.erase(userId(c.req.param('id')), c.get('actor')), 202),
    erasures: (c: Context<ControlEnv>) => c.json({ erasures: [...people.list()] }),
  };
}

/** Asks for more only as fast as the client reads, and stops when it leaves. */
function streamOf(lines: AsyncIterable<string>): ReadableStream<Uint8Array> {
  const iterator = lines[Symbol.asyncIterator]();
  const encoder = new TextEncoder();
  return new ReadableStream({
    async pull(controller) {
      const next = await iterator.next();
      if (next.done) controller.close();
      else controller.enqueue(encoder.encode(next.value));
    },
    async cancel() {
      await iterator.return?.();
    },
  });
}
