// Takes numbered updates into the index of the folder at argv[2], each noted in `journal` beside it first, and says when a compaction begins and ends.
// Before that it opens what an earlier life left and puts the journal's vectors over it. With argv[3] = `check` it then prints what the index holds
// and finds, as one line of JSON, and ends.
import { appendFileSync, existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { openLiveIndex } from '../../dist/index/live.js';

const [, , path, mode] = process.argv;
const DIMENSIONS = 4;
const IDS = 400;
const COMPACT_SLOTS = 300;
const journal = join(path, 'journal');
const say = (line) => process.stdout.write(`${line}\n`);

const idOf = (n) => `i${(n * 7_919) % IDS}`;
const vectorOf = (n) => Float32Array.from({ length: DIMENSIONS }, (_, i) => Math.sin(n * (i + 1)));
const isRemoval = (n) => n % 5 === 0;

const noted = existsSync(journal) ? readFileSync(journal, 'utf8').split('\n').slice(0, -1).map(Number) : [];
const live = new Map();
for (const n of noted) {
  if (isRemoval(n)) live.delete(idOf(n));
  else live.set(idOf(n), vectorOf(n));
}

let compactions = 0;
const index = await openLiveIndex({
  dir: join(path, 'live'),
  dimensions: DIMENSIONS,
  metric: 'l2',
  compactSlots: COMPACT_SLOTS,
  now: () => 0,
  onCompacted: () => compactions++,
  onError: (error) => {
    throw error;
  },
});
// Holes count too: on a slow disk every vector may be replaced while its slot is being written.
const slotsInFiles = index.stats().vectors + index.stats().tombstones;
for (const id of [...index.ids()]) if (!live.has(id)) index.remove(id);
for (const [id, vector] of live) index.upsert(id, vector);

if (mode === 'check') {
  const queries = [1.5, 2.5, 3.5].map(vectorOf);
  say(
    JSON.stringify({
      slotsInFiles,
      ids: [...index.ids()].sort(),
      found: queries.map((query) => index.search(query, IDS)),
      queries: queries.map((query) => [...query]),
      live: [...live].map(([id, vector]) => [id, [...vector]]),
    }),
  );
  await index.close();
} else {
  say('open');
  let isCompacting = false;
  let told = 0;
  for (let n = noted.length; ; n++) {
    // Only whole lines count, so a kill between the two is an update that was never acknowledged.
    appendFileSync(journal, `${n}\n`);
    if (isRemoval(n)) index.remove(idOf(n));
    else index.upsert(idOf(n), vectorOf(n));
    if (index.stats().isCompacting && !isCompacting) say('compacting');
    isCompacting = index.stats().isCompacting;
    if (compactions > told) {
      told = compactions;
      say('compacted');
    }
    if (n % 10 === 0) await new Promise((resolve) => setImmediate(resolve));
  }
}
