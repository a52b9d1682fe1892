import { afterAll, beforeAll } from 'vitest';
import { RedisServer } from '../store/redis-server.testing.ts';
import { TestGateway } from './data/data.suite.ts';

/** Two gateways on a Redis server of the suite that calls this; usable within tests and hooks. */
export class TwoGateways {
  readonly server = new RedisServer();
  #one: TestGateway | undefined;
  #two: TestGateway | undefined;

  constructor() {
    beforeAll(async () => {
      await this.server.start();
      this.#one = await TestGateway.start({ store: 'redis', redisUrl: this.server.url });
      this.#two = await TestGateway.start({ store: 'redis', redisUrl: this.server.url });
    }, 60_000);
    afterAll(async () => {
      await this.#two?.stop();
      await this.#one?.stop();
      await this.server.destroy();
    });
  }

  get one(): TestGateway {
    return this.#one!;
  }

  get two(): TestGateway {
    return this.#two!;
  }
}
