#!/usr/bin/env node
import { runCommandLine } from './program.ts';

// A command may have set another one.
const status = await runCommandLine(process.argv.slice(2));
if (status !== 0) process.exitCode = status;
