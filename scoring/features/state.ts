import type { EntityKind } from '../../store/contract.ts';
import type { ByteWriter } from './bytes.ts';
import type { EntityState } from './contract.ts';
import type { HistoryList } from './history.ts';
import type { KindSchema } from './schema.ts';

/** Room that a state gets beyond what it needs, an eighth at least: for some more events. Most states never grow again. */
const SPARE_BYTES_MIN = 24;
const NO_BYTES = new Uint8Array(0);
const NO_HISTORIES: (HistoryList | undefined)[] = [];

/**
 * What the engine knows of one entity, in two buffers of the shape of its kind's schema: an entity costs two allocations, however many tables and
 * lists its kind has, and what is old of it takes as much memory as it takes on disk.
 *
 *   numbers   the end of each section in `bytes`, then what the next event changes: each level's newest row, each list's ends
 *   bytes     one section a level (its older rows), then one a list (its entries): in the very form in which they are stored (tables.ts, lists.ts)
 */
export class State implements EntityState {
  readonly schema: KindSchema;
  /** An array, all of doubles: it is made, moved and let go with the object, where a typed array is a buffer of its own. */
  readonly numbers: number[];
  bytes: Uint8Array = NO_BYTES;
  readonly histories: (HistoryList | undefined)[];

  constructor(schema: KindSchema) {
    this.schema = schema;
    this.numbers = schema.numbersAtFirst.slice();
    this.histories = schema.histories.length === 0 ? NO_HISTORIES : new Array(schema.histories.length).fill(undefined);
  }

  get kind(): EntityKind {
    return this.schema.kind;
  }

  sectionFrom(section: number): number {
    return section === 0 ? 0 : this.numbers[section - 1]!;
  }

  sectionTo(section: number): number {
    return this.numbers[section]!;
  }

  /** Bytes in use. */
  get length(): number {
    const { sections } = this.schema;
    return sections === 0 ? 0 : this.numbers[sections - 1]!;
  }

  /** Puts what `piece` holds in place of `removed` bytes at `at`, which lies in this section. */
  splice(section: number, at: number, removed: number, piece: ByteWriter): void {
    const { numbers, length } = this;
    const { sections } = this.schema;
    const count = piece.position;
    const more = count - removed;
    if (length + more > this.bytes.length) {
      const larger = new Uint8Array(length + more + Math.max(SPARE_BYTES_MIN, (length + more) >> 3));
      larger.set(this.bytes.subarray(0, length));
      this.bytes = larger;
    }
    const { bytes } = this;
    if (more !== 0) {
      if (at + removed < length) bytes.copyWithin(at + count, at + removed, length);
      for (let i = section; i < sections; i++) numbers[i] = numbers[i]! + more;
    }
    piece.copyTo(bytes, at);
  }

  /** Takes `removed` bytes out of a section at `at` and puts `piece` at its end: what the others hold moves only where the two differ in length. */
  rotate(section: number, at: number, removed: number, piece: ByteWriter): void {
    const to = this.sectionTo(section);
    if (removed > 0) this.bytes.copyWithin(at, at + removed, to);
    this.splice(section, to - removed, removed, piece);
  }
}
