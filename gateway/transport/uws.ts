import { GatehouseError } from '../../contracts/errors.ts';
import type { Uws } from './native.ts';

/**
 * The alias that has a binary for this Node, by `process.versions.modules` (the ABI): 115 is Node 20, 127 is 22, 137 is 24, 147 is 26.
 * The older release needs only glibc 2.27, so it is taken wherever it has a binary; the newer one needs glibc 2.38.
 */
const PACKAGE_BY_ABI: Readonly<Record<string, string>> = {
  '115': 'uWebSockets.js',
  '127': 'uWebSockets.js',
  '137': 'uWebSockets.js-next',
  '147': 'uWebSockets.js-next',
};

/**
 * Bytes of request line and headers. The addon's own default of 4 KB refuses a browser with full cookies and a long token. It reads
 * this variable once, when its binary is loaded.
 */
const HEADER_BYTES_MAX = 16 * 1024;

let loaded: Promise<Uws> | undefined;

/**
 * Load the native server, once a process. The only place that names the addon.
 * @throws GatehouseError platform_unsupported when no binary fits this Node, operating system or C library.
 */
export function loadUws(): Promise<Uws> {
  loaded ??= load(process.versions.modules, (name) => import(name));
  return loaded;
}

/** `loadUws` with the ABI and the importer passed in, so that a test can be another machine. */
export async function load(abi: string, importer: (name: string) => Promise<unknown>): Promise<Uws> {
  const machine = `Node ${process.versions.node} (ABI ${abi}) on ${process.platform} ${process.arch}`;
  const name = PACKAGE_BY_ABI[abi];
  if (name === undefined) throw new GatehouseError('platform_unsupported', `uWebSockets.js has no binary for ${machine}.`);
  process.env['UWS_HTTP_MAX_HEADERS_SIZE'] = String(HEADER_BYTES_MAX);
  let module: unknown;
  try {
    module = await importer(name);
  } catch (cause) {
    throw new GatehouseError('platform_unsupported', `the binary of ${name} for ${machine} cannot be loaded: ${reason(cause)}.`, { cause });
  }
  if (!isUws(module)) throw new GatehouseError('platform_unsupported', `${name} for ${machine} lacks what the gateway calls.`);
  return module;
}

/** What a person can do about it: npm installs the binary of the Node that it runs on, and the C library is what the system has. */
function reason(cause: unknown): string {
  const text = cause instanceof Error ? cause.message : String(cause);
  const [, library] = /version [`'](GLIBC_[\d.]+)' not found/.exec(text) ?? [];
  if (library !== undefined) return `it needs ${library}, which this system's C library lacks; Node 20 and 22 need less`;
  if (/Cannot find module/.test(text)) return 'it is not installed; if Node was changed since then, run `npm ci` again';
  return text.split('\n', 1)[0]!;
}

function isUws(module: unknown): module is Uws {
  return typeof module === 'object' && module !== null && 'App' in module && typeof module.App === 'function' && 'us_listen_socket_close' in module;
}
