import { type Handles, NO_HANDLE, withPlace } from '../../contracts/handles.ts';
import type { VectorIndex } from '../../index/contract.ts';
import type { NextItem } from '../recommend/retrieval.ts';
import type { OnnxModel } from './onnx.ts';
import { floats, requireFinite } from './outputs.ts';

const NAME = 'the next item model';
/** What stands where a visit has no click. */
const NO_CLICK = -1n;

export interface ProbedNextItem extends NextItem {
  /** Asks after no click and after known ones. Throws `bundle_probe_failed` on a wrong shape or a value that is not finite. */
  probe(): Promise<void>;
}

/**
 * A sequence encoder over an index of item vectors: `session` maps the last `lengthMax` item numbers, the oldest first, to the vector that the index
 * is searched with. `ids` has the item of each number. The gateway and the trainer both ask through it.
 */
export function createNextItem(session: OnnxModel, index: VectorIndex, ids: readonly string[], lengthMax: number, handles: Handles): ProbedNextItem {
  let numbers = new Int32Array(0);
  for (let number = 0; number < ids.length; number++) {
    const handle = handles.intern(ids[number]!);
    numbers = withPlace(numbers, handle, NO_HANDLE);
    numbers[handle] = number;
  }
  const run = async (items: BigInt64Array): Promise<Float32Array> =>
    floats(NAME, 'query', index.dimensions, await session.run({ items: { data: items, dims: [1, lengthMax] } }));
  return {
    index,
    async expect(clicked, length) {
      const items = new BigInt64Array(lengthMax).fill(NO_CLICK);
      let known = 0;
      for (let i = 0; i < length && known < lengthMax; i++) {
        const number = numbers[clicked[i]!] ?? NO_HANDLE;
        if (number !== NO_HANDLE) items[lengthMax - ++known] = BigInt(number);
      }
      return known === 0 ? undefined : run(items);
    },
    async probe() {
      const items = new BigInt64Array(lengthMax).fill(NO_CLICK);
      requireFinite(NAME, await run(items));
      requireFinite(NAME, await run(items.fill(0n)));
    },
  };
}
