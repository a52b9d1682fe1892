import { createServer, type Server, type Socket } from 'node:net';
import { afterEach, expect, test } from 'vitest';
import { bodyOf, Connection } from './client.ts';

let server: Server | undefined;
const peers: Socket[] = [];
afterEach(() => {
  for (const peer of peers.splice(0)) peer.destroy();
  server?.close();
});

/** A server that answers each request with the next list of chunks, each in a write of its own. */
function serve(answers: string[][]): Promise<number> {
  return new Promise((resolve) => {
    const listening = createServer((socket) => {
      peers.push(socket);
      socket.setNoDelay(true);
      socket.on('data', () => {
        const chunks = answers.shift() ?? [];
        const next = (): void => {
          const chunk = chunks.shift();
          if (chunk !== undefined) socket.write(chunk, () => setImmediate(next));
        };
        next();
      });
    });
    server = listening;
    listening.listen(0, '127.0.0.1', () => resolve((listening.address() as { port: number }).port));
  });
}

test('an answer is found whole, in one piece or in many', async () => {
  const head = 'HTTP/1.1 503 Service Unavailable\r\nContent-Length: 5\r\n\r\n';
  const port = await serve([
    ['HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nhi'],
    ['HTTP/1.1 2', '01 Created\r\nContent-Le', 'ngth: 0\r\n\r', '\n'],
    [head, 'sor', 'ry'],
    ['HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nend'],
  ]);
  const seen: [number, string][] = [];
  await new Promise<void>((resolve, reject) => {
    const connection: Connection = new Connection(
      port,
      () => connection.send(Buffer.from('x')),
      (status, answer) => {
        seen.push([status, bodyOf(answer)]);
        if (seen.length < 4) connection.send(Buffer.from('x'));
        else {
          connection.close();
          resolve();
        }
      },
      (error) => {
        if (seen.length < 4) reject(error ?? new Error('closed'));
      },
    );
  });
  expect(seen).toEqual([
    [200, 'hi'],
    [201, ''],
    [503, 'sorry'],
    [200, 'end'],
  ]);
});
