import { describe, expect, test } from 'vitest';
import { GatehouseError } from '../contracts/errors.ts';
import { isOrigin, readConfig, SETTINGS, settingsMarkdown } from './config.ts';

function problemOf(run: () => unknown): GatehouseError {
  try {
    run();
  } catch (error) {
    if (error instanceof GatehouseError) return error;
    throw error;
  }
  throw new Error('nothing was thrown');
}

describe('readConfig', () => {
  test('an empty environment gives the defaults, frozen', () => {
    const config = readConfig({});
    expect(config.host).toBe('127.0.0.1');
    expect(config.port).toBe(8080);
    expect(config.store).toBe('lmdb');
    expect(config.durability).toBe('sync');
    expect(config.bodyBytesMax).toBe(1_048_576);
    expect(config.adminToken).toBeUndefined();
    expect(config.secretKeys).toEqual([]);
    expect(Object.isFrozen(config)).toBe(true);
    expect(Object.isFrozen(config.secretKeys)).toBe(true);
  });

  test('every default lies in its own range', () => {
    for (const setting of Object.values(SETTINGS)) {
      if (setting.kind !== 'integer') continue;
      expect(setting.default, setting.name).toBeGreaterThanOrEqual(setting.min);
      expect(setting.default, setting.name).toBeLessThanOrEqual(setting.max);
    }
  });

  test('reads numbers, choices and lists; blanks count as left out', () => {
    const config = readConfig({
      GATEHOUSE_PORT: ' 9000 ',
      GATEHOUSE_STORE: 'redis',
      GATEHOUSE_SECRET_KEYS: 'gh_sec_a, gh_sec_b,,',
      GATEHOUSE_HOST: '',
      PATH: '/bin',
    });
    expect(config.port).toBe(9000);
    expect(config.store).toBe('redis');
    expect(config.secretKeys).toEqual(['gh_sec_a', 'gh_sec_b']);
    expect(config.host).toBe('127.0.0.1');
  });

  test('overrides win and are checked as well', () => {
    expect(readConfig({ GATEHOUSE_PORT: '9000' }, { port: 0 }).port).toBe(0);
    expect(problemOf(() => readConfig({}, { port: 70_000 })).detail).toContain('GATEHOUSE_PORT');
    expect(problemOf(() => readConfig({}, { drainMs: 1.5 })).detail).toContain('GATEHOUSE_DRAIN_MS');
    expect(problemOf(() => readConfig({}, { allowedOrigins: ['shop.example'] })).detail).toContain('GATEHOUSE_ALLOWED_ORIGINS');
  });

  test.each([
    [{ GATEHOUSE_PORT: '80x' }, 'GATEHOUSE_PORT'],
    [{ GATEHOUSE_PORT: '1e3' }, 'GATEHOUSE_PORT'],
    [{ GATEHOUSE_PORT: '65536' }, 'GATEHOUSE_PORT'],
    [{ GATEHOUSE_STORE: 'mysql' }, 'GATEHOUSE_STORE'],
    [{ GATEHOUSE_DURABILITY: 'none' }, 'GATEHOUSE_DURABILITY'],
    [{ GATEHOUSE_ALLOWED_ORIGINS: 'https://shop.example/path' }, 'GATEHOUSE_ALLOWED_ORIGINS'],
    [{ GATEHOUSE_STREAM_URL: 'https://shop.example' }, 'GATEHOUSE_STREAM_URL'],
    [{ GATEHOUSE_PROT: '8080' }, 'GATEHOUSE_PROT'],
  ])('%j is config_invalid and names the setting', (env, name) => {
    const error = problemOf(() => readConfig(env));
    expect(error.code).toBe('config_invalid');
    expect(error.detail).toContain(name);
  });

  test('the error never repeats the value: it may be a secret', () => {
    expect(problemOf(() => readConfig({ GATEHOUSE_PORT: 'gh_sec_hunter2' })).message).not.toContain('hunter2');
  });
});

test('isOrigin takes only what a browser sends', () => {
  expect(['https://shop.example', 'http://localhost:3000'].map(isOrigin)).toEqual([true, true]);
  expect(['https://shop.example/', 'shop.example', 'null', '*', 'https://SHOP.example', 'ftp://a'].map(isOrigin)).toEqual(Array(6).fill(false));
});

test('settingsMarkdown has a row for each setting', () => {
  const markdown = settingsMarkdown();
  for (const setting of Object.values(SETTINGS)) expect(markdown).toContain(`| \`${setting.name}\` |`);
  expect(markdown.trim().split('\n')).toHaveLength(Object.keys(SETTINGS).length + 2);
});
