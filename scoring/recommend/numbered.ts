import { type Handles, NO_HANDLE, withPlace } from '../../contracts/handles.ts';
import type { ProfileSearch, ScoredItems, SessionSearch } from '../../index/contract.ts';
import type { HandleMap } from './handle-map.ts';

/** Handles for the numbers that a table of a bundle has for its items, and back. */
class Numbers {
  readonly #handles: Int32Array;
  /** By handle: the item's number, or -1. */
  #numbers = new Int32Array(0);

  constructor(handles: Handles, ids: readonly string[]) {
    this.#handles = Int32Array.from(ids, (id) => handles.intern(id));
    for (let number = 0; number < ids.length; number++) {
      this.#numbers = withPlace(this.#numbers, this.#handles[number]!, NO_HANDLE);
      this.#numbers[this.#handles[number]!] = number;
    }
  }

  /** -1 where the table does not know the item. */
  of(handle: number): number {
    return this.#numbers[handle] ?? NO_HANDLE;
  }

  /** Puts scores into an empty map, and what was ever wanted as their peaks. */
  fill(map: HandleMap, { items, scores, ever }: ScoredItems & { readonly ever?: Float64Array }): void {
    for (let i = 0; i < items.length; i++) {
      const at = map.add(this.#handles[items[i]!]!);
      map.scores[at] = scores[i]!;
      if (ever) map.peaks[at] = ever[i]!;
    }
  }
}

/** People like the visitor. */
export class LookAlikes {
  readonly #numbers: Numbers;
  readonly #profiles: ProfileSearch;

  constructor(handles: Handles, profiles: ProfileSearch) {
    this.#numbers = new Numbers(handles, profiles.ids);
    this.#profiles = profiles;
  }

  /** What they want, as scores of `out`, and what they ever wanted, as peaks; `held.scores` is what the visitor holds. Both maps are the caller's, `out` is empty. */
  score(held: HandleMap, out: HandleMap): void {
    const numbers: number[] = [];
    const values: number[] = [];
    for (let at = 0; at < held.count; at++) {
      const number = this.#numbers.of(held.handleAt(at));
      if (number < 0) continue;
      numbers.push(number);
      values.push(held.scores[at]!);
    }
    if (numbers.length > 0) this.#numbers.fill(out, this.#profiles.alike(numbers, values));
  }
}

/** Past sessions like the running one. */
export class SessionNeighbours {
  readonly #numbers: Numbers;
  readonly #sessions: SessionSearch;

  constructor(handles: Handles, sessions: SessionSearch) {
    this.#numbers = new Numbers(handles, sessions.ids);
    this.#sessions = sessions;
  }

  /** What came next in them, as scores of `out`, which is empty; `clicked` are the first `length` handles, the newest first. */
  score(clicked: Int32Array, length: number, out: HandleMap): void {
    const numbers: number[] = [];
    for (let i = length - 1; i >= 0; i--) {
      const number = this.#numbers.of(clicked[i]!);
      if (number >= 0) numbers.push(number);
    }
    if (numbers.length > 0) this.#numbers.fill(out, this.#sessions.next(numbers));
  }
}
