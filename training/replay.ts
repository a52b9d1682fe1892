import type { Fact } from '../contracts/fact.ts';
import { EntityReplay } from '../scoring/entity-replay.ts';
import { Trending } from '../scoring/recommend/trending.ts';

/** The shop as the gateway knew it: entity states, catalogue and live popularity. */
export class Replay extends EntityReplay {
  readonly trending = new Trending();

  override apply(fact: Fact): void {
    super.apply(fact);
    if (fact.kind === 'event') this.trending.add(fact.event);
    else if (fact.kind === 'item_delete') this.trending.delete(fact.item_id);
  }
}
