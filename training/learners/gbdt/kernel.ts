import { readFileSync } from 'node:fs';
import { builtFile } from '../built.ts';

/** What a task may be: the exports of kernel/*.as, where their parameters are explained. The last argument is the task's number. */
export const OPS = [
  'binColumns',
  'binaryGradients',
  'squaredGradients',
  'residualMax',
  'quantise',
  'sumRoot',
  'searchLeaves',
  'partition',
  'place',
  'addLeafValues',
  'addTreeValues',
] as const;
export type Op = (typeof OPS)[number];

export type Kernel = Readonly<Record<Op, (...args: number[]) => void>>;

/** Rows of one task where rows are spread over tasks, as in kernel/common.as. */
export const CHUNK_ROWS = 8192;

export const chunksOf = (rows: number): number => Math.ceil(rows / CHUNK_ROWS);

export function compileKernel(): WebAssembly.Module {
  return new WebAssembly.Module(readFileSync(builtFile(new URL('./kernel.wasm', import.meta.url))));
}

/** A thread's own instance over the memory that all share. */
export function instantiateKernel(module: WebAssembly.Module, memory: WebAssembly.Memory): Kernel {
  return new WebAssembly.Instance(module, { env: { memory } }).exports as unknown as Kernel;
}
