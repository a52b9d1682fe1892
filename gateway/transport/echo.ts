import type { NativeApp } from './native.ts';
import { loadUws } from './uws.ts';

/** What the floor answers: about as long as the answer to a score request without its reasons. */
const ANSWER = JSON.stringify({ transaction_id: 'txn_000000', decision: 'approve', score: 0.012, probability: 0.0031 });

export interface Echo {
  readonly port: number;
  close(): void;
}

/**
 * The floor that the load tests measure against: uWebSockets.js bare, which reads a whole JSON body, parses it and answers a fixed small JSON.
 * No routing, framing checks, limits or errors: what the gateway adds is the distance to this. `port` 0 takes any free port.
 */
export async function startEcho(port: number): Promise<Echo> {
  const uws = await loadUws();
  const app: NativeApp = uws.App();
  app.post('/*', (response) => {
    let aborted = false;
    let before: Buffer | undefined;
    response.onAborted(() => {
      aborted = true;
    });
    response.onData((chunk, isLast) => {
      const part = Buffer.from(chunk);
      const body = before === undefined ? part : Buffer.concat([before, part]);
      if (!isLast) {
        before = Buffer.from(body);
        return;
      }
      JSON.parse(body.toString('utf8'));
      if (!aborted) response.cork(() => response.writeHeader('content-type', 'application/json').end(ANSWER));
    });
  });
  return new Promise((resolve, reject) => {
    app.listen('127.0.0.1', port, uws.LIBUS_LISTEN_EXCLUSIVE_PORT, (socket) => {
      if (socket === false) reject(new Error(`cannot listen on 127.0.0.1:${port}`));
      else resolve({ port: uws.us_socket_local_port(socket), close: () => void app.close() });
    });
  });
}
