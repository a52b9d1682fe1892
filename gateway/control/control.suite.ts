import type { BundleManifest } from '../../contracts/bundle.ts';
import { GatehouseError } from '../../contracts/errors.ts';
import type { Alert } from '../../contracts/push.ts';
import { DEFAULT_DECLARATIONS } from '../../scoring/features/defaults.ts';
import { createFeatureEngine } from '../../scoring/features/engine.ts';
import type { Challenge } from '../../scoring/models/manager.ts';
import { Catalogue } from '../../scoring/recommend/catalogue.ts';
import { DEFAULT_PLACEMENTS } from '../../scoring/recommend/placements.ts';
import { FRAUD_SET } from '../../scoring/risk/pipeline.ts';
import { createAudit, type Log } from '../audit.ts';
import { DocsStore } from '../auth/docs.suite.ts';
import { createKeyring } from '../auth/keyring.ts';
import { generateKey } from '../auth/keys.ts';
import { createStreamTokens } from '../auth/stream-tokens.ts';
import { readConfig } from '../config.ts';
import { openEditorial } from '../editorial.ts';
import { openExperiments } from '../experiments/desk.ts';
import { Metrics } from '../metrics.ts';
import { openPlacements } from '../placements.ts';
import { openRestrictions } from '../restrictions.ts';
import { openReviewDesk } from '../review/desk.ts';
import { openRiskDesk } from '../rules/risk-desk.ts';
import { createControlApp } from './app.ts';
import type { ControlDeps } from './deps.ts';
import { Traffic } from './traffic.ts';

export const NOW_MS = 1_700_000_000_000;

export function manifestOf(version: string): BundleManifest {
  return {
    format: 'gatehouse-bundle-1',
    version,
    created_ms: NOW_MS,
    trained: { from_ms: 0, to_ms: 1, events: 1, users: 1, items: 1, seed: 1, journal_offset: 1 },
    models: {},
    indexes: {},
    tables: {},
    files: [{ name: 'fraud.onnx', bytes: 1000, sha256: 'a'.repeat(64) }],
    metrics: { 'fraud.ap': 0.8 },
  };
}

export function alertOf(at: number): Alert {
  return { alert_id: `a${at}`, kind: 'decision', severity: 'high', at_ms: NOW_MS + at, title: `Alert ${at}` };
}

/** A control app over real keys, tokens, metrics and audit, and small doubles of what scoring and the stores do. */
export async function controlFixture(overrides: Partial<ControlDeps> = {}) {
  const store = Object.assign(new DocsStore(), {
    alerts: async (after: number, limit: number) =>
      [1, 2, 3]
        .filter((offset) => offset > after)
        .slice(0, limit)
        .map((offset) => ({ offset, alert: alertOf(offset) })),
    raise: async () => undefined,
    read: async () => [],
    bounds: async () => ({ first: 1, last: 0 }),
    alertsPosition: async () => ({ offset: 3, epoch: 'e1', first: 1 }),
    onAlert: () => () => {},
  });
  const logged: { readonly level: string; readonly message: string }[] = [];
  const log: Log = {
    info: (_fields, message) => void logged.push({ level: 'info', message }),
    warn: (_fields, message) => void logged.push({ level: 'warn', message }),
    error: (_fields, message) => void logged.push({ level: 'error', message }),
  };
  const now = (): number => NOW_MS;
  const metrics = new Metrics();
  const audit = createAudit({ store, log, metrics, now });
  const adminToken = generateKey('admin');
  const secretKey = generateKey('secret');
  const keyring = await createKeyring({
    store,
    audit,
    now,
    adminToken,
    secretKeys: [secretKey],
    onReloadError: (error) => log.error({ err: error }, 'x'),
  });
  const streamTokens = await createStreamTokens({ store, now });
  store.facts.length = 0;
  const desk = await openRiskDesk({
    config: readConfig({}, {}),
    store,
    audit,
    log,
    metrics,
    featureNames: createFeatureEngine(DEFAULT_DECLARATIONS).names(FRAUD_SET),
    now,
  });
  store.facts.length = 0;
  let current: string | undefined = 'v2';
  let challenge: Challenge | undefined;
  const bundles = {
    get current(): BundleManifest | undefined {
      return current === undefined ? undefined : manifestOf(current);
    },
    list: async () => [
      { version: 'v3', active: false, previous: false, manifest: manifestOf('v3') },
      { version: 'v2', active: true, previous: false, manifest: manifestOf('v2') },
      { version: 'v1', active: false, previous: true, manifest: manifestOf('v1') },
      { version: 'v0', active: false, previous: false, problem: 'manifest.json is missing' },
    ],
    activate: async (version: string) => {
      if (version === 'v0') throw new GatehouseError('bundle_corrupt', 'manifest.json is missing');
      current = version;
      return manifestOf(version);
    },
    rollback: async () => {
      current = 'v1';
      return manifestOf('v1');
    },
    get challenge(): Challenge | undefined {
      return challenge;
    },
    challengeBy: async (wanted: Challenge) => {
      challenge = wanted;
      return wanted;
    },
    endChallenge: async () => {
      challenge = undefined;
    },
  };
  const reviews = await openReviewDesk({
    store,
    audit,
    rates: undefined,
    now,
    label: async () => undefined,
    onError: (error) => log.error({ err: error }, 'x'),
  });
  const restrictions = await openRestrictions({ store, audit, now, onError: (error) => log.error({ err: error }, 'x') });
  const placements = await openPlacements({
    base: DEFAULT_PLACEMENTS,
    store,
    audit,
    now,
    requireFits: (id, placement) => experiments.requireFits(id, placement),
    onChange: () => {},
    onError: (error) => log.error({ err: error }, 'x'),
  });
  const experiments = await openExperiments({
    store,
    audit,
    placements,
    raise: async () => undefined,
    now,
    onError: (error) => log.error({ err: error }, 'x'),
  });
  const deps: ControlDeps = {
    version: '9.9.9',
    config: { controlHost: '127.0.0.1', controlAllowedHosts: ['risk.example'], streamUrl: undefined },
    dataPort: () => 8080,
    store,
    keyring,
    streamTokens,
    audit,
    bundles,
    restrictions,
    reviews,
    catalogue: new Catalogue(),
    people: { export: async () => (async function* () {})(), erase: async () => Promise.reject(new Error('not asked for here')), list: () => [] },
    desk,
    editorial: await openEditorial({ store, audit, now, onError: (error) => log.error({ err: error }, 'x') }),
    placements,
    inspect: async () => Promise.reject(new Error('not asked for here')),
    experiments,
    metrics,
    traffic: new Traffic(metrics, now),
    readiness: () => [],
    warnings: () => [],
    assets: new Map([
      ['/', { body: '<!doctype html><title>Gatehouse</title>', contentType: 'text/html; charset=utf-8' }],
      ['/main.js', { body: 'export {};', contentType: 'text/javascript; charset=utf-8' }],
    ]),
    log,
    ...overrides,
  };
  return { app: createControlApp(deps), deps, store, metrics, logged, streamTokens, adminToken, secretKey };
}
