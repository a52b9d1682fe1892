import { Command, CommanderError } from 'commander';
import { GatehouseError } from '../contracts/errors.ts';
import { VERSION } from '../gateway/version.ts';

/** Loaded when they are asked for: a gateway has no use for the trainer's libraries. */
const COMMANDS: Readonly<Record<string, () => Promise<Command>>> = {
  start: async () => (await import('./start.ts')).startCommand(),
  serve: async () => (await import('./serve.ts')).serveCommand(),
  train: async () => (await import('./train.ts')).trainCommand(),
  evaluate: async () => (await import('./evaluate.ts')).evaluateCommand(),
  'export-rows': async () => (await import('./export-rows.ts')).exportRowsCommand(),
  'export-items': async () => (await import('./items.ts')).exportItemsCommand(),
  'import-items': async () => (await import('./items.ts')).importItemsCommand(),
  import: async () => (await import('./import.ts')).importCommand(),
  simulate: async () => (await import('./simulate.ts')).simulateCommand(),
  bundle: async () => (await import('./bundle.ts')).bundleCommand(),
  backtest: async () => (await import('./backtest.ts')).backtestCommand(),
  replay: async () => (await import('./replay.ts')).replayCommand(),
  rebuild: async () => (await import('./rebuild.ts')).rebuildCommand(),
  'evaluate-policy': async () => (await import('./evaluate-policy.ts')).evaluatePolicyCommand(),
  key: async () => (await import('./key.ts')).keyCommand(),
};

/** Runs the command that the words name; resolves to the status that the process is to end with. */
export async function runCommandLine(words: readonly string[]): Promise<number> {
  const program = new Command('gatehouse').description('Real-time recommendation and risk scoring gateway with WebSocket push').version(VERSION);
  const asked = COMMANDS[words[0] ?? ''];
  for (const load of asked ? [asked] : Object.values(COMMANDS)) program.addCommand(await load());
  throwInsteadOfExit(program);
  try {
    await program.parseAsync(words, { from: 'user' });
    return 0;
  } catch (error) {
    // Said already.
    if (error instanceof CommanderError) return error.exitCode;
    // An expected failure is one clear line; anything else keeps its stack, because somebody has to find it.
    if (error instanceof GatehouseError) process.stderr.write(`gatehouse: ${error.detail} (${error.code}). ${error.toProblem().fix}\n`);
    else console.error(error);
    return 1;
  }
}

function throwInsteadOfExit(command: Command): void {
  command.exitOverride();
  command.commands.forEach(throwInsteadOfExit);
}
