import { Command } from 'commander';
import { startGateway } from '../gateway/main.ts';
import { configOf } from './shared.ts';
import { untilStopped } from './stop.ts';

/** `gatehouse serve`: the gateway alone, as in production. Everything else is a setting (docs/settings.md). */
export function serveCommand(): Command {
  return new Command('serve')
    .description('Run the gateway. Settings come from GATEHOUSE_ variables; see docs/settings.md')
    .option('--data-dir <dir>', 'folder of the store and the bundles')
    .action(async ({ dataDir }: { dataDir?: string }) => {
      const gateway = await startGateway(configOf(dataDir));
      // Before the word that it listens: who waits for that may stop it at once.
      const stopped = untilStopped();
      console.log(`gatehouse: data plane on port ${gateway.dataPort}, control plane on port ${gateway.controlPort}`);
      await stopped;
      await gateway.drain();
    });
}
