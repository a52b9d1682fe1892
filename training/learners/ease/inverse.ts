import { cholesky, solveLower, solveLowerTransposed } from '../../../scoring/cholesky.ts';
import { createArena } from '../threads/arena.ts';
import type { Work } from '../threads/tasks.ts';
import { defaultThreads, reserveControl, startTeam } from '../threads/team.ts';

/** Rows of a block, as in kernel/kernel.as: three blocks of float64 stay in the second cache. */
const BLOCK = 64;
/** Smaller matrices are inverted by one thread: starting another takes longer than it saves. The inverse is the same. */
const THREADED_ROWS_MIN = 1_000;

type Op = 'readPanel' | 'sweepRows';
const WORK: Work<Op> = { kernel: new URL('./kernel.wasm', import.meta.url), ops: ['readPanel', 'sweepRows'] };

/** A symmetric matrix: row i has its columns 0 to i in `matrix` from i * stride on. */
export interface LowerTriangle {
  readonly n: number;
  readonly stride: number;
  readonly matrix: Float64Array;
}

/**
 * Inverts a symmetric, positive definite matrix in place. `fill` writes the lower triangle into memory that threads share, which holds zeros.
 * Rejects with an Error when the matrix is not positive definite. The memory is 8 bytes times the square of n (a multiple of 64).
 */
export async function invertSymmetric(
  n: number,
  fill: (lower: LowerTriangle) => void,
  progress: (done: number, total: number) => void,
  threads = n < THREADED_ROWS_MIN ? 1 : defaultThreads(),
): Promise<LowerTriangle> {
  const blocks = Math.ceil(n / BLOCK);
  const stride = BLOCK * blocks;
  const arena = createArena();
  const controlAt = reserveControl(arena);
  const at = arena.reserve(8 * stride * stride);
  const [across, down] = [arena.reserve(8 * BLOCK * stride), arena.reserve(8 * BLOCK * stride)];
  const inverseAt = arena.reserve(8 * BLOCK * BLOCK);
  const shared = arena.build();
  const matrix = shared.f64(at, stride * stride);
  fill({ n, stride, matrix });
  for (let i = n; i < stride; i++) matrix[i * stride + i] = 1;
  const team = await startTeam(shared, controlAt, threads, WORK);
  try {
    const inverse = shared.f64(inverseAt, BLOCK * BLOCK);
    for (let k = 0; k < blocks; k++) {
      invertBlock(matrix, stride, k, inverse);
      const args = [at, stride, k, inverseAt, across, down];
      team.run('readPanel', blocks, stride * BLOCK * BLOCK, args);
      team.run('sweepRows', blocks, (stride * stride * BLOCK) / 2, args);
      await team.breathe();
      progress(k + 1, blocks);
    }
  } finally {
    await team.stop();
  }
  // Swept whole, it is minus its inverse.
  for (let i = 0; i < n; i++) for (let j = 0; j <= i; j++) matrix[i * stride + j] = -matrix[i * stride + j]!;
  return { n, stride, matrix };
}

/** The inverse of the diagonal block k. */
function invertBlock(matrix: Float64Array, stride: number, k: number, inverse: Float64Array): void {
  const lower = new Float64Array(BLOCK * BLOCK);
  const first = k * BLOCK * (stride + 1);
  for (let i = 0; i < BLOCK; i++) for (let j = 0; j <= i; j++) lower[i * BLOCK + j] = matrix[first + i * stride + j]!;
  cholesky(lower, BLOCK);
  for (let column = 0; column < BLOCK; column++) {
    const unit = new Float64Array(BLOCK);
    unit[column] = 1;
    solveLower(lower, unit);
    solveLowerTransposed(lower, unit);
    // Row by row what stands column by column: the inverse is symmetric, and the kernel wants it so to the last bit.
    for (let i = column; i < BLOCK; i++) inverse[i * BLOCK + column] = inverse[column * BLOCK + i] = unit[i]!;
  }
}
