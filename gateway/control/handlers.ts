import type { Context } from 'hono';
import type { AlertsResponse, BundlesResponse, Challenger } from '../../contracts/control.ts';
import { GatehouseError } from '../../contracts/errors.ts';
import type { ItemsPage } from '../../contracts/item.ts';
import { openApi } from '../../contracts/openapi.ts';
import { CHANNELS } from '../../contracts/push.ts';
import { ROUTES, type RouteName } from '../../contracts/routes.ts';
import type { Challenge } from '../../scoring/models/manager.ts';
import { referenceOf } from '../privacy/footprint.ts';
import type { ControlDeps } from './deps.ts';
import { docsPage } from './docs-page.ts';
import { streamUrlFor } from './guards.ts';
import { checker, jsonBody, queryOf } from './input.ts';
import { merchandisingHandlers } from './merchandising-handlers.ts';
import { privacyHandlers } from './privacy-handlers.ts';
import { riskHandlers } from './risk-handlers.ts';

export interface ControlEnv {
  Variables: {
    /** Who sent the request; set on admin routes. */
    actor: string;
    requestId: string;
    /** The host that the request was sent to, checked. */
    host: string;
  };
}
type Handler = (c: Context<ControlEnv>) => Response | Promise<Response>;
type ControlRoute = { [N in RouteName]: (typeof ROUTES)[N]['plane'] extends 'control' ? N : never }[RouteName];

const ALERTS_PAGE_DEFAULT = 100;
const ITEMS_PAGE_DEFAULT = 100;
/** The dashboard fetches a new token when it reconnects, so a stolen one is soon worthless. */
const DASHBOARD_TOKEN_TTL_S = 900;

const itemsQuery = checker(ROUTES.items_list.query);
const alertsQuery = checker(ROUTES.alerts.query);
const activateParameters = checker(ROUTES.bundle_activate.parameters.version);
const revokeParameters = checker(ROUTES.key_revoke.parameters.id);
const challengerRequest = checker(ROUTES.challenger_set.request);
const createKeyRequest = checker(ROUTES.key_create.request);
const restrictionsQuery = checker(ROUTES.restrictions.query);
const restrictionParameter = checker(ROUTES.restriction_lift.parameters.id);
const imposeRequest = checker(ROUTES.restriction_impose.request);
const liftRequest = checker(ROUTES.restriction_lift.request);
const reviewsQuery = checker(ROUTES.reviews.query);
const caseParameter = checker(ROUTES.review.parameters.id);
const assignRequest = checker(ROUTES.review_assign.request);
const noteRequest = checker(ROUTES.review_note.request);
const createExperimentRequest = checker(ROUTES.experiment_create.request);
const experimentParameter = checker(ROUTES.experiment_start.parameters.id);
const stopExperimentRequest = checker(ROUTES.experiment_stop.request);
const verdictRequest = checker(ROUTES.review_decide.request);

function challengerOf({ version, share }: Challenge): Challenger {
  return { version, percent: share * 100 };
}

/** Whom these are about, under a hash of the id: who looked at whom stays known when the person was erased, and names nobody. */
function personsOf(entries: readonly { readonly user_id?: string | undefined }[]): string[] {
  return [...new Set(entries.flatMap(({ user_id }) => (user_id === undefined ? [] : [referenceOf(user_id)])))];
}

