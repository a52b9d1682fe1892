import type { EntityKind } from '../../store/contract.ts';
import type { EntityState } from './contract.ts';
import type { HistoryList } from './history.ts';
import type { Rows } from './rows.ts';
import type { KindSchema } from './schema.ts';
import type { Top } from './top.ts';

/** What the engine knows of one entity, in the shape of its kind's schema. A part stays undefined until something happens in it. */
export class State implements EntityState {
  readonly schema: KindSchema;
  readonly levels: (Rows | undefined)[];
  readonly tops: (Top | undefined)[];
  readonly histories: (HistoryList | undefined)[];

  constructor(schema: KindSchema) {
    this.schema = schema;
    this.levels = new Array(schema.levels.length).fill(undefined);
    this.tops = new Array(schema.tops.length).fill(undefined);
    this.histories = new Array(schema.histories.length).fill(undefined);
  }

  get kind(): EntityKind {
    return this.schema.kind;
  }
}
