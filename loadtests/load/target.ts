import { readConfig } from '../../gateway/config.ts';
import { startGateway } from '../../gateway/main.ts';
import { startEcho } from '../../gateway/transport/echo.ts';

/** What the process under load tells the runner. */
export type TargetMessage =
  | { readonly kind: 'ready'; readonly port: number; readonly controlPort: number }
  | { readonly kind: 'usage'; readonly cpuMs: number; readonly rssBytes: number }
  | { readonly kind: 'failed'; readonly reason: string };

/** `usage` asks for the CPU time and memory used so far; `stop` ends the process in order. */
export type TargetRequest = 'usage' | 'stop';

/**
 * The process under load: `echo`, or `gateway` with its settings in the environment.
 *   node target.js echo|gateway     (needs an IPC channel)
 */
async function start(what: string | undefined): Promise<{ port: number; controlPort: number; stop: () => Promise<void> }> {
  if (what === 'echo') {
    const echo = await startEcho(0);
    return { port: echo.port, controlPort: 0, stop: async () => echo.close() };
  }
  const gateway = await startGateway(readConfig(process.env));
  // It would serve without models, and its figures would be of another program.
  if (gateway.bundles.current === undefined) throw new Error('the bundle of the shop could not be loaded');
  return { port: gateway.dataPort, controlPort: gateway.controlPort, stop: () => gateway.drain() };
}

function tell(message: TargetMessage): void {
  process.send?.(message);
}

try {
  const target = await start(process.argv[2]);
  process.on('message', (request: TargetRequest) => {
    if (request === 'usage') {
      const { user, system } = process.cpuUsage();
      tell({ kind: 'usage', cpuMs: (user + system) / 1000, rssBytes: process.memoryUsage.rss() });
      return;
    }
    void target.stop().finally(() => process.disconnect());
  });
  tell({ kind: 'ready', port: target.port, controlPort: target.controlPort });
} catch (error) {
  tell({ kind: 'failed', reason: error instanceof Error ? error.message : String(error) });
  process.disconnect();
}
