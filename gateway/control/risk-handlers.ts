import type { Context } from 'hono';
import { GatehouseError } from '../../contracts/errors.ts';
import { LIST_UPLOAD_BYTES_MAX, type ListsResponse } from '../../contracts/lists.ts';
import { ROUTES } from '../../contracts/routes.ts';
import { parseUpload, UPLOAD_FORMATS, type UploadFormat } from '../rules/list-upload.ts';
import type { ControlDeps } from './deps.ts';
import type { ControlEnv } from './handlers.ts';
import { checker, jsonBody, queryOf, textBody } from './input.ts';

const createRule = checker(ROUTES.rule_create.request);
const ruleId = checker(ROUTES.rule_state.parameters.id);
const ruleVersion = checker(ROUTES.rule_state.parameters.version);
const ruleState = checker(ROUTES.rule_state.request);
const backtestRequest = checker(ROUTES.backtest_start.request);
const backtestId = checker(ROUTES.backtest.parameters.id);
const createList = checker(ROUTES.list_create.request);
const listName = checker(ROUTES.list_add.parameters.name);
const entriesQuery = checker(ROUTES.list_entries.query);
const addEntries = checker(ROUTES.list_add.request);
const uploadQuery = checker(ROUTES.list_upload.query);
const removeEntries = checker(ROUTES.list_remove.request);

/** Handlers of rules, lists and backtests. What changes something is journalled where it is changed, with the documents in the same step. */
export function riskHandlers({ desk: { rules, lists, backtests } }: Pick<ControlDeps, 'desk'>) {
  const usedBy = (name: string): string[] => [...rules.book().listsOf].filter(([, asked]) => asked.includes(name)).map(([rule]) => rule);
  const allLists = (): ListsResponse => ({ lists: lists.list(usedBy) });
  const ruleOf = (c: Context<ControlEnv>) => [ruleId(c.req.param('id')), ruleVersion(Number(c.req.param('version'))), c.get('actor')] as const;
  const nameOf = (c: Context<ControlEnv>): string => listName(c.req.param('name'));

  return {
    rules: (c: Context<ControlEnv>) => c.json(rules.list()),
    rule_create: async (c: Context<ControlEnv>) => c.json(await rules.create(createRule(await jsonBody(c.req.raw)), c.get('actor')), 201),
    rule_state: async (c: Context<ControlEnv>) => {
      const [id, version, actor] = ruleOf(c);
      return c.json(await rules.move(id, version, ruleState(await jsonBody(c.req.raw)).state, actor));
    },
    rule_approve: async (c: Context<ControlEnv>) => c.json(await rules.approve(...ruleOf(c))),
    rule_reset: async (c: Context<ControlEnv>) => c.json(await rules.reset(...ruleOf(c))),
    backtests: (c: Context<ControlEnv>) => c.json({ backtests: backtests.list() }),
    backtest_start: async (c: Context<ControlEnv>) => c.json(backtests.start(backtestRequest(await jsonBody(c.req.raw)), c.get('actor')), 202),
    backtest: (c: Context<ControlEnv>) => c.json(backtests.get(backtestId(c.req.param('id')))),
    backtest_cancel: async (c: Context<ControlEnv>) => c.json(await backtests.cancel(backtestId(c.req.param('id')))),
    lists: (c: Context<ControlEnv>) => c.json(allLists()),
    list_create: async (c: Context<ControlEnv>) => {
      await lists.create(createList(await jsonBody(c.req.raw)), c.get('actor'));
      return c.json(allLists(), 201);
    },
    list_delete: async (c: Context<ControlEnv>) => {
      await lists.delete(nameOf(c), c.get('actor'), usedBy);
      return c.json(allLists());
    },
    list_entries: (c: Context<ControlEnv>) => {
      const { prefix, limit } = entriesQuery(queryOf(c.req.queries(), ['prefix']));
      return c.json(lists.entries(nameOf(c), prefix, limit));
    },
    list_add: async (c: Context<ControlEnv>) => {
      const { entries } = addEntries(await jsonBody(c.req.raw));
      return c.json(await lists.add(nameOf(c), entries, c.get('actor'), (i) => `/entries/${i}/value`));
    },
    list_upload: async (c: Context<ControlEnv>) => {
      const { reason } = uploadQuery(queryOf(c.req.queries(), ['reason']));
      const format = (c.req.header('content-type') ?? '').split(';', 1)[0]!.trim().toLowerCase();
      if (!Object.hasOwn(UPLOAD_FORMATS, format))
        throw new GatehouseError('unsupported_media_type', `an upload is ${Object.keys(UPLOAD_FORMATS).join(' or ')}`);
      const { entries, lines } = parseUpload(await textBody(c.req.raw, LIST_UPLOAD_BYTES_MAX), format as UploadFormat, reason);
      return c.json(await lists.add(nameOf(c), entries, c.get('actor'), (i) => `/line/${lines[i]}`));
    },
    list_remove: async (c: Context<ControlEnv>) => {
      const { values, reason } = removeEntries(await jsonBody(c.req.raw));
      return c.json(await lists.remove(nameOf(c), values, reason, c.get('actor')));
    },
  };
}
