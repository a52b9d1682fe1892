import { composeOnnx } from '../../onnx/compose.ts';
import { GraphBuilder } from '../../onnx/graph.ts';
import { type FitOptions, requireParam } from '../contract.ts';
import { checkTable, type TableRows, takeRows } from '../linear/table.ts';
import { type Random, sampleSorted, seededRandom } from '../random.ts';
import type { Member, MemberLearner } from './member.ts';

export interface BaggingParams {
  members: number;
  /** Rows that each member sees, as a share of all. */
  sampleShare: number;
  /** With replacement (Breiman 1996) or without, where a share of 1 makes members that differ by their seeds alone. */
  replacement: boolean;
}

export const BAGGING_DEFAULTS: BaggingParams = { members: 10, sampleShare: 1, replacement: true };

/** Each member is a whole model to serve; a hundred trees-of-trees is what one call of a millisecond can bear. */
const MEMBERS_MAX = 100;

/** Fits a learner on samples of the rows, each with a seed of its own, and answers with the mean. Throws what the learner throws. */
export async function fitBagging(table: TableRows, learner: MemberLearner, given: Partial<BaggingParams>, options: FitOptions): Promise<Member> {
  const params = { ...BAGGING_DEFAULTS, ...given };
  requireParam(Number.isInteger(params.members) && params.members >= 1 && params.members <= MEMBERS_MAX, `members must be 1 to ${MEMBERS_MAX}`);
  requireParam(params.sampleShare > 0 && params.sampleShare <= 1, `sampleShare must be over 0 and at most 1, not ${params.sampleShare}`);
  checkTable(table);
  const random = seededRandom(options.seed);
  const members: Member[] = [];
  for (let i = 0; i < params.members; i++) {
    const rows = takeRows(table, sampleOf(table.n, params, random));
    members.push(await learner(rows, { seed: random.int(2 ** 31) }));
    options.progress?.(i + 1, params.members);
  }
  return meanOf(members);
}

/** The mean of several members as one. */
export function meanOf(members: readonly Member[]): Member {
  const first = members[0];
  requireParam(first !== undefined && members.every(({ output }) => output === first.output), 'members must be of one kind');
  return {
    output: first.output,
    predict(rows) {
      const each = members.map((member) => member.predict(rows));
      return Float32Array.from(each[0]!, (_, row) => each.reduce((sum, values) => sum + values[row]!, 0) / members.length);
    },
    toOnnx() {
      const parts = members.map((member, i) => ({ name: `member_${i}`, bytes: member.toOnnx(), inputs: { features: 'features' } }));
      const inputs = Object.fromEntries(parts.map(({ name }) => [name, `${name}.${first.output}`]));
      return composeOnnx('bagging', [...parts, { name: 'mean', bytes: meanGraph(members.length, first.output), inputs }]);
    },
  };
}

function meanGraph(members: number, output: string): Uint8Array {
  const graph = new GraphBuilder('mean');
  const names = Array.from({ length: members }, (_, i) => graph.input(`member_${i}`, 'float32', ['N', 1]));
  graph.node('Mean', names, {}, output);
  graph.output(output, 'float32', ['N', 1]);
  return graph.toBytes();
}

function sampleOf(n: number, { sampleShare, replacement }: BaggingParams, random: Random): ArrayLike<number> {
  const count = Math.max(1, Math.round(sampleShare * n));
  return replacement ? Uint32Array.from({ length: count }, () => random.int(n)) : sampleSorted(random, n, count);
}
