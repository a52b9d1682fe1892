// The gateway's backtest process with a meter: what it used goes into the file that BACKTEST_USAGE names when it ends. Started by `backtest.js`.
import { writeFileSync } from 'node:fs';

const usagePath = process.env['BACKTEST_USAGE'];
if (usagePath === undefined) throw new Error('BACKTEST_USAGE names no file');
process.once('exit', () => writeFileSync(usagePath, JSON.stringify(process.resourceUsage())));
await import('../../gateway/rules/backtest-child.ts');
