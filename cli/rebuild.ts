import { Command } from 'commander';
import { openFeatures } from '../gateway/features-file.ts';
import { rebuildStates } from '../gateway/rebuild.ts';
import { configOf, openShop, terminalProgress } from './shared.ts';
import { abortOnStop } from './stop.ts';

interface Options {
  readonly dataDir?: string;
  readonly anew: boolean;
  readonly partial: boolean;
}

/** `gatehouse rebuild`: the states of all entities, made anew from the journal. */
export function rebuildCommand(): Command {
  return new Command('rebuild')
    .description(
      'Make the states of all entities anew from the journal, as the features are declared now, while the gateway is stopped. Stopped or killed it leaves the old states, and goes on at the next start',
    )
    .option('--data-dir <dir>', 'folder of the store and the bundles')
    .option('--anew', 'begin at the first record although an earlier rebuild came further', false)
    .option('--partial', 'also where the journal does not reach back as far as the windows of all features', false)
    .action(async ({ dataDir, anew, partial }: Options) => {
      const config = configOf(dataDir);
      const { signal, release } = abortOnStop();
      const task = terminalProgress().task('states', 'records');
      try {
        const engine = await openFeatures(config.featuresFile);
        const report = await rebuildStates({ config, engine, anew, partial, onProgress: task.update, now: Date.now, signal });
        task.end();
        // As every change of an operator is.
        const { store, close } = await openShop(config);
        await store.write([{ kind: 'admin', at_ms: Date.now(), actor: 'command-line', action: 'states.rebuild', detail: { ...report } }]);
        await close();
        console.log(JSON.stringify(report, null, 2));
      } finally {
        release();
      }
    });
}
