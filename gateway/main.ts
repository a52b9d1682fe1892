import { randomUUID } from 'node:crypto';
import { fileURLToPath } from 'node:url';
import { pino } from 'pino';
import { GatehouseError } from '../contracts/errors.ts';
import type { TimedEvent } from '../contracts/event.ts';
import { examinedOf } from '../contracts/examined.ts';
import type { Item } from '../contracts/item.ts';
import { indexReaders } from '../index/readers.ts';
import type { EntityState } from '../scoring/features/contract.ts';
import { loadBundle } from '../scoring/models/bundle.ts';
import { BundleManager } from '../scoring/models/manager.ts';
import { Catalogue } from '../scoring/recommend/catalogue.ts';
import { UNTRAINED_CONTENT } from '../scoring/recommend/content-vector.ts';
import { ClickCounts } from '../scoring/recommend/explore/click-counts.ts';
import { ItemNumbersTable } from '../scoring/recommend/item-numbers.ts';
import { RANK_SET } from '../scoring/recommend/pipeline.ts';
import { Trending } from '../scoring/recommend/trending.ts';
import { VisitorCountries } from '../scoring/recommend/visitor-countries.ts';
import { FRAUD_SET } from '../scoring/risk/pipeline.ts';
import type { Store } from '../store/contract.ts';
import { createAudit } from './audit.ts';
import { corsHeaders } from './auth/cors.ts';
import { createKeyring } from './auth/keyring.ts';
import { createStreamTokens } from './auth/stream-tokens.ts';
import type { Config } from './config.ts';
import { openContentIndexes } from './content.ts';
import { createControlApp } from './control/app.ts';
import { loadAssets } from './control/assets.ts';
import { startControl } from './control/server.ts';
import { Traffic } from './control/traffic.ts';
import { createEventsHandler } from './data/events.ts';
import { ITEMS_COLLECTION } from './data/items.ts';
import type { DataDeps } from './data/plane.ts';
import { createRecommendations } from './data/recommend.ts';
import { createDataRoutes } from './data/routes.ts';
import { openEditorial } from './editorial.ts';
import { FOLLOW_EVERY_MS, openExperiments } from './experiments/desk.ts';
import { openFeatureChange } from './feature-change.ts';
import { openFeatures } from './features-file.ts';
import { openItemIndexes } from './item-indexes.ts';
import { Metrics } from './metrics.ts';
import { pushObserver, requestObserver } from './observers.ts';
import { createAdmission } from './overload/admission.ts';
import { createQueueDelay } from './overload/queue-delay.ts';
import { openPlacements } from './placements.ts';
import { openErasures } from './privacy/erasures.ts';
import { createPeople } from './privacy/people.ts';
import { probeInChild } from './probe.ts';
import { createPushHub } from './push/hub.ts';
import { bundlesDir, makeDataDir, openStore, ownDir, readPlacements, readRates } from './resources.ts';
import { openRestrictions } from './restrictions.ts';
import { openReviewDesk } from './review/desk.ts';
import { openRiskDesk } from './rules/risk-desk.ts';
import { createServer } from './transport/server.ts';
import { VERSION } from './version.ts';
import { createWatch, WATCH_EVERY_MS } from './watch.ts';

/** Journal records read at start to warm up what is popular now, and what was clicked on: enough for a day of a busy shop, read in well under a second. */
const WARM_UP_RECORDS_MAX = 50_000;
const JOURNAL_PAGE = 5_000;
/** The store trims a bounded slice each time, so it is asked often. */
const RETAIN_EVERY_MS = 5_000;
const STREAMS_PER_IP_MAX = 1_000;
const HEADER_LINES_MAX = 64;

export interface Gateway {
  readonly dataPort: number;
  readonly controlPort: number;
  readonly store: Store<EntityState>;
  readonly bundles: BundleManager;
  /** Stop taking requests, finish what is in work, close streams with a code that asks to reconnect, flush, release. */
  drain(): Promise<void>;
}

