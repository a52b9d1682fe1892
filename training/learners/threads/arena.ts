/** Every region starts a cache line of its own, so that threads never write to one line. */
const ALIGN_BYTES = 64;
const PAGE_BYTES = 65_536;
/** What 32-bit addresses reach, less a page. A table takes about 40 bytes a row and one a value: 50M rows of 30 features fit. */
export const ARENA_BYTES_MAX = 65_535 * PAGE_BYTES;

/** One memory that all threads share, as views at the addresses that kernels know. */
export interface SharedMemory {
  readonly memory: WebAssembly.Memory;
  u8(address: number, length: number): Uint8Array;
  i8(address: number, length: number): Int8Array;
  i32(address: number, length: number): Int32Array;
  u32(address: number, length: number): Uint32Array;
  i64(address: number, length: number): BigInt64Array;
  u64(address: number, length: number): BigUint64Array;
  f32(address: number, length: number): Float32Array;
  f64(address: number, length: number): Float64Array;
}

/** Regions are reserved first, then the memory is made, with zeros. */
export interface Arena {
  /** The address of a new region. */
  reserve(bytes: number): number;
  /** What the memory will take. */
  readonly bytes: number;
  /** Throws a RangeError when the regions are larger than 32-bit addresses reach. */
  build(): SharedMemory;
}

export function createArena(): Arena {
  // The first page stays free, so that 0 is no region's address.
  let end = PAGE_BYTES;
  return {
    reserve(bytes) {
      const address = end;
      end += Math.ceil(bytes / ALIGN_BYTES) * ALIGN_BYTES;
      return address;
    },
    get bytes() {
      return end;
    },
    build() {
      if (end > ARENA_BYTES_MAX)
        throw new RangeError(`the table takes ${end} bytes to train on, over the limit of ${ARENA_BYTES_MAX}: use fewer rows`);
      const pages = Math.ceil(end / PAGE_BYTES);
      return sharedMemory(new WebAssembly.Memory({ initial: pages, maximum: pages, shared: true }));
    },
  };
}

export function sharedMemory(memory: WebAssembly.Memory): SharedMemory {
  const { buffer } = memory;
  return {
    memory,
    u8: (address, length) => new Uint8Array(buffer, address, length),
    i8: (address, length) => new Int8Array(buffer, address, length),
    i32: (address, length) => new Int32Array(buffer, address, length),
    u32: (address, length) => new Uint32Array(buffer, address, length),
    i64: (address, length) => new BigInt64Array(buffer, address, length),
    u64: (address, length) => new BigUint64Array(buffer, address, length),
    f32: (address, length) => new Float32Array(buffer, address, length),
    f64: (address, length) => new Float64Array(buffer, address, length),
  };
}
