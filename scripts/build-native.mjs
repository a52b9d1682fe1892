// Compiles hnswlib-node, the one dependency that ships no binary, where it has not been compiled yet. Install scripts of dependencies do not run
// (.npmrc): one of them would download GPU libraries from another registry.
import { spawnSync } from 'node:child_process';
import { createRequire } from 'node:module';

const require = createRequire(import.meta.url);

function loads() {
  try {
    require('hnswlib-node');
    return true;
  } catch {
    return false;
  }
}

if (!loads()) {
  console.error('Compiling hnswlib-node, once: this needs a C++ compiler and takes about half a minute.');
  const { status, stdout, stderr } = spawnSync('npm', ['rebuild', 'hnswlib-node', '--ignore-scripts=false'], {
    encoding: 'utf8',
    shell: process.platform === 'win32',
  });
  if (status !== 0 || !loads()) {
    console.error(`${stdout}${stderr}\nhnswlib-node cannot be compiled: is there a C++ compiler, make and Python 3?`);
    process.exit(1);
  }
}
