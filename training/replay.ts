import type { Fact } from '../contracts/fact.ts';
import { Handles } from '../contracts/handles.ts';
import { EntityReplay } from '../scoring/entity-replay.ts';
import type { FeatureEngine } from '../scoring/features/contract.ts';
import { Catalogue } from '../scoring/recommend/catalogue.ts';
import type { ItemFoldIn } from '../scoring/recommend/item-fold-in.ts';
import { ItemNumbersTable } from '../scoring/recommend/item-numbers.ts';
import { RANK_SET } from '../scoring/recommend/pipeline.ts';
import { Trending } from '../scoring/recommend/trending.ts';

/** The shop as the gateway knew it: entity states, catalogue, live popularity, and the numbers of items that ranking reads. */
export class Replay extends EntityReplay {
  readonly trending: Trending;
  readonly itemNumbers: ItemNumbersTable;

  /** `handles`: those of the models that are asked about this shop. */
  constructor(engine: FeatureEngine, handles = new Handles()) {
    super(engine, new Catalogue(handles));
    this.trending = new Trending(handles);
    this.itemNumbers = new ItemNumbersTable(engine, RANK_SET, handles);
  }

  /** Tells what places new items of a fact that was just applied; a promise where there is something to learn, as there seldom is. */
  foldIn(foldIn: ItemFoldIn, fact: Fact): Promise<void> | undefined {
    const act = fact.kind === 'event' ? foldIn.note(fact.event) : undefined;
    if (act === undefined || fact.kind !== 'event') return undefined;
    const { user_id, session_id } = fact.event;
    return foldIn.learn(act, this.engine, this.state('user', user_id), this.state('session', session_id));
  }

  override apply(fact: Fact): void {
    super.apply(fact);
    if (fact.kind === 'event') {
      this.trending.add(fact.event);
      this.itemNumbers.touched(fact.event);
    } else if (fact.kind === 'item_delete') this.trending.delete(fact.item_id);
  }
}
