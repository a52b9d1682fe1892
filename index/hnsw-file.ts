import { GatehouseError } from '../contracts/errors.ts';
import type { GraphShape } from './graph.ts';
import { graphDimensions, graphRow } from './graph-row.ts';
import type { VectorSlab } from './slab.ts';
import { nextTurn, ROWS_PER_TURN } from './turns.ts';

/**
 * hnswlib's file, as `saveIndex` of its version 0.8 writes it on 64-bit little-endian machines:
 *
 *   96 bytes   header, see `readHeader`
 *   count x    [u16 links, u16 marks][2M neighbours u32][row f32 x dimensions][label u64]     layer 0
 *   count x    [u32 bytes of upper layers][for each layer from 1: [u32 links][M neighbours u32]]
 *
 * hnswlib checks only that the lengths add up, then follows any number in the file as a memory offset. So every number is checked here
 * first: whoever can write a snapshot and its manifest must not be able to crash the process.
 */
const HEADER_BYTES = 96;
const LINK_COUNT_BYTES = 4;
const NEIGHBOUR_BYTES = 4;
const LABEL_BYTES = 8;
const WORD_BYTES = 4;
/** hnswlib draws -ln(u) / ln(M) layers with u from 2^-53: never more than 53 at M of 2. */
const LAYERS_MAX = 53;
/** hnswlib's mult and ours may differ by the last bits of a logarithm. */
const MULT_TOLERANCE = 1e-9;

/** Capacity doubles, so it is never far over the count, except where a caller reserved room. It is allocated at once, so bound it. */
const CAPACITY_SLACK = 4;
const CAPACITY_SLACK_MIN = 1_000_000;

interface Header {
  readonly offsetLevel0: number;
  readonly maxElements: number;
  readonly count: number;
  readonly elementBytes: number;
  readonly labelOffset: number;
  readonly dataOffset: number;
  readonly maxLevel: number;
  readonly entryPoint: number;
  readonly maxM: number;
  readonly maxM0: number;
  readonly m: number;
  readonly mult: number;
  readonly efConstruction: number;
}

function readHeader(file: Buffer): Header {
  const size = (offset: number): number => Number(file.readBigUInt64LE(offset));
  return {
    offsetLevel0: size(0),
    maxElements: size(8),
    count: size(16),
    elementBytes: size(24),
    labelOffset: size(32),
    dataOffset: size(40),
    maxLevel: file.readInt32LE(48),
    entryPoint: file.readUInt32LE(52),
    maxM: size(56),
    maxM0: size(64),
    m: size(72),
    mult: file.readDoubleLE(80),
    efConstruction: size(88),
  };
}

function require(holds: boolean, what: string): asserts holds {
  if (!holds) throw new GatehouseError('snapshot_corrupt', `the graph file's ${what}`);
}

/** A file's numbers, in place where they lie for it: files are little-endian, and so are the machines that hnswlib's file can be read on. */
export function floatsOf(bytes: Buffer): Float32Array {
  const { buffer, byteOffset, length } = aligned(bytes);
  return new Float32Array(buffer, byteOffset, length / Float32Array.BYTES_PER_ELEMENT);
}

function wordsOf(bytes: Buffer): Uint32Array {
  const { buffer, byteOffset, length } = aligned(bytes);
  return new Uint32Array(buffer, byteOffset, length / Uint32Array.BYTES_PER_ELEMENT);
}

/** Whole words, at an address that typed arrays take. */
function aligned(bytes: Buffer): Uint8Array {
  const whole = bytes.subarray(0, bytes.length - (bytes.length % WORD_BYTES));
  return whole.byteOffset % WORD_BYTES === 0 ? whole : Uint8Array.from(whole);
}

/**
 * Check a graph file against the vectors and the settings it must belong to, in steps that let the event loop turn. Rejects with GatehouseError
 * `snapshot_corrupt` unless hnswlib can load it, search it and add to it without leaving its own memory, and its rows are the slab's.
 */
export async function checkHnswFile(file: Buffer, slab: VectorSlab, shape: Pick<GraphShape, 'm' | 'efConstruction'>): Promise<void> {
  require(file.length >= HEADER_BYTES, 'header is cut off');
  const header = readHeader(file);
  checkHeader(header, slab, shape);
  require(file.length >= HEADER_BYTES + header.count * (header.elementBytes + LINK_COUNT_BYTES), 'length is too short for its count');
  await checkLayer0(file, header, slab);
  await checkUpperLayers(file, header);
}

