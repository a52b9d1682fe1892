import { NO_HANDLE } from '../../../contracts/handles.ts';
import type { HandleMap } from '../handle-map.ts';
import type { NeighbourTable } from '../retrieval.ts';
import { bestOf, scoreColumn } from './best.ts';
import type { CandidateContext, CandidateSource, SourceRun } from './contract.ts';

/** Starts from the newest acts of the session first; older ones of the user fill up. More seeds add time and little recall. */
const SEEDS_MAX = 12;
/** Each step back in the session counts this much of the one after it. */
const SEED_DECAY = 0.8;
/** The item on the page says more about what the visitor wants now than anything before. */
const CONTEXT_ITEM_WEIGHT = 1.5;
/** Neighbours read per seed. */
const NEIGHBOURS_PER_SEED_MAX = 60;

/**
 * What goes with the items that the visitor touched, by the bundle's item-to-item lists. The columns: the weighted sum over these, and what the item on
 * the page alone says, NaN where there is none: so the ranker tells such a page from the others.
 */
export const itemToItem: CandidateSource = {
  name: 'item_to_item',
  columns: [
    { key: 'item_to_item', without: 0 },
    { key: 'page_item', without: Number.NaN },
  ],
  isServed: (models) => models.neighbours !== undefined,
  start: (context) => context.models.neighbours && run(context, context.models.neighbours),
};

function run(context: CandidateContext, table: NeighbourTable): SourceRun {
  const related = relate(table, context);
  const besidePage = context.item === NO_HANDLE ? undefined : neighboursOf(table, context.item, context);
  return {
    find: (max, found) => bestOf(related, max, context, found),
    score(candidates, [column, page]) {
      for (let c = 0; c < candidates.count; c++) {
        const at = related.positionOf(candidates.handles[c]!);
        column![c] = at < 0 ? 0 : related.scores[at]!;
        if (at >= 0) candidates.seeds[c] = related.links[at]!;
      }
      if (besidePage) scoreColumn(besidePage, candidates, page!);
    },
  };
}

function neighboursOf(table: NeighbourTable, item: number, { map }: CandidateContext): HandleMap {
  const neighbours = map();
  table.each(item, NEIGHBOURS_PER_SEED_MAX, (neighbour, similarity) => neighbours.put(neighbour, similarity));
  return neighbours;
}

/** Similarities to the seeds, weighted and added up; the link is the seed that says most, the peak what it says. */
function relate(table: NeighbourTable, context: CandidateContext): HandleMap {
  const seeds = seedsOf(context);
  const related = context.map();
  for (let s = 0; s < seeds.count; s++) {
    const seed = seeds.handleAt(s);
    const weight = seeds.scores[s]!;
    table.each(seed, NEIGHBOURS_PER_SEED_MAX, (neighbour, similarity) => {
      const push = weight * similarity;
      const at = related.add(neighbour);
      related.scores[at] = related.scores[at]! + push;
      if (related.links[at] !== NO_HANDLE && push <= related.peaks[at]!) return;
      related.peaks[at] = push;
      related.links[at] = seed;
    });
  }
  return related;
}

/** Weights by item. */
function seedsOf({ item, session, interactions, purchases, map }: CandidateContext): HandleMap {
  const seeds = map();
  if (item !== NO_HANDLE) seeds.put(item, CONTEXT_ITEM_WEIGHT);
  let weight = 1;
  for (const { handles, length } of [session, interactions, purchases]) {
    for (let i = 0; i < length && seeds.count < SEEDS_MAX; i++) {
      if (seeds.has(handles[i]!)) continue;
      seeds.put(handles[i]!, weight);
      weight *= SEED_DECAY;
    }
  }
  return seeds;
}
