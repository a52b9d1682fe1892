import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { ROUTES } from '../contracts/routes.ts';
import { DECISIONS } from '../contracts/score.ts';
import { readConfig, SETTINGS } from './config.ts';
import { METRICS } from './metrics.ts';

const DEPLOY = join(import.meta.dirname, '..', 'deploy');
const files = readdirSync(DEPLOY, { recursive: true, withFileTypes: true })
  .filter((entry) => entry.isFile())
  .map((entry) => ({ name: entry.name, text: readFileSync(join(entry.parentPath, entry.name), 'utf8') }));
const textOf = (name: string): string => files.find((file) => file.name === name)!.text;

const specs = Object.values(METRICS);
/** Each name that a query may use, with the labels it has. */
const series = new Map<string, ReadonlySet<string>>(
  specs.flatMap(({ name, kind, labels }) => {
    if (kind !== 'latency') return [[name, new Set<string>(labels)] as const];
    return ['_bucket', '_sum', '_count'].map((suffix) => [name + suffix, new Set<string>([...labels, 'le'])] as const);
  }),
);
/** Labels that Prometheus adds. */
const TARGET_LABELS = new Set(['instance', 'job']);

const dashboard = JSON.parse(textOf('gatehouse.json')) as { readonly panels: readonly { readonly targets: readonly { readonly expr: string }[] }[] };
const queries = [
  ...dashboard.panels.flatMap((panel) => panel.targets.map((target) => target.expr)),
  ...textOf('alerts.yaml')
    .split(/- alert: /)
    .slice(1)
    .map((rule) => /expr: (?:>-\n)?([\s\S]*?)\n {8}for:/.exec(rule)![1]!),
];

describe('queries of the Grafana dashboard and the alert rules', () => {
  test('are found at all', () => {
    expect(queries.length).toBeGreaterThan(25);
    for (const query of queries) expect(query.length).toBeGreaterThan(10);
  });

  test.each(queries)('%s uses only metrics and labels that exist', (query) => {
    const used = [...query.matchAll(/gatehouse_\w+/g)].map((match) => match[0]);
    for (const name of used) expect([...series.keys()], query).toContain(name);
    const labels = new Set([...used.flatMap((name) => [...(series.get(name) ?? [])]), ...TARGET_LABELS]);
    const selected = [...query.matchAll(/(\w+)\s*(?:=~|=|!=|!~)"/g)].map((match) => match[1]!);
    const grouped = [...query.matchAll(/by \(([^)]*)\)/g)].flatMap((match) => match[1]!.split(/,\s*/));
    for (const label of [...selected, ...grouped]) expect([...labels], `${label} in ${query}`).toContain(label);
    const values = (label: string): string[] => [...query.matchAll(new RegExp(`${label}=~?"([^"]*)"`, 'g'))].flatMap((match) => match[1]!.split('|'));
    for (const route of values('route')) expect(Object.keys(ROUTES)).toContain(route);
    for (const decision of values('decision')) expect(DECISIONS).toContain(decision);
  });

  test('sentences of the alert rules name metrics that exist', () => {
    const names = [...textOf('alerts.yaml').matchAll(/gatehouse_\w+/g)].map((match) => match[0]);
    const known = new Set([...series.keys(), ...specs.map((spec) => spec.name)]);
    for (const name of names) expect([...known]).toContain(name);
  });
});

describe('manifests', () => {
  test('set only settings that exist, to values that are allowed', () => {
    const names = new Set<string>(Object.values(SETTINGS).map((setting) => setting.name));
    const plain: Record<string, string> = {};
    for (const { text } of files) {
      for (const [name] of text.matchAll(/GATEHOUSE_[A-Z_]+/g)) expect([...names]).toContain(name);
      for (const match of text.matchAll(/(?:name: )?(GATEHOUSE_[A-Z_]+)(?:: |, value: )"?([^\s"}]+)/g)) plain[match[1]!] = match[2]!;
    }
    expect(readConfig(plain)).toMatchObject({ store: 'redis', host: '0.0.0.0', drainMs: 15_000 });
  });

  test('run without root, without privileges, on a read-only root, and drain in time', () => {
    const deployment = textOf('deployment.yaml');
    for (const line of [
      'runAsNonRoot: true',
      'readOnlyRootFilesystem: true',
      'allowPrivilegeEscalation: false',
      'drop: [ALL]',
      'enableServiceLinks: false',
    ]) {
      expect(deployment).toContain(line);
    }
    const graceS = Number(/terminationGracePeriodSeconds: (\d+)/.exec(deployment)![1]);
    const drainMs = Number(/GATEHOUSE_DRAIN_MS, value: "(\d+)"/.exec(deployment)![1]);
    const preStopMs = Number(/setTimeout\(\(\) => \{\}, (\d+)\)/.exec(deployment)![1]);
    expect(graceS * 1000).toBeGreaterThan(drainMs + preStopMs);
  });

  test('probe routes that exist, and publish the control port to nobody', () => {
    const paths = [...textOf('deployment.yaml').matchAll(/httpGet: \{ path: (\S+), port: control/g)].map((match) => match[1]!);
    const open = Object.values(ROUTES)
      .filter((route) => route.plane === 'control' && route.key === 'none')
      .map((route): string => route.path);
    expect(paths.length).toBe(3);
    for (const path of paths) expect(open).toContain(path);
    for (const published of textOf('compose.yaml').matchAll(/- "([^"]*:8081)"/g)) expect(published[1]).toMatch(/^127\.0\.0\.1:/);
  });
});