function checkHeader(header: Header, slab: VectorSlab, { m, efConstruction }: Pick<GraphShape, 'm' | 'efConstruction'>): void {
  const count = slab.slotCount;
  const dataOffset = LINK_COUNT_BYTES + 2 * m * NEIGHBOUR_BYTES;
  const labelOffset = dataOffset + graphDimensions(slab.metric, slab.dimensions) * Float32Array.BYTES_PER_ELEMENT;
  require(header.count === count && count > 0, 'count is not the number of vectors');
  require(header.maxElements >= count && header.maxElements <= CAPACITY_SLACK * count + CAPACITY_SLACK_MIN, 'capacity is out of range');
  require(header.m === m && header.maxM === m && header.maxM0 === 2 * m, 'number of links is not the M of the manifest');
  require(header.offsetLevel0 === 0 && header.dataOffset === dataOffset, 'layout does not follow from M');
  require(header.labelOffset === labelOffset && header.elementBytes === labelOffset + LABEL_BYTES, 'layout does not follow from the dimensions');
  require(header.efConstruction === Math.max(efConstruction, m), 'efConstruction is not that of the manifest');
  require(Math.abs(header.mult - 1 / Math.log(m)) <= MULT_TOLERANCE, 'level multiplier does not follow from M');
  require(header.maxLevel >= 0 && header.maxLevel <= LAYERS_MAX, 'number of layers is out of range');
  require(header.entryPoint < count, 'entry point is no element');
}

async function checkLayer0(file: Buffer, header: Header, slab: VectorSlab): Promise<void> {
  const expected = new Float32Array(graphDimensions(slab.metric, slab.dimensions));
  // A hundred million numbers: a read by way of the buffer would take several times as long.
  const words = wordsOf(file);
  const floats = floatsOf(file);
  for (let element = 0; element < header.count; element++) {
    if (element % ROWS_PER_TURN === ROWS_PER_TURN - 1) await nextTurn();
    const at = (HEADER_BYTES + element * header.elementBytes) / WORD_BYTES;
    checkLinks(words, at, header.maxM0, header.count);
    const label = at + header.labelOffset / WORD_BYTES;
    require(words[label] === element && words[label + 1] === 0, 'labels are not the slots');
    graphRow(slab.metric, slab.rowAt(element), slab.normAt(element), 0, expected);
    const row = at + header.dataOffset / WORD_BYTES;
    for (let i = 0; i < expected.length; i++) {
      const value = floats[row + i]!;
      // The lifted component of `ip` depends on the norms seen when the row came; any finite one only shapes the graph.
      const fits = i < slab.dimensions ? value === expected[i] : Number.isFinite(value) && value >= 0;
      require(fits, 'rows are not the vectors');
    }
  }
}

/** A link list at the word `at`: a 16-bit count, then marks that this index never sets, then the neighbours. Returns the count. */
function checkLinks(words: Uint32Array, at: number, linksMax: number, count: number): number {
  const links = words[at]!;
  require(links <= linksMax, 'link list is too long or marked');
  for (let i = 1; i <= links; i++) require(words[at + i]! < count, 'link leads to no element');
  return links;
}

/** Each neighbour on a layer must itself reach up to that layer: hnswlib reads its list there. */
async function checkUpperLayers(file: Buffer, header: Header): Promise<void> {
  const layerBytes = LINK_COUNT_BYTES + header.maxM * NEIGHBOUR_BYTES;
  const start = HEADER_BYTES + header.count * header.elementBytes;
  const levels = new Uint8Array(header.count);
  const words = wordsOf(file);
  let at = start;
  for (let element = 0; element < header.count; element++) {
    if (element % ROWS_PER_TURN === ROWS_PER_TURN - 1) await nextTurn();
    require(at + LINK_COUNT_BYTES <= file.length, 'upper layers are cut off');
    const bytes = file.readUInt32LE(at);
    require(bytes % layerBytes === 0 && bytes / layerBytes <= header.maxLevel, 'upper layers have an impossible length');
    levels[element] = bytes / layerBytes;
    at += LINK_COUNT_BYTES + bytes;
  }
  require(at === file.length, 'length is not what its lists add up to');
  require(levels[header.entryPoint] === header.maxLevel, 'entry point is not on the top layer');
  at = start;
  for (let element = 0; element < header.count; element++) {
    if (element % ROWS_PER_TURN === ROWS_PER_TURN - 1) await nextTurn();
    at += LINK_COUNT_BYTES;
    for (let layer = 1; layer <= levels[element]!; layer++, at += layerBytes) {
      const links = checkLinks(words, at / WORD_BYTES, header.maxM, header.count);
      for (let i = 0; i < links; i++) {
        const neighbour = file.readUInt32LE(at + LINK_COUNT_BYTES + i * NEIGHBOUR_BYTES);
        require(levels[neighbour]! >= layer, 'link leads to an element below its layer');
      }
    }
  }
}
