import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, expect, test } from 'vitest';
import { loadAssets } from './assets.ts';
import { controlFixture } from './control.suite.ts';
import { type RunningControl, startControl } from './server.ts';

let cleanups: (() => unknown)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.reverse()) await cleanup();
  cleanups = [];
});

async function running(): Promise<RunningControl & { readonly adminToken: string }> {
  const { app, metrics, adminToken } = await controlFixture();
  const control = await startControl(app, { host: '127.0.0.1', port: 0 });
  cleanups.push(() => metrics.close());
  return { ...control, adminToken };
}

test('serves over HTTP, guards the Host header, and closes', async () => {
  const control = await running();
  const base = `http://127.0.0.1:${control.port}`;
  expect((await fetch(`${base}/healthz`)).status).toBe(200);
  const bundles = await fetch(`${base}/v1/bundles`, { headers: { authorization: `Bearer ${control.adminToken}` } });
  expect(((await bundles.json()) as { current: string }).current).toBe('v2');
  const status = await new Promise<string>((resolve, reject) => {
    const socket = connect(control.port, '127.0.0.1', () => socket.end('GET /healthz HTTP/1.1\r\nHost: evil.example\r\nConnection: close\r\n\r\n'));
    socket.once('data', (data) => resolve(data.toString('utf8').split('\r\n')[0] ?? ''));
    socket.once('error', reject);
  });
  expect(status).toContain('403');
  await control.close();
  await expect(fetch(`${base}/healthz`)).rejects.toThrow();
});

test('a taken port and a foreign address are coded errors', async () => {
  const control = await running();
  cleanups.push(() => control.close());
  const { app, metrics } = await controlFixture();
  cleanups.push(() => metrics.close());
  await expect(startControl(app, { host: '127.0.0.1', port: control.port })).rejects.toMatchObject({ code: 'port_in_use' });
  await expect(startControl(app, { host: '192.0.2.1', port: 0 })).rejects.toMatchObject({ code: 'config_invalid' });
});

test('only files of the page are served', async () => {
  const dir = await mkdtemp(join(tmpdir(), 'gatehouse-assets-'));
  cleanups.push(() => rm(dir, { recursive: true }));
  for (const name of ['index.html', 'style.css', 'main.js', 'main.js.map', 'notes.txt', '.env']) await writeFile(join(dir, name), name);
  const assets = await loadAssets(dir);
  expect([...assets.keys()].sort()).toEqual(['/', '/main.js', '/style.css']);
  expect(assets.get('/main.js')).toEqual({ body: 'main.js', contentType: 'text/javascript; charset=utf-8' });
});

test('modules of other rooms that the page imports are served where the browser looks for them, and no others', async () => {
  const root = await mkdtemp(join(tmpdir(), 'gatehouse-assets-'));
  cleanups.push(() => rm(root, { recursive: true }));
  const files = {
    'dashboard/main.js': "import { a } from '../client/a.js';\nimport './view.js';\nexport const x = '../client/not-imported.js';\n",
    'dashboard/view.js': "export { a } from '../client/a.js';\n",
    'client/a.js': "import {\n  b,\n} from './b.js';\nexport * from '../contracts/c.js';\n",
    'client/b.js': "import './a.js';\n",
    'client/not-imported.js': '',
    'contracts/c.js': 'export const c = 1;\n',
  };
  for (const [name, text] of Object.entries(files)) {
    await mkdir(dirname(join(root, name)), { recursive: true });
    await writeFile(join(root, name), text);
  }
  const assets = await loadAssets(join(root, 'dashboard'));
  expect([...assets.keys()].sort()).toEqual(['/client/a.js', '/client/b.js', '/contracts/c.js', '/main.js', '/view.js']);
  expect(assets.get('/contracts/c.js')).toEqual({ body: files['contracts/c.js'], contentType: 'text/javascript; charset=utf-8' });
});
