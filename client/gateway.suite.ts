import { mkdtemp, rm } from 'node:fs/promises';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Fact } from '../contracts/fact.ts';
import { generateKey } from '../gateway/auth/keys.ts';
import { type Config, readConfig } from '../gateway/config.ts';
import { type Gateway, startGateway } from '../gateway/main.ts';

export interface TestGateway {
  readonly gateway: Gateway;
  readonly baseUrl: string;
  readonly streamUrl: string;
  readonly secretKey: string;
  readonly publishableKey: string;
  /** Every fact of the journal, in order. */
  facts(): Promise<Fact[]>;
  /** Drains this one and opens another on the same data. */
  restart(): Promise<TestGateway>;
  stop(): Promise<void>;
}

/** A real gateway in this process, on free ports, with a folder of its own that `stop` removes. */
export async function startTestGateway(overrides: Partial<Config> = {}): Promise<TestGateway> {
  const dataDir = await mkdtemp(join(tmpdir(), 'gatehouse-client-'));
  const secretKey = generateKey('secret');
  const publishableKey = generateKey('publishable');
  const config = readConfig(
    {},
    {
      dataDir,
      port: 0,
      controlPort: 0,
      logLevel: 'silent',
      drainMs: 200,
      // A busy test machine stalls the one event loop of test and gateway; shedding for it would fail at random.
      eventLoopDelayMaxMs: 60_000,
      secretKeys: [secretKey],
      publishableKeys: [publishableKey],
      ...overrides,
    },
  );
  const open = async (): Promise<TestGateway> => {
    const gateway = await startGateway(config);
    return {
      gateway,
      baseUrl: `http://127.0.0.1:${gateway.dataPort}`,
      streamUrl: `ws://127.0.0.1:${gateway.dataPort}/v1/stream`,
      secretKey,
      publishableKey,
      async facts() {
        await gateway.store.flush();
        return (await gateway.store.read(0, 1_000_000)).map(({ fact }) => fact);
      },
      async restart() {
        await gateway.drain();
        return open();
      },
      async stop() {
        await gateway.drain();
        await rm(dataDir, { recursive: true, force: true });
      },
    };
  };
  return open();
}

export interface Wire {
  readonly port: number;
  /** Where new connections lead; undefined refuses them. */
  target: number | undefined;
  readonly connections: number;
  /** Breaks every connection, as a lost network does: no close frame. */
  cut(): void;
  close(): Promise<void>;
}

/** A TCP proxy that a test can break. */
export async function openWire(target: number | undefined): Promise<Wire> {
  const sockets = new Set<Socket>();
  const keep = (socket: Socket): void => {
    sockets.add(socket);
    socket.on('close', () => sockets.delete(socket));
    socket.on('error', () => socket.destroy());
  };
  const server = createServer((near) => {
    keep(near);
    if (wire.target === undefined) {
      near.destroy();
      return;
    }
    const far = connect(wire.target, '127.0.0.1');
    keep(far);
    near.pipe(far).pipe(near);
    near.on('close', () => far.destroy());
    far.on('close', () => near.destroy());
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const wire: Wire = {
    port: (server.address() as AddressInfo).port,
    target,
    get connections() {
      return sockets.size >> 1;
    },
    cut() {
      for (const socket of sockets) socket.destroy();
    },
    async close() {
      this.cut();
      await new Promise((resolve) => server.close(resolve));
    },
  };
  return wire;
}
