import { existsSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';

/**
 * Path of a file that only the build makes (a thread's script, a compiled kernel): beside the compiled module that asks, and in `dist` when the
 * sources run as they are, as in tests. `url` is `new URL('./name', import.meta.url)`. Throws when nothing was built.
 */
export function builtFile(url: URL): string {
  const beside = fileURLToPath(url);
  if (existsSync(beside)) return beside;
  let root = dirname(beside);
  while (!existsSync(join(root, 'package.json')) && dirname(root) !== root) root = dirname(root);
  const built = join(root, 'dist', relative(root, beside));
  if (!existsSync(built)) throw new Error(`${relative(root, built)} does not exist: run \`npm run build\``);
  return built;
}
