/** Ids that one registry may hold: past the memory of one gateway, and far below the 31 bits that a handle has. */
export const HANDLES_MAX = 50_000_000;

/** No item. Every array of handles says it this way. */
export const NO_HANDLE = -1;

/**
 * Dense whole numbers for string ids, from 0, in the order of their first use. Inside, everything is an array by handle; an id is looked up once,
 * where a request or an event enters, and looked back once, where an answer leaves.
 *
 * A handle is never given to another id, not even when its item is deleted: tables of a bundle that still serves would point at the wrong item.
 * So it grows by every id that is ever put, by about 100 bytes each, until the process ends; ids that clients may invent are only looked up.
 */
export class Handles {
  readonly #ids: string[] = [];
  readonly #handles = new Map<string, number>();

  /** Handles given so far: each is less than this. */
  get size(): number {
    return this.#ids.length;
  }

  /** The id's handle, given now where it has none. Throws RangeError where there are too many. */
  intern(id: string): number {
    const known = this.#handles.get(id);
    if (known !== undefined) return known;
    const handle = this.#ids.length;
    if (handle >= HANDLES_MAX) throw new RangeError(`more than ${HANDLES_MAX} ids`);
    this.#ids.push(id);
    this.#handles.set(id, handle);
    return handle;
  }

  /** The id's handle, or NO_HANDLE. */
  find(id: string): number {
    return this.#handles.get(id) ?? NO_HANDLE;
  }

  /** The id of a handle that this registry gave. */
  idOf(handle: number): string {
    return this.#ids[handle]!;
  }

  /** Orders handles by their ids, for ties. */
  compare(a: number, b: number): number {
    if (a === b) return 0;
    return this.#ids[a]! < this.#ids[b]! ? -1 : 1;
  }
}

type Column = Float64Array | Float32Array | Int32Array | Uint32Array | Uint8Array;

/** The column, or a longer copy of it that has a place for `handle`; new places hold `blank`. Doubles, so that growing costs little a handle. */
export function withPlace<T extends Column>(column: T, handle: number, blank: number): T {
  if (handle < column.length) return column;
  const longer = new (column.constructor as new (length: number) => T)(Math.max(handle + 1, 2 * column.length, 1024));
  longer.set(column);
  if (blank !== 0) longer.fill(blank, column.length);
  return longer;
}
