import { afterAll, beforeAll } from 'vitest';
import { connectRedis } from './redis.ts';
import type { RedisLink } from './redis-link.ts';
import { RedisServer } from './redis-server.testing.ts';

/** A Redis server of the suite that calls this, and a link to it that sees what the stores leave there; usable within tests and hooks. */
export function redisOfSuite(): { readonly server: RedisServer; readonly raw: Pick<RedisLink, 'call' | 'run'> } {
  const server = new RedisServer();
  let link: RedisLink | undefined;
  beforeAll(async () => {
    await server.start();
    link = await connectRedis(server.url);
  });
  afterAll(async () => {
    link?.close();
    await server.destroy();
  });
  return {
    server,
    raw: {
      call: (...command) => link!.call(...command),
      run: (...command) => link!.run(...command),
    },
  };
}
