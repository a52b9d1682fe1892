import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { TSchema } from 'typebox';
import { Compile } from 'typebox/compile';
import { describe, expect, test } from 'vitest';
import { CLOSE, ERRORS, type Problem } from '../../contracts/errors.ts';
import { EventsRequest, EventsResponse, SERVER_EVENTS } from '../../contracts/event.ts';
import { ItemsResponse } from '../../contracts/item.ts';
import { ClientFrame, ServerFrame, StreamTokenResponse } from '../../contracts/push.ts';
import { RecommendResponse } from '../../contracts/recommend.ts';
import { ROUTES, type Route } from '../../contracts/routes.ts';
import { ScoreResponse } from '../../contracts/score.ts';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const read = (path: string): string => readFileSync(join(ROOT, path), 'utf8');
const PROMISES = 10;

describe('docs/guarantees.md', () => {
  const sections = read('docs/guarantees.md').split(/^## /m).slice(1);

  test('has the ten promises in their order', () => {
    expect(sections.map((section) => Number.parseInt(section, 10))).toEqual(Array.from({ length: PROMISES }, (_, i) => i + 1));
  });

  test.each(sections.map((section) => [section.split('\n', 1)[0]!, section] as const))('%s cites tests that exist', (_, section) => {
    const cited = [...section.slice(section.lastIndexOf('Held by')).matchAll(/`([\w./-]+\.ts)`/g)].map(([, path]) => path!);
    expect(cited.length).toBeGreaterThan(0);
    for (const path of cited) {
      expect(path).toMatch(/\.(test|suite)\.ts$/);
      expect(existsSync(join(ROOT, path)), path).toBe(true);
    }
  });
});

describe('docs/protocol.md', () => {
  const text = read('docs/protocol.md');
  const SCHEMAS: Readonly<Record<string, TSchema>> = {
    EventsRequest,
    EventsResponse,
    ItemsResponse,
    RecommendResponse,
    ScoreResponse,
    StreamTokenResponse,
    ClientFrame,
    ServerFrame,
  };
  const blocks = [...text.matchAll(/^```json (\w+)\n([\s\S]*?)^```$/gm)].map(([, name, body]) => [name!, body!.trim().split('\n')] as const);
  const linesOf = (wanted: string): string[] => blocks.flatMap(([name, lines]) => (name === wanted ? lines : []));

  test('each example has the shape that the wire has', () => {
    expect(new Set(blocks.map(([name]) => name))).toEqual(new Set([...Object.keys(SCHEMAS), 'Problem']));
    for (const [name, schema] of Object.entries(SCHEMAS)) {
      const validator = Compile(schema);
      for (const line of linesOf(name)) expect([line, validator.Check(JSON.parse(line))]).toEqual([line, true]);
    }
    for (const line of linesOf('Problem')) {
      const { code, status, title, fix } = JSON.parse(line) as Problem;
      expect(ERRORS[code]).toEqual({ status, title, fix });
    }
  });

  test('shows every frame, and names every close code and every event of servers', () => {
    const shown = new Set(
      [...linesOf('ClientFrame'), ...linesOf('ServerFrame'), '{"type":"error"}'].map((line) => (JSON.parse(line) as { type: string }).type),
    );
    const frames = [...ClientFrame.anyOf, ...ServerFrame.anyOf].map((frame) => frame.properties.type.const);
    expect(shown).toEqual(new Set(frames));
    const table = text.slice(text.indexOf('### Close codes'));
    for (const { code } of Object.values(CLOSE)) expect(table).toContain(String(code));
    const servers = text.slice(text.indexOf('**From servers alone.**')).split('\n', 1)[0];
    for (const name of SERVER_EVENTS) expect(servers).toContain(`\`${name}\``);
  });

  test('the commands ask routes that exist', () => {
    const commands = [...text.matchAll(/curl -s (?:-X (\w+) )?"?\$GATEHOUSE(\/[\w/]+)\S*(.*)$/gm)];
    expect(commands.length).toBeGreaterThan(6);
    for (const [, method, path, rest] of commands) {
      const wanted = method ?? (rest?.includes(' -d ') ? 'POST' : 'GET');
      expect(
        Object.values<Route>(ROUTES).some((route) => route.plane === 'data' && route.path === path && route.method === wanted),
        path,
      ).toBe(true);
    }
  });
});
