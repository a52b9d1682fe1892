import { Environment } from '@marcbachmann/cel-js';
import { GatehouseError } from '../../contracts/errors.ts';
import type { Item } from '../../contracts/item.ts';
import { callsOf, refuseMatches } from '../risk/rule-language.ts';

const TEXTS = ['item_id', 'title', 'category', 'brand', 'currency'] as const;

/** What a rule may read of an item. Absent texts are empty and absent numbers NaN, which no comparison holds for; absent stock is always in stock. */
class ItemView {
  readonly item: Item;
  constructor(item: Item) {
    this.item = item;
  }
  get price(): number {
    return this.item.price ?? Number.NaN;
  }
  get stock(): number {
    return this.item.stock ?? Number.POSITIVE_INFINITY;
  }
  get created_ms(): number {
    return this.item.created_ms ?? Number.NaN;
  }
  get attributes(): Readonly<Record<string, unknown>> {
    return this.item.attributes ?? {};
  }
}
for (const field of TEXTS) {
  Object.defineProperty(ItemView.prototype, field, {
    get(this: ItemView): string {
      return this.item[field] ?? '';
    },
  });
}

const FIELDS = { price: 'double', stock: 'double', created_ms: 'double', attributes: 'map<string, dyn>' };
const ENVIRONMENT = new Environment()
  .registerType('Item', { ctor: ItemView, fields: { ...Object.fromEntries(TEXTS.map((field) => [field, 'string'])), ...FIELDS } })
  .registerVariable('item', 'Item');

/**
 * Compiles a CEL expression over `item`, such as `item.price < 20.0 || "gift" in item.attributes`. It is asked when an item changes, never when a
 * recommendation is made. One that fails, by an attribute that the item does not have, is taken for false. Throws `config_invalid`.
 */
export function compileItemRule(when: string): (item: Item) => boolean {
  try {
    const parsed = ENVIRONMENT.parse(when);
    refuseMatches(callsOf(parsed.ast));
    const check = parsed.check();
    if (!check.valid) throw check.error ?? new Error('the expression has type errors');
    if (check.type !== 'bool') throw new Error(`the expression is a ${check.type} instead of a bool`);
    return (item) => {
      try {
        return parsed({ item: new ItemView(item) }) === true;
      } catch {
        // An attribute that this item does not have: whoever wants to let it through says so, by `in`.
        return false;
      }
    };
  } catch (cause) {
    throw new GatehouseError('config_invalid', `the rule ${JSON.stringify(when)}: ${cause instanceof Error ? cause.message : String(cause)}`, {
      cause,
    });
  }
}
