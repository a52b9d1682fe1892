import { expect, test } from 'vitest';
import { load } from './uws.ts';

const refused = (abi: string, cause: unknown) =>
  load(abi, () => Promise.reject(cause)).then(
    () => undefined,
    (error: { code: string; detail: string }) => `${error.code}: ${error.detail}`,
  );

test('the addon of this Node is chosen by its ABI', async () => {
  const asked: string[] = [];
  const addon = { App: () => {}, us_listen_socket_close: () => {} };
  for (const abi of ['115', '127', '137', '147']) {
    await load(abi, async (name) => {
      asked.push(name);
      return addon;
    });
  }
  expect(asked).toEqual(['uWebSockets.js', 'uWebSockets.js', 'uWebSockets.js-next', 'uWebSockets.js-next']);
});

test('a Node without a binary, and an addon without its functions, are refused', async () => {
  expect(await refused('93', new Error('never asked'))).toMatch(/^platform_unsupported: uWebSockets\.js has no binary for Node .* \(ABI 93\)/);
  await expect(load('115', async () => ({}))).rejects.toMatchObject({ code: 'platform_unsupported', detail: expect.stringContaining('lacks what') });
});

test.each([
  // As the addon's loader and the C library put it.
  ["This version of uWS.js supports only…\n\nError: Cannot find module '@uwsjs/linux-x64-22'\nRequire stack:\n- uws.js", 'run `npm ci` again'],
  ["Error: /lib/x86_64-linux-gnu/libc.so.6: version `GLIBC_2.38' not found (required by uws.node)", 'it needs GLIBC_2.38'],
  ['invalid ELF header\nmore', 'cannot be loaded: invalid ELF header.'],
])('what to do about %j is said', async (message, told) => {
  expect(await refused('127', new Error(message))).toContain(told);
});
