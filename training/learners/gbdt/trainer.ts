import { type Random, sampleSorted } from '../random.ts';
import { createArena, type SharedMemory } from '../threads/arena.ts';
import { type BinnedTable, binTable } from './bins.ts';
import { createGrower, type Grower, type Importance } from './grow.ts';
import { type LayoutNeeds, type Regions, reserveRegions } from './layout.ts';
import type { GbdtRows } from './objective.ts';
import type { GbdtParams } from './params.ts';
import { defaultThreads, startTeam, type Team } from './team.ts';

/** Smaller tables are trained by one thread: starting another takes longer than it saves. The model is the same. */
const THREADED_VALUES_MIN = 200_000;

/** A binned table in shared memory, the threads, and what grows trees from them. */
export interface Trainer {
  readonly at: Regions;
  readonly shared: SharedMemory;
  readonly team: Team;
  readonly table: BinnedTable;
  readonly grower: Grower;
  readonly importance: Importance;
}

export interface TrainerOptions extends LayoutNeeds {
  readonly seed: number;
  readonly threads: number | undefined;
}

/** Runs `work` with a trainer over the rows; the threads end when it does, however it does. */
export async function withTrainer<T>(
  data: GbdtRows,
  params: GbdtParams,
  weights: Float32Array | undefined,
  options: TrainerOptions,
  work: (trainer: Trainer) => Promise<T>,
): Promise<T> {
  const { n, f } = data;
  const arena = createArena();
  const at = reserveRegions(arena, n, f, params, options);
  const shared = arena.build();
  const threads = options.threads ?? (n * f < THREADED_VALUES_MIN ? 1 : defaultThreads());
  const team = await startTeam(shared, at.control, threads);
  try {
    shared.f32(at.labels, n).set(data.labels);
    if (options.weighted && weights) shared.f32(at.weights, n).set(weights);
    const classes = params.objective === 'binary' ? data : undefined;
    const table = binTable(data.rows, at.table, params.categoricalFeature, classes, options.seed, shared, team);
    const grower = createGrower(table, at, params, shared, team, { weights, scored: options.scored });
    const importance = { gain: new Float64Array(f), splits: new Float64Array(f) };
    return await work({ at, shared, team, table, grower, importance });
  } finally {
    await team.stop();
  }
}

/** What a tree may use of the usable features. */
export function featuresOfTree(table: BinnedTable, fraction: number, random: Random): Int32Array {
  const { usable } = table;
  const count = Math.max(1, Math.round(usable.length * fraction));
  return count < usable.length ? sampleSorted(random, usable.length, count).map((i) => usable[i]!) : usable;
}
