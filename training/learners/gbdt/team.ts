import type { SharedMemory } from '../threads/arena.ts';
import type { Work } from '../threads/tasks.ts';
import { startTeam as startThreads, type Team as Threads } from '../threads/team.ts';
import { OPS, type Op } from './kernel.ts';

export { defaultThreads, reserveControl } from '../threads/team.ts';

/** The borders of a feature are chosen in TypeScript: a sort of a sample, once a training. */
export const BORDERS_OP = OPS.length;

const WORK: Work<Op | 'chooseBorders'> = {
  kernel: new URL('./kernel.wasm', import.meta.url),
  ops: OPS,
  plain: { module: new URL('./borders.js', import.meta.url), names: ['chooseBorders'] },
};

/** The threads that grow trees. */
export type Team = Threads<Op | 'chooseBorders'>;

export function startTeam(shared: SharedMemory, controlAt: number, threads: number): Promise<Team> {
  return startThreads(shared, controlAt, threads, WORK);
}
