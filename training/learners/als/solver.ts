import { requireData } from '../contract.ts';
import { type SparseRows, transposeInto } from '../sparse.ts';
import { ARENA_BYTES_MAX, createArena, type SharedMemory } from '../threads/arena.ts';
import type { Work } from '../threads/tasks.ts';
import { reserveControl, startTeam, type Team } from '../threads/team.ts';

/** One float32 vector is padded to whole tiles of the kernel. */
const WIDTH_STEP = 8;
/** Rows of the Gram matrix that one task sums. */
const GRAM_TASK_ROWS = 4;
/** Enough that two threads end a job at nearly the same time, few enough that their scratch vectors are small. */
const CHUNKS_MAX = 512;
/** Vectors of the conjugate gradient that a chunk needs. */
const SCRATCH_VECTORS = 3;

type Op = 'gramRows' | 'solveRows';
const WORK: Work<Op> = { kernel: new URL('./kernel.wasm', import.meta.url), ops: ['gramRows', 'solveRows'] };

/** A matrix in shared memory with the factors of its rows, cut into chunks of about equal work. */
interface Side {
  readonly rows: number;
  readonly indptr: number;
  readonly indices: number;
  readonly values: number;
  readonly factors: number;
  readonly bounds: number;
  readonly chunks: number;
}

export interface SolverSettings {
  readonly factors: number;
  readonly regularization: number;
  readonly alpha: number;
  readonly cgSteps: number;
  readonly threads: number;
}

/** Users and items in memory that threads share, and the threads. */
export interface Solver {
  /** Solves all items while users stay, or the other way round. */
  solve(side: 'users' | 'items'): Promise<void>;
  /** Row-major factors, without the padding: a copy. */
  factorsOf(side: 'users' | 'items'): Float32Array;
  /** Ends the threads. */
  stop(): Promise<void>;
}

/** `start` fills factors: it is called for users first, then for items. Throws `training_data_too_large` beyond what 32-bit addresses reach. */
export async function createSolver(
  matrix: SparseRows & { readonly users: number; readonly items: number },
  settings: SolverSettings,
  start: () => number,
): Promise<Solver> {
  const { factors, regularization, alpha, cgSteps } = settings;
  const width = Math.ceil(factors / WIDTH_STEP) * WIDTH_STEP;
  const arena = createArena();
  const controlAt = reserveControl(arena);
  const count = matrix.indices.length;
  const reserveSide = (rows: number): Side => {
    const chunks = Math.max(1, Math.min(CHUNKS_MAX, rows));
    return {
      rows,
      indptr: arena.reserve(4 * (rows + 1)),
      indices: arena.reserve(4 * count),
      values: arena.reserve(4 * count),
      factors: arena.reserve(4 * width * rows),
      bounds: arena.reserve(4 * (chunks + 1)),
      chunks,
    };
  };
  const users = reserveSide(matrix.users);
  const items = reserveSide(matrix.items);
  const [gramAt, wideAt] = [arena.reserve(4 * width * width), arena.reserve(8 * width * width)];
  const scratch = arena.reserve(4 * SCRATCH_VECTORS * width * CHUNKS_MAX);
  const settingsAt = arena.reserve(4);
  requireData(
    arena.bytes <= ARENA_BYTES_MAX,
    `${matrix.users} users, ${matrix.items} items and ${count} meetings take ${arena.bytes} bytes with ${factors} factors, over ${ARENA_BYTES_MAX}`,
    'training_data_too_large',
  );
  const shared = arena.build();
  shared.f32(settingsAt, 1)[0] = alpha;

  const byUser = sparseAt(shared, users, count);
  byUser.indptr.set(matrix.indptr);
  byUser.indices.set(matrix.indices);
  byUser.values.set(matrix.values);
  transposeInto(sparseAt(shared, items, count), matrix.users, matrix.items, matrix);
  for (const side of [users, items]) {
    fillBounds(shared.u32(side.bounds, side.chunks + 1), shared.u32(side.indptr, side.rows + 1), factors);
    const padded = shared.f32(side.factors, width * side.rows);
    for (let row = 0; row < side.rows; row++) for (let i = 0; i < factors; i++) padded[row * width + i] = start();
  }
  const team: Team<Op> = await startTeam(shared, controlAt, settings.threads, WORK);

  /** Y'Y plus the regularisation, from the float64 sums of the kernel's tiles. */
  function sumGram(fixed: Side): void {
    const wide = shared.f64(wideAt, width * width);
    const gram = shared.f32(gramAt, width * width);
    wide.fill(0);
    team.run('gramRows', width / GRAM_TASK_ROWS, fixed.rows * width * width, [fixed.factors, fixed.rows, width, wideAt]);
    for (let i = 0; i < width; i++) {
      for (let j = i; j < width; j++) gram[i * width + j] = gram[j * width + i] = wide[i * width + j]!;
      gram[i * width + i] = wide[i * width + i]! + regularization;
    }
  }

  return {
    async solve(side) {
      const [target, fixed] = side === 'users' ? [users, items] : [items, users];
      sumGram(fixed);
      const { indptr, indices, values, bounds, chunks } = target;
      const steps = count * width * cgSteps;
      const args = [indptr, indices, values, bounds, fixed.factors, target.factors, gramAt, scratch, settingsAt, width, cgSteps];
      team.run('solveRows', chunks, steps, args);
      await team.breathe();
    },
    factorsOf(side) {
      const { rows, factors: at } = side === 'users' ? users : items;
      const padded = shared.f32(at, width * rows);
      const out = new Float32Array(factors * rows);
      for (let row = 0; row < rows; row++) out.set(padded.subarray(row * width, row * width + factors), row * factors);
      return out;
    },
    stop: () => team.stop(),
  };
}

function sparseAt(shared: SharedMemory, side: Side, count: number): SparseRows {
  return { indptr: shared.u32(side.indptr, side.rows + 1), indices: shared.u32(side.indices, count), values: shared.f32(side.values, count) };
}

/** Chunks of about equal work: a row costs its items, and one product with the Gram matrix, which is that of `factors` / 2 items. */
function fillBounds(bounds: Uint32Array, indptr: Uint32Array, factors: number): void {
  const rows = indptr.length - 1;
  const chunks = bounds.length - 1;
  const total = indptr[rows]! + (rows * factors) / 2;
  let chunk = 1;
  for (let row = 0; row < rows && chunk < chunks; row++) {
    const done = indptr[row + 1]! + ((row + 1) * factors) / 2;
    while (chunk < chunks && done >= (total * chunk) / chunks) bounds[chunk++] = row + 1;
  }
  bounds.fill(rows, chunk);
}
