import { readdir, readFile } from 'node:fs/promises';
import { dirname, extname, join } from 'node:path';

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

/** Static imports of a compiled module by relative path. The page has no dynamic ones, and no bundler that could resolve a package's name. */
const IMPORTS = /^\s*(?:import|export)\s+(?:[\w\s{},*$]+\sfrom\s+)?['"](\.{1,2}\/[^'"]+\.js)['"]/gm;

/**
 * Read the built dashboard once: a request then names an entry of a map, never a path on disk. Beside the files of `dir` there are the modules of
 * other rooms that its scripts import, at the path at which the browser looks for them: `../client/x.js` of `/main.js` is `/client/x.js`.
 */
export async function loadAssets(dir: string): Promise<Assets> {
  const assets = new Map<string, Asset>();
  for (const name of await readdir(dir)) {
    const contentType = CONTENT_TYPES[extname(name)];
    if (contentType === undefined) continue;
    assets.set(name === 'index.html' ? '/' : `/${name}`, { body: await readFile(join(dir, name), 'utf8'), contentType });
  }
  const scripts = [...assets.keys()].filter((path) => extname(path) === '.js').map((path) => ({ path, file: join(dir, path) }));
  for (const { path, file } of scripts) {
    const { body } = assets.get(path)!;
    for (const [, specifier = ''] of body.matchAll(IMPORTS)) {
      const imported = { path: new URL(specifier, `http://page${path}`).pathname, file: join(dirname(file), specifier) };
      if (assets.has(imported.path)) continue;
      assets.set(imported.path, { body: await readFile(imported.file, 'utf8'), contentType: CONTENT_TYPES['.js']! });
      // The list grows while it is walked: a module's own imports are served too.
      scripts.push(imported);
    }
  }
  return assets;
}
