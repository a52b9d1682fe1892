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

/** Rows of one task where rows are spread over tasks, as in kernel/common.as. */
export const CHUNK_ROWS = 8192;

export const chunksOf = (rows: number): number => Math.ceil(rows / CHUNK_ROWS);
