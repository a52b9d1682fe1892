// Copies what tsc does not emit (Lua, CSS, HTML, JSON read at run time) beside the compiled code. Every room that was compiled has a folder in dist.
import { cpSync, readdirSync } from 'node:fs';
import { join } from 'node:path';

const ASSET = /\.(lua|css|html|svg|json|wasm)$/;

for (const room of readdirSync('dist', { withFileTypes: true })) {
  if (!room.isDirectory()) continue;
  for (const entry of readdirSync(room.name, { recursive: true, withFileTypes: true })) {
    if (!entry.isFile() || !ASSET.test(entry.name)) continue;
    const path = join(entry.parentPath, entry.name);
    cpSync(path, join('dist', path));
  }
}
