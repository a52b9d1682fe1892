// Copies what tsc does not emit (Lua, CSS, HTML, JSON read at run time) beside the compiled code.
import { cpSync, readdirSync } from 'node:fs';
import { join } from 'node:path';

const ROOMS = ['contracts', 'store', 'index', 'scoring', 'gateway', 'training', 'simulator', 'client', 'dashboard'];
const ASSET = /\.(lua|css|html|svg|json|wasm)$/;

for (const room of ROOMS) {
  for (const entry of readdirSync(room, { recursive: true, withFileTypes: true })) {
    if (!entry.isFile() || !ASSET.test(entry.name)) continue;
    const path = join(entry.parentPath, entry.name);
    cpSync(path, join('dist', path));
  }
}
