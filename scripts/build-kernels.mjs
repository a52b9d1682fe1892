// Compiles the AssemblyScript kernels: `<folder>/kernel.as` and what it imports become `dist/<folder>.wasm`. They work on memory that threads
// share, and use SIMD. Their sources end in `.as` because `.ts` is for tsc, which does not know the dialect.
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import asc from 'assemblyscript/asc';

const ROOMS = ['scoring', 'training'];
/** The most pages (64 KiB each) that 32-bit addresses reach; the caller's memory may have fewer. */
const MEMORY_PAGES_MAX = '65536';

const OPTIONS = ['-O3', '--noAssert', '--runtime', 'stub', '--enable', 'simd,threads'];
const MEMORY = ['--importMemory', '--sharedMemory', '--initialMemory', '1', '--maximumMemory', MEMORY_PAGES_MAX];

for (const room of ROOMS) {
  for (const entry of readdirSync(room, { recursive: true, withFileTypes: true })) {
    if (!entry.isFile() || entry.name !== 'kernel.as') continue;
    await compile(entry.parentPath);
  }
}

async function compile(folder) {
  const output = join('dist', `${folder}.wasm`);
  const { error, stderr } = await asc.main([join(folder, 'kernel.ts'), '--outFile', output, ...OPTIONS, ...MEMORY], {
    // The compiler asks for `.ts` files; null says that there is none.
    readFile(name, base) {
      try {
        return readFileSync(join(base, name.replace(/\.ts$/, '.as')), 'utf8');
      } catch (cause) {
        if (cause.code === 'ENOENT') return null;
        throw cause;
      }
    },
    writeFile(name, contents) {
      mkdirSync(dirname(name), { recursive: true });
      writeFileSync(name, contents);
    },
    listFiles: () => [],
  });
  // A warning is a narrowing that was not meant.
  const complaints = stderr.toString();
  if (error || complaints !== '') {
    console.error(`${folder} cannot be compiled${error ? `: ${error.message}` : ''}\n${complaints}`);
    process.exit(1);
  }
}
