import { describe, expect, test } from 'vitest';
import type { Rule, RuleVersion } from '../../contracts/rules.ts';
import { changesOfFile, FILE_AUTHOR } from './rules-file.ts';

const NOW = 99;
const rule = (id: string, change: Partial<Rule> = {}): Rule => ({
  id,
  version: 1,
  description: id,
  when: 'true',
  action: 'review',
  state: 'live',
  ...change,
});
const stored = (id: string, change: Partial<RuleVersion> = {}): RuleVersion => ({
  ...rule(id),
  overridable: true,
  author: FILE_AUTHOR,
  created_ms: 1,
  changed_by: FILE_AUTHOR,
  changed_ms: 1,
  ...change,
});
const fresh = (written: Rule, author: string): RuleVersion => ({
  ...stored(written.id, { created_ms: NOW, changed_ms: NOW, author }),
  ...written,
  overridable: written.overridable ?? true,
});
const changes = (file: readonly Rule[], versions: readonly RuleVersion[]) =>
  changesOfFile(file, versions, fresh).map(({ id, version, state, author }) => `${id}@${version} ${state} ${author}`);

describe('what has to change for the file to hold', () => {
  test('nothing, when it holds', () => {
    expect(changes([rule('a', { overridable: true }), rule('b', { state: 'shadow' })], [stored('a'), stored('b', { state: 'shadow' })])).toEqual([]);
  });

  test('a new rule keeps the version of the file', () => {
    expect(changes([rule('a', { version: 7 })], [])).toEqual(['a@7 live rules-file']);
  });

  test.each<[string, Partial<Rule>]>([
    ['condition', { when: 'false' }],
    ['action', { action: 'decline' }],
    ['description', { description: 'other' }],
    ['overridable', { overridable: false }],
  ])('another %s is a new version, also where the number was not raised; the old one is retired', (_, change) => {
    expect(changes([rule('a', change)], [stored('a')])).toEqual(['a@2 live rules-file', 'a@1 retired rules-file']);
    expect(changes([rule('a', { ...change, version: 5 })], [stored('a')])).toEqual(['a@5 live rules-file', 'a@1 retired rules-file']);
  });

  test('another state is a step of the same version', () => {
    expect(changes([rule('a', { state: 'shadow' })], [stored('a')])).toEqual(['a@1 shadow rules-file']);
    expect(changes([rule('a')], [stored('a', { state: 'retired' })])).toEqual(['a@1 live rules-file']);
  });

  test('what is not in the file is retired, if it was its own or shipped; what analysts wrote is theirs', () => {
    const versions = [
      stored('own'),
      stored('shipped', { author: 'gatehouse' }),
      stored('theirs', { author: 'anna' }),
      stored('idea', { author: 'anna', state: 'draft' }),
    ];
    expect(changes([], versions)).toEqual(['own@1 retired rules-file', 'shipped@1 retired gatehouse']);
  });

  test("a draft that an analyst made of a file's rule is left alone, and does not make the file's own text new", () => {
    expect(changes([rule('a')], [stored('a'), stored('a', { version: 2, author: 'anna', state: 'draft', when: 'false' })])).toEqual([]);
  });

  test("the file takes the place of an analyst's live version of the same rule", () => {
    expect(changes([rule('a', { when: 'false' })], [stored('a', { author: 'anna' })])).toEqual(['a@2 live rules-file', 'a@1 retired anna']);
  });
});
