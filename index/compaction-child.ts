import { open } from 'node:fs/promises';
import { join } from 'node:path';
import { GatehouseError } from '../contracts/errors.ts';
import type { CompactionOrder, CompactionWord } from './compaction.ts';
import { Graph } from './graph.ts';
import { VectorSlab } from './slab.ts';
import { type SnapshotFile, syncFolder, writeGraph } from './snapshot.ts';
import { nextTurn, ROWS_PER_TURN } from './turns.ts';

/** Rows that the finished graph is asked for. */
const PROBES = 100;
const PROBE_FETCH = 10;
const PROBE_EF = 200;
/** Of the probes that have to find something as near as themselves: among many equal vectors a graph may miss one or the other. */
const PROBE_SHARE_MIN = 0.9;

/** The child process of `buildInChild`: one order, one answer. */
async function build(order: CompactionOrder): Promise<SnapshotFile> {
  const { dir, name, metric, dimensions, slots, shape, sphere, basePath } = order;
  const slab = await readRows(join(dir, `${name}.f32`), new VectorSlab({ dimensions, metric, capacityInitial: slots }), slots);
  const graph = basePath === undefined ? Graph.create(slab, sphere, shape, slots) : await Graph.read(slab, sphere, basePath);
  graph.reserve(slots);
  for (let slot = graph.size; slot < slots; slot++) {
    if (slot % ROWS_PER_TURN === 0) {
      process.send?.({ slots: slot } satisfies CompactionWord);
      // A turn now and then shows that the gateway is gone.
      await nextTurn();
    }
    graph.insert(slab, slot);
  }
  const file = await writeGraph(dir, `${name}.hnsw`, slab, shape, (path) => {
    graph.save(path);
    // Before the file is read for the check: one of the two at a time halves the memory.
    graph.release();
  });
  probe(slab, await Graph.read(slab, sphere, join(dir, file.name)));
  await syncFolder(dir);
  return file;
}

async function readRows(path: string, slab: VectorSlab, slots: number): Promise<VectorSlab> {
  const handle = await open(path, 'r');
  try {
    const rowBytes = slab.dimensions * Float32Array.BYTES_PER_ELEMENT;
    const bytes = Buffer.alloc(ROWS_PER_TURN * rowBytes);
    const row = new Float32Array(slab.dimensions);
    for (let from = 0; from < slots; from += ROWS_PER_TURN) {
      const count = Math.min(ROWS_PER_TURN, slots - from);
      const { bytesRead } = await handle.read(bytes, 0, count * rowBytes, from * rowBytes);
      if (bytesRead !== count * rowBytes) throw new GatehouseError('snapshot_corrupt', `${path} is cut off`);
      for (let i = 0; i < count; i++) {
        for (let at = 0; at < row.length; at++) row[at] = bytes.readFloatLE(i * rowBytes + at * Float32Array.BYTES_PER_ELEMENT);
        slab.putHole(row);
      }
    }
    return slab;
  } finally {
    await handle.close();
  }
}

/** What a search by a stored row finds must be at least as near as the row itself, whichever the metric. */
function probe(slab: VectorSlab, graph: Graph): void {
  const probes = Math.min(PROBES, slab.slotCount);
  let passed = 0;
  for (let i = 0; i < probes; i++) {
    const slot = Math.floor((i * slab.slotCount) / probes);
    const row = slab.rowAt(slot);
    const length = slab.normAt(slot);
    const own = slab.similarityAt(slot, row, length);
    const found = graph.nearest(row, length, Math.min(PROBE_FETCH, slab.slotCount), Math.min(PROBE_EF, slab.slotCount));
    if (found.some((label) => slab.similarityAt(label, row, length) >= own)) passed++;
  }
  if (passed < PROBE_SHARE_MIN * probes)
    throw new GatehouseError('compaction_failed', `only ${passed} of ${probes} rows were found in the new graph`);
}

function answer(word: CompactionWord): void {
  process.send?.(word, () => process.exit(0));
}

process.once('disconnect', () => process.exit(1));
process.once('message', (message) => {
  build(message as CompactionOrder).then(
    (file) => answer({ file }),
    (error: unknown) => {
      if (error instanceof GatehouseError) answer({ code: error.code, detail: error.detail });
      else answer({ code: undefined, detail: error instanceof Error ? error.message : String(error) });
    },
  );
});
