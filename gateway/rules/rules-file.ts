import type { Rule, RuleVersion } from '../../contracts/rules.ts';

export const FILE_AUTHOR = 'rules-file';
/** Whose rules the file replaces: its own, and those that ship. What analysts wrote through the control plane is theirs. */
const REPLACED: ReadonlySet<string> = new Set([FILE_AUTHOR, 'gatehouse']);

/**
 * What has to change for the file to hold. A rule whose text changed becomes a new version, also where the file's author forgot to raise the
 * number: a version that decisions cite never changes. A rule that is not in the file any more is retired. Whoever may write the file may do so
 * without a second person: it is reviewed where it is kept.
 */
export function changesOfFile(
  file: readonly Rule[],
  stored: readonly RuleVersion[],
  fresh: (rule: Rule, author: string) => RuleVersion,
): RuleVersion[] {
  const changes: RuleVersion[] = [];
  const kept = new Set<RuleVersion>();
  for (const rule of file) {
    const versions = stored.filter(({ id }) => id === rule.id).sort((a, b) => b.version - a.version);
    const own = versions.find(({ author }) => author === FILE_AUTHOR);
    if (own && sameText(own, rule)) {
      kept.add(own);
      if (own.state !== rule.state) {
        const { tripped: _, ...rest } = own;
        changes.push({ ...rest, state: rule.state, changed_by: FILE_AUTHOR, changed_ms: fresh(rule, FILE_AUTHOR).changed_ms });
      }
    } else changes.push(fresh({ ...rule, version: Math.max(rule.version, (versions[0]?.version ?? 0) + 1) }, FILE_AUTHOR));
  }
  const named = new Set(file.map(({ id }) => id));
  for (const old of stored) {
    if (kept.has(old) || old.state === 'retired' || old.state === 'draft') continue;
    if (!REPLACED.has(old.author) && !(named.has(old.id) && old.state === 'live')) continue;
    const { tripped: _, ...rest } = old;
    changes.push({ ...rest, state: 'retired', changed_by: FILE_AUTHOR, changed_ms: fresh(old, FILE_AUTHOR).changed_ms });
  }
  return changes;
}

function sameText(a: Rule, b: Rule): boolean {
  return a.when === b.when && a.action === b.action && a.description === b.description && (a.overridable ?? true) === (b.overridable ?? true);
}
