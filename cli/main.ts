#!/usr/bin/env node
import { Command } from 'commander';
import { GatehouseError } from '../contracts/errors.ts';
import { VERSION } from '../gateway/main.ts';

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

const program = new Command('gatehouse').description('Real-time recommendation and risk scoring gateway with WebSocket push').version(VERSION);
const asked = COMMANDS[process.argv[2] ?? ''];
for (const load of asked ? [asked] : Object.values(COMMANDS)) program.addCommand(await load());

try {
  await program.parseAsync();
} catch (error) {
  // An expected failure is one clear line; anything else keeps its stack, because somebody has to find it.
  if (error instanceof GatehouseError) console.error(`gatehouse: ${error.detail} (${error.code}). ${error.toProblem().fix}`);
  else console.error(error);
  process.exitCode = 1;
}