/** A handler for each control route of the table; a route without one does not compile. */
export function controlHandlers(deps: ControlDeps): Readonly<Record<ControlRoute, Handler>> {
  const { audit, bundles, desk, keyring, metrics, store } = deps;
  const description = openApi(deps.version);
  const docs = docsPage(description);

  /**
   * Journal the wish before the work, so that nothing is changed that cannot be accounted for, and the outcome after it. Should the second
   * write fail, the change stands and the log says so.
   */
  async function audited<T>(actor: string, action: string, detail: Record<string, unknown>, work: () => Promise<T>): Promise<T> {
    await audit.record({ actor, action, detail });
    const outcome = async (suffix: string, more: Record<string, unknown>): Promise<void> => {
      try {
        await audit.record({ actor, action: `${action}.${suffix}`, detail: { ...detail, ...more } });
      } catch (error) {
        deps.log.error({ err: error, actor, action, outcome: suffix }, 'the outcome of an admin change could not be journalled');
      }
    };
    let result: T;
    try {
      result = await work();
    } catch (error) {
      await outcome('failed', { code: error instanceof GatehouseError ? error.code : 'internal' });
      throw error;
    }
    await outcome('done', {});
    return result;
  }

  /** Who looked at which payments; nothing is shown that could not be journalled. An empty answer shows nobody. */
  const shown = async (c: Context<ControlEnv>, action: string, detail: Record<string, unknown>): Promise<void> =>
    audit.record({ actor: c.get('actor'), action, detail });

  async function changeBundle(
    c: Context<ControlEnv>,
    action: string,
    outcome: string,
    work: () => Promise<{ readonly version: string }>,
    version?: string,
  ) {
    const detail = { ...(version === undefined ? {} : { version }), from: bundles.current?.version ?? null };
    try {
      const { version: current } = await audited(c.get('actor'), action, detail, work);
      metrics.counter('bundleChanges', outcome).inc();
      return c.json({ current });
    } catch (error) {
      metrics.counter('bundleChanges', 'refused').inc();
      throw error;
    }
  }

  const listBundles = async (): Promise<BundlesResponse> => {
    const entries = await bundles.list();
    return {
      current: bundles.current?.version ?? null,
      challenger: bundles.challenge ? challengerOf(bundles.challenge) : null,
      bundles: entries.map(({ version, previous, manifest, problem }) => ({
        version,
        // What serves is what counts: an active bundle that could not be loaded serves nobody.
        state: version === bundles.current?.version ? 'current' : previous ? 'previous' : 'available',
        ...(manifest
          ? { created_ms: manifest.created_ms, bytes: manifest.files.reduce((total, file) => total + file.bytes, 0), metrics: manifest.metrics }
          : {}),
        ...(problem === undefined ? {} : { problem }),
      })),
    };
  };

  return {
    health: (c) => c.json({ status: 'ok', version: deps.version }),
    ready: async (c) => {
      const reasons = [...(await deps.readiness())];
      return c.json({ ready: reasons.length === 0, reasons, warnings: [...deps.warnings()] }, reasons.length === 0 ? 200 : 503);
    },
    metrics: async (c) => c.body(await metrics.render(), 200, { 'content-type': metrics.contentType }),
    openapi: (c) => c.json(description),
    docs: (c) => c.html(docs),
    dashboard: (c) => {
      const page = deps.assets.get('/');
      if (page === undefined) throw new GatehouseError('not_found', 'the dashboard is not part of this installation');
      return c.html(page.body);
    },
    bundles: async (c) => c.json(await listBundles()),
    bundle_activate: (c) => {
      const version = activateParameters(c.req.param('version'));
      return changeBundle(c, 'bundle.activate', 'activated', () => bundles.activate(version), version);
    },
    challenger_set: async (c) => {
      const { version, percent } = challengerRequest(await jsonBody(c.req.raw));
      const detail = { version, percent };
      const challenge = await audited(c.get('actor'), 'challenger.set', detail, () => bundles.challengeBy({ version, share: percent / 100 }));
      return c.json(challengerOf(challenge));
    },
    challenger_end: async (c) => {
      await audited(c.get('actor'), 'challenger.end', { version: bundles.challenge?.version ?? null }, () => bundles.endChallenge());
      return c.json(await listBundles());
    },
    bundle_rollback: (c) => changeBundle(c, 'bundle.rollback', 'rolled_back', () => bundles.rollback()),
    ...riskHandlers(deps),
    ...privacyHandlers(deps),
    ...merchandisingHandlers(deps),
    rules_reload: async (c) => {
      await audited(c.get('actor'), 'rules.reload', {}, () => desk.rules.reloadFile());
      return c.json(desk.rules.list());
    },
    alerts: async (c) => {
      const { after = 0, limit = ALERTS_PAGE_DEFAULT } = alertsQuery(queryOf(c.req.queries()));
      const { offset, epoch, first } = await store.alertsPosition();
      const alerts = await store.alerts(after, limit);
      if (alerts.length > 0) await shown(c, 'alert.list', { from: alerts[0]!.offset, to: alerts.at(-1)!.offset });
      const answer: AlertsResponse = {
        position: { offset, epoch },
        first,
        alerts: alerts.map((record) => ({ offset: record.offset, alert: record.alert })),
      };
      return c.json(answer);
    },
    items_list: (c) => {
      const { after, limit = ITEMS_PAGE_DEFAULT } = itemsQuery(queryOf(c.req.queries(), ['after']));
      const items = deps.catalogue.page(after, limit);
      if (items === undefined) throw new GatehouseError('item_not_found', `this process has never heard of ${after}`);
      const answer: ItemsPage = { total: deps.catalogue.size, items, next: items.length < limit ? null : items.at(-1)!.item_id };
      return c.json(answer);
    },
    restrictions: async (c) => {
      const answer = deps.restrictions.list(restrictionsQuery(queryOf(c.req.queries())));
      if (answer.restrictions.length > 0)
        await shown(c, 'restriction.list', {
          shown: answer.restrictions.length,
          persons: personsOf(answer.restrictions.map(({ entity: { kind, id } }) => ({ user_id: kind === 'user' ? id : undefined }))),
        });
      return c.json(answer);
    },
    restriction_impose: async (c) => c.json(await deps.restrictions.imposeByHand(imposeRequest(await jsonBody(c.req.raw)), c.get('actor')), 201),
    restriction_lift: async (c) => {
      const { reason } = liftRequest(await jsonBody(c.req.raw));
      await deps.restrictions.lift(restrictionParameter(c.req.param('id')), reason, c.get('actor'));
      return c.json(deps.restrictions.list({}));
    },
    reviews: async (c) => {
      const answer = deps.reviews.list(reviewsQuery(queryOf(c.req.queries())));
      if (answer.cases.length > 0) await shown(c, 'case.list', { shown: answer.cases.length, persons: personsOf(answer.cases) });
      return c.json(answer);
    },
    reviews_precision: (c) => c.json(deps.reviews.precision()),
    review: async (c) => {
      const one = deps.reviews.get(caseParameter(c.req.param('id')));
      await shown(c, 'case.read', { persons: personsOf([one]) });
      return c.json(one);
    },
    review_assign: async (c) => {
      const { assignee } = assignRequest(await jsonBody(c.req.raw));
      return c.json(await deps.reviews.assign(caseParameter(c.req.param('id')), assignee, c.get('actor')));
    },
    review_note: async (c) => {
      const { text } = noteRequest(await jsonBody(c.req.raw));
      return c.json(await deps.reviews.note(caseParameter(c.req.param('id')), text, c.get('actor')));
    },
    review_decide: async (c) => {
      const request = verdictRequest(await jsonBody(c.req.raw));
      return c.json(await deps.reviews.decide(caseParameter(c.req.param('id')), request, c.get('actor')));
    },
    experiments: (c) => c.json(deps.experiments.list()),
    experiment_create: async (c) => c.json(await deps.experiments.create(createExperimentRequest(await jsonBody(c.req.raw)), c.get('actor')), 201),
    experiment_start: async (c) => c.json(await deps.experiments.start(experimentParameter(c.req.param('id')), c.get('actor'))),
    experiment_stop: async (c) => {
      const { reason } = stopExperimentRequest(await jsonBody(c.req.raw));
      return c.json(await deps.experiments.stop(experimentParameter(c.req.param('id')), reason, c.get('actor')));
    },
    experiment_result: async (c) => c.json(await deps.experiments.result(experimentParameter(c.req.param('id')))),
    traffic: (c) => c.json(deps.traffic.snapshot()),
    control_stream_token: async (c) => {
      // Whoever has it sees every alert as it is raised.
      await shown(c, 'alert.stream', { for_s: DASHBOARD_TOKEN_TTL_S });
      const { token, expires_ms } = await deps.streamTokens.issue(CHANNELS, DASHBOARD_TOKEN_TTL_S);
      return c.json({ token, expires_ms, url: streamUrlFor(c.get('host'), deps.config.streamUrl, deps.dataPort()) });
    },
    keys: (c) => c.json({ keys: keyring.list() }),
    key_create: async (c) => c.json(await keyring.create(createKeyRequest(await jsonBody(c.req.raw)), c.get('actor')), 201),
    key_revoke: async (c) => {
      await keyring.revoke(revokeParameters(c.req.param('id')), c.get('actor'));
      return c.json({ keys: keyring.list() });
    },
  };
}
