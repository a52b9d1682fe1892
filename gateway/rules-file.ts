import { readFile } from 'node:fs/promises';
import { GatehouseError } from '../contracts/errors.ts';
import { DEFAULT_RULES, type Rule, RuleBook } from '../scoring/risk/rules.ts';

/** The rules in force, and where they come from. A reload that fails leaves them as they were. */
export interface LiveRules {
  readonly book: () => RuleBook;
  list(): readonly Rule[];
  reload(): Promise<void>;
}

/** Reads the rules file, or takes the shipped rules where none is named. Throws `rule_invalid` or `input_unreadable`. */
export async function openRules(path: string | undefined, featureNames: readonly string[]): Promise<LiveRules> {
  const load = async (): Promise<RuleBook> => {
    if (path === undefined) return new RuleBook(DEFAULT_RULES, featureNames);
    let text: string;
    try {
      text = await readFile(path, 'utf8');
    } catch (cause) {
      throw new GatehouseError('input_unreadable', `the rules file ${path} cannot be read`, { cause });
    }
    return RuleBook.parse(text, featureNames);
  };
  let book = await load();
  return {
    book: () => book,
    list: () => book.rules,
    async reload() {
      book = await load();
    },
  };
}
