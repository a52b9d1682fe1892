import type { Server } from 'node:http';
import { serve } from '@hono/node-server';
import type { Hono } from 'hono';
import { GatehouseError } from '../../contracts/errors.ts';
import type { ControlEnv } from './handlers.ts';

/** Operators, probes and a scraper: anything near this many is a mistake or an attack. */
const CONNECTIONS_MAX = 256;
/** The largest request is an upload of 4 MiB: a slower sender only holds a connection. */
const REQUEST_TIMEOUT_MS = 10_000;
const HEADER_BYTES_MAX = 16 * 1024;
/** Activating a bundle probes it first; a change in work is given this long at shutdown. */
const CLOSE_WAIT_MS = 3000;

export interface RunningControl {
  /** The port that it listens on, also where 0 was asked for. */
  readonly port: number;
  /** Take no more requests, let those in work end for a few seconds, then cut them off. */
  close(): Promise<void>;
}

/** Open the control port. Rejects with `port_in_use`, or `config_invalid` when the address is not of this machine. */
export function startControl(app: Hono<ControlEnv>, address: { readonly host: string; readonly port: number }): Promise<RunningControl> {
  return new Promise((resolve, reject) => {
    const server = serve(
      {
        fetch: app.fetch,
        hostname: address.host,
        port: address.port,
        serverOptions: { requestTimeout: REQUEST_TIMEOUT_MS, headersTimeout: REQUEST_TIMEOUT_MS, maxHeaderSize: HEADER_BYTES_MAX },
      },
      ({ port }) => {
        server.off('error', refuse);
        resolve({ port, close: () => close(server) });
      },
    ) as Server;
    server.maxConnections = CONNECTIONS_MAX;
    function refuse(cause: NodeJS.ErrnoException): void {
      if (cause.code === 'EADDRINUSE')
        reject(new GatehouseError('port_in_use', `the control port ${address.host}:${address.port} is taken`, { cause }));
      else
        reject(
          new GatehouseError('config_invalid', `GATEHOUSE_CONTROL_HOST and GATEHOUSE_CONTROL_PORT cannot be opened: ${cause.code ?? cause.message}`, {
            cause,
          }),
        );
    }
    server.once('error', refuse);
  });
}

function close(server: Server): Promise<void> {
  return new Promise((resolve, reject) => {
    const cutOff = setTimeout(() => server.closeAllConnections(), CLOSE_WAIT_MS);
    server.close((error) => {
      clearTimeout(cutOff);
      if (error) reject(error);
      else resolve();
    });
    server.closeIdleConnections();
  });
}