/** The composition root: opens everything in order, or closes what it opened and throws. `now` in ms since 1970: a simulation brings its own. */
export async function startGateway(config: Config, now: () => number = Date.now): Promise<Gateway> {
  const log = pino({ level: config.logLevel });
  const undo: (() => Promise<void> | void)[] = [];
  try {
    makeDataDir(config);
    const engine = await openFeatures(config.featuresFile);
    const catalogue = new Catalogue();
    const trending = new Trending(catalogue.handles);
    const itemNumbers = new ItemNumbersTable(engine, RANK_SET, catalogue.handles);
    const store = await openStore(config, engine, catalogue);
    undo.push(() => store.close());
    for await (const { value } of store.docs(ITEMS_COLLECTION)) catalogue.put(value as Item);
    const clicks = new ClickCounts([]);
    const countries = new VisitorCountries(randomUUID());
    const learnFrom = (event: TimedEvent): void => {
      trending.add(event);
      clicks.add(event);
      countries.add(event);
    };
    const metrics = new Metrics();
    undo.push(() => metrics.close());
    const audit = createAudit({ store, log, metrics, now });
    const placements = await openPlacements({
      base: [...(await readPlacements(config.placementsFile)).values()],
      store,
      audit,
      now,
      requireFits: (id, placement) => experiments.requireFits(id, placement),
      onChange: (all) => {
        clicks.follow(all.map(({ id }) => id));
        const rules = all.flatMap(({ when }) => when ?? []);
        catalogue.keepRules(new Set(rules));
        for (const rule of rules) catalogue.rule(rule);
      },
      onError: (err) => log.error({ err }, 'a placement could not be read'),
    });
    undo.push(() => placements.close());
    await warmUp(store, learnFrom);
    const items = await openItemIndexes({
      dir: ownDir(config, 'items'),
      catalogue,
      engine,
      store,
      now,
      onRefused: (reason) => metrics.counter('itemRefused', reason).inc(),
      onError: (err) => log.error({ err }, 'the index of items has a problem, and goes on with what it has'),
    });
    undo.push(() => items.close());
    undo.push(
      store.onForeignFact(({ fact }) => {
        if (fact.kind === 'event') {
          learnFrom(fact.event);
          itemNumbers.touched(fact.event);
          items.acted(fact.event);
        } else if (fact.kind === 'item_put') catalogue.put(fact.item);
        else if (fact.kind === 'item_delete') {
          catalogue.delete(fact.item_id);
          trending.delete(fact.item_id);
        }
      }),
    );

    const filling = await openFeatureChange({ store, declarations: engine.declarations, log, metrics, now });
    const keyring = await createKeyring({
      store,
      audit,
      now,
      adminToken: config.adminToken,
      adminTokens: config.adminTokens,
      secretKeys: config.secretKeys,
      publishableKeys: config.publishableKeys,
      allowedOrigins: config.allowedOrigins,
      onReloadError: (err) => log.error({ err }, 'the API keys could not be read again'),
    });
    undo.push(() => keyring.close());
    const streamTokens = await createStreamTokens({ store, now });
    const restrictions = await openRestrictions({ store, audit, now, onError: (err) => log.error({ err }, 'restrictions and the store differ') });
    undo.push(() => restrictions.close());
    const desk = await openRiskDesk({ config, store, audit, log, metrics, featureNames: engine.names(FRAUD_SET), now });
    undo.push(() => desk.close());
    const rates = await readRates(config);

    const content = openContentIndexes({
      dir: ownDir(config, 'content'),
      catalogue,
      itemsMax: config.contentItemsMax,
      now,
      onRefused: (reason) => metrics.counter('contentRefused', reason).inc(),
      onError: (err) => log.error({ err }, 'the index of content has a problem, and goes on with what it has'),
    });
    undo.push(() => content.close());
    const bundles = new BundleManager({
      dir: bundlesDir(config),
      load: (dir, role) =>
        loadBundle(dir, {
          engine,
          ...indexReaders,
          handles: catalogue.handles,
          ...(role === 'serving' && { openItems: items.open }),
          ...(role === 'serving' && config.contentItemsMax > 0 && { openContent: content.open }),
        }),
      probe: (dir) => probeInChild(dir, { featuresFile: config.featuresFile }),
      onSwap: ({ version, metrics: measured }) => {
        clicks.weigh(examinedOf(measured));
        metrics.clearGauge('bundleInfo');
        metrics.gauge('bundleInfo', version).set(1);
        log.info({ bundle: version }, 'bundle is serving');
      },
      onReleaseError: (err) => log.error({ err }, 'a bundle could not be released'),
    });
    const bundleProblem = await bundles.start();
    undo.push(() => bundles.close());
    if (bundleProblem) log.error({ err: bundleProblem }, 'the active bundle cannot be loaded: serving without models');
    // A shop gets its first bundle once: what this holds until the next start is the index of a young catalogue.
    const untrained = bundles.current === undefined && config.contentItemsMax > 0 ? content.open(UNTRAINED_CONTENT, 'untrained') : undefined;
    if (untrained) undo.push(() => untrained.close());

    const admission = createAdmission({
      inFlightMax: config.inFlightMax,
      queueDelayMaxMs: config.eventLoopDelayMaxMs,
      queueDelayMs: createQueueDelay({ nowMs: () => performance.now(), afterPoll: setImmediate }),
      onShed: (reason) => metrics.counter('shed', reason).inc(),
    });
    const hub = createPushHub({
      authorise: async (token) => {
        try {
          return await streamTokens.verify(token);
        } catch (cause) {
          if (cause instanceof GatehouseError && cause.code === 'unauthenticated') return undefined;
          throw cause;
        }
      },
      log: { position: () => store.alertsPosition(), read: (after, limit) => store.alerts(after, limit) },
      limits: {
        connectionsMax: config.wsConnectionsMax,
        connectionsPerIpMax: STREAMS_PER_IP_MAX,
        outboxBytesMax: config.wsOutboxBytesMax,
        outboxAgeMs: config.wsOutboxAgeMs,
      },
      now,
      hooks: {
        onDelivered: pushObserver(metrics),
        onClosed: (reason) => metrics.counter('pushClosed', reason).inc(),
        onConnections: (count) => metrics.gauge('pushConnections').set(count),
        onError: (err) => log.error({ err }, 'the alerts log could not be read for a stream'),
      },
    });
    undo.push(store.onAlert((record, epoch) => hub.publish(record, epoch)));

    const watch = createWatch({
      store,
      metrics,
      raise: (alert) => store.raise(alert),
      now,
      onError: (err) => log.error({ err }, 'an alert of the watch could not be raised'),
    });
    const experiments = await openExperiments({
      store,
      audit,
      placements,
      raise: (alert) => {
        metrics.counter('alerts', alert.severity).inc();
        return store.raise(alert);
      },
      now,
      onError: (err) => log.error({ err }, 'an experiment could not be read'),
    });
    const following = setInterval(() => {
      experiments.follow().catch((err: unknown) => log.error({ err }, 'experiments could not be counted'));
    }, FOLLOW_EVERY_MS);
    undo.push(() => {
      clearInterval(following);
      return experiments.close();
    });
    const watching = setInterval(() => watch.look(), WATCH_EVERY_MS);
    undo.push(() => {
      clearInterval(watching);
      return watch.close();
    });
    const editorial = await openEditorial({ store, audit, now, onError: (err) => log.error({ err }, 'an editorial list could not be read') });
    undo.push(() => editorial.close());
    const data: DataDeps = {
      config,
      store,
      engine,
      catalogue,
      trending,
      itemNumbers,
      clicks,
      countries,
      items,
      editorial,
      untrained: untrained && { content: untrained },
      bundles,
      desk,
      rates,
      restrictions,
      experiments,
      placements,
      keyring,
      streamTokens,
      admission,
      metrics,
      log,
      now,
      watch,
      onPaymentEvent: (event, answer) => {
        watch.labelled(event, answer, now());
        reviews.happened(event).catch((err: unknown) => log.error({ err }, 'a case could not be told of a later event'));
      },
    };
    const takeEvents = createEventsHandler(data);
    const reviews = await openReviewDesk({
      store,
      audit,
      rates,
      now,
      label: async (event) => void (await takeEvents({ events: [event] }, { kind: 'secret' })),
      onError: (err) => log.error({ err }, 'a case that another process changed could not be read'),
    });
    undo.push(() => reviews.close());
    const erasures = await openErasures({ store, audit, reviews, restrictions, now, onError: (err) => log.error({ err }, 'an erasure failed') });
    undo.push(() => erasures.close());
    const people = createPeople({ exports: { store, engine, reviews, restrictions, now }, erasures, audit });

    const recommendations = createRecommendations(data);
    const requests = requestObserver(metrics);
    const server = await createServer({
      host: config.host,
      port: config.port,
      limits: { bodyBytesMax: config.bodyBytesMax, requestTimeoutMs: config.requestTimeoutMs, headerCountMax: HEADER_LINES_MAX },
      routes: createDataRoutes(data, recommendations),
      ws: hub.route,
      cors: (request) => corsHeaders(request.header('origin'), keyring),
      onRequestDone: requests,
      log,
    });
    let dataPort = 0;
    let draining = false;
    const traffic = new Traffic(metrics, now);
    undo.push(traffic.start((err) => log.error({ err }, 'traffic could not be sampled')));
    metrics.onScrape(async () => {
      metrics.gauge('inFlight').set(server.inFlight());
      for (const [figure, value] of Object.entries(content.stats() ?? {})) metrics.gauge('contentIndex', figure).set(Number(value));
      for (const [figure, value] of Object.entries(items.stats() ?? {})) metrics.gauge('itemIndex', figure).set(Number(value));
      for (const [name, value] of Object.entries(await store.stats())) metrics.gauge('store', name).set(value);
    });
    // Opened before the data plane, and so closed behind it: an orchestrator reads there that the gateway drains while requests are still being finished.
    const control = await startControl(
      createControlApp({
        version: VERSION,
        config,
        dataPort: () => dataPort,
        store,
        keyring,
        streamTokens,
        audit,
        bundles,
        restrictions,
        reviews,
        people,
        catalogue,
        desk,
        editorial,
        placements,
        inspect: recommendations.inspect,
        experiments,
        metrics,
        traffic,
        warnings: () => [...desk.rules.problems(), ...filling()],
        readiness: () => (draining ? ['the gateway is draining'] : dataPort === 0 ? ['the data port is not open yet'] : []),
        assets: await loadAssets(fileURLToPath(new URL('../dashboard', import.meta.url))),
        log,
      }),
      { host: config.controlHost, port: config.controlPort },
    );
    undo.push(() => control.close());
    metrics.restartLoopWindow();
    dataPort = await server.listen();
    undo.push(() => server.close({ graceMs: config.drainMs }));

    // One at a time, and none while the store closes: on a machine that others keep busy one may take longer than it is away from the next.
    let retaining: Promise<unknown> | undefined;
    const retention = setInterval(() => {
      retaining ??= Promise.all([
        store.retain(now()).catch((err: unknown) => log.error({ err }, 'retention failed')),
        restrictions.retain().catch((err: unknown) => log.error({ err }, 'restrictions that ran out could not be removed')),
      ]).finally(() => {
        retaining = undefined;
      });
    }, RETAIN_EVERY_MS);
    undo.push(async () => {
      clearInterval(retention);
      await retaining;
    });

    return {
      dataPort,
      controlPort: control.port,
      store,
      bundles,
      async drain() {
        if (draining) return;
        draining = true;
        server.drain();
        await hub.drain(config.drainMs / 2);
        await unwind(undo, (err) => log.error({ err }, 'a part could not be closed'));
      },
    };
  } catch (cause) {
    await unwind(undo, (err) => log.error({ err }, 'a part could not be closed'));
    throw cause;
  }
}

/** Undoes in reverse; a part that fails is reported and does not keep the others open. */
async function unwind(undo: (() => Promise<void> | void)[], onError: (error: unknown) => void): Promise<void> {
  for (let step = undo.pop(); step; step = undo.pop()) {
    try {
      await step();
    } catch (error) {
      onError(error);
    }
  }
}

async function warmUp(store: Store<EntityState>, learnFrom: (event: TimedEvent) => void): Promise<void> {
  const { first, last } = await store.bounds();
  for (let after = Math.max(first - 1, last - WARM_UP_RECORDS_MAX); after < last; ) {
    const records = await store.read(after, JOURNAL_PAGE);
    if (records.length === 0) return;
    for (const { fact } of records) if (fact.kind === 'event') learnFrom(fact.event);
    after = records[records.length - 1]!.offset;
  }
}
