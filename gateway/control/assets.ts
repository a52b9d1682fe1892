import { readdir, readFile } from 'node:fs/promises';
import { extname, join } from 'node:path';

export interface Asset {
  readonly body: string;
  readonly contentType: string;
}

/** Files of the dashboard by their path on the control port (`/style.css`; `/` is index.html). */
export type Assets = ReadonlyMap<string, Asset>;

/** Only these are served: a file of another kind that lands in the folder stays private. */
const CONTENT_TYPES: Readonly<Record<string, string>> = {
  '.html': 'text/html; charset=utf-8',
  '.css': 'text/css; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.svg': 'image/svg+xml',
};

/** Read the built dashboard once: a request then names an entry of a map, never a path on disk. */
export async function loadAssets(dir: string): Promise<Assets> {
  const assets = new Map<string, Asset>();
  for (const name of await readdir(dir)) {
    const contentType = CONTENT_TYPES[extname(name)];
    if (contentType === undefined) continue;
    assets.set(name === 'index.html' ? '/' : `/${name}`, { body: await readFile(join(dir, name), 'utf8'), contentType });
  }
  return assets;
}
