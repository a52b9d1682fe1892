import { GatehouseError } from '../../contracts/errors.ts';
import type { Audit } from '../audit.ts';
import type { Erasures } from './erasures.ts';
import { type ExportDeps, exportLines } from './export.ts';
import { referenceOf } from './footprint.ts';

/** Exports under way: each reads the whole journal, and an operator asks for one at a time. */
const EXPORTS_MAX = 2;

/** What operators can do with a person's data. */
export interface People extends Pick<Erasures, 'list'> {
  /** Lines of JSON, read as they are asked for. Rejects with `overloaded` and the store's errors when the reading cannot be journalled. */
  export(userId: string, actor: string): Promise<AsyncIterable<string>>;
  erase: Erasures['request'];
}

export function createPeople(options: { readonly exports: ExportDeps; readonly erasures: Erasures; readonly audit: Audit }): People {
  const { exports, erasures, audit } = options;
  let running = 0;

  async function* counted(lines: AsyncIterable<string>): AsyncGenerator<string> {
    if (running >= EXPORTS_MAX) throw new GatehouseError('overloaded', `${EXPORTS_MAX} exports are under way`);
    running++;
    try {
      yield* lines;
    } finally {
      running--;
    }
  }

  return {
    async export(userId, actor) {
      if (running >= EXPORTS_MAX) throw new GatehouseError('overloaded', `${EXPORTS_MAX} exports are under way`);
      await audit.record({ actor, action: 'user.export', detail: { person: referenceOf(userId) } });
      return counted(exportLines(exports, userId));
    },
    erase: (userId, actor) => erasures.request(userId, actor),
    list: () => erasures.list(),
  };
}
