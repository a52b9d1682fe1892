import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { timeOf } from '../../cli/import.ts';
import { runCommandLine } from '../../cli/program.ts';
import { openShop } from '../../cli/shared.ts';
import type { RecommendResponse } from '../../contracts/recommend.ts';
import type { ScoreResponse } from '../../contracts/score.ts';
import { readConfig } from '../../gateway/config.ts';
import { DEFAULT_DECLARATIONS } from '../../scoring/features/defaults.ts';
import { createFeatureEngine } from '../../scoring/features/engine.ts';
import { testParts } from '../../training/bundle/parts.testing.ts';
import { writeBundle } from '../../training/bundle/write.ts';
import { begin, type CommandResult, KEYS, run, runOk, type ServedGateway, type StartedDemo, serve, startDemo } from './command-line.ts';

/** A fixed end, so that a shop is the same shop in every run. */
const END_MS = '1764000000000';

let dir: string;
let folders = 0;
/** A new data folder of its own. */
const fresh = (): string => join(dir, `data-${++folders}`);

beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), 'gatehouse-commands-'));
});
afterAll(() => rm(dir, { recursive: true, force: true }));

/** A refusal that a person can read: one line on stderr with the code, nothing on stdout, exit status 1. */
function expectRefusal(result: CommandResult, text: string): void {
  const lines = result.stderr.trimEnd().split('\n');
  const said = lines.filter((line) => !/: done in /.test(line));
  expect(said).toEqual([expect.stringContaining(text)]);
  expect(result.stdout).toBe('');
  expect(result.status).toBe(1);
}

/** As `run`, in this process: a process for each of so many would take minutes to start. */
async function runHere(args: readonly string[], env: Readonly<Record<string, string>>): Promise<CommandResult> {
  for (const name of Object.keys(process.env)) if (name.startsWith('GATEHOUSE_')) vi.stubEnv(name, undefined);
  for (const [name, value] of Object.entries(env)) vi.stubEnv(name, value);
  const said = [process.stdout, process.stderr].map((stream) => {
    let text = '';
    vi.spyOn(stream, 'write').mockImplementation((chunk) => {
      text += String(chunk);
      return true;
    });
    return () => text;
  });
  try {
    const status = await runCommandLine(args);
    return { status, stdout: said[0]!(), stderr: said[1]!() };
  } finally {
    vi.restoreAllMocks();
    vi.unstubAllEnvs();
  }
}

describe('help and mistakes', () => {
  test.each<[string, string[]]>([
    ['', ['start', 'serve', 'train', 'import', 'simulate', 'bundle', 'backtest', 'replay', 'key', '--version']],
    ['start', ['--no-demo', '--data-dir', '--rate', '--users', '--items', '--days']],
    ['serve', ['--data-dir']],
    ['train', ['--data-dir', '--seed', '--no-activate', '--fraud-from', '--fraud-to', '--labels-until']],
    ['import', ['path', '--mapping', '--from', '--until', '--as-of', '--data-dir']],
    ['export-items', ['file', '--data-dir']],
    ['import-items', ['file', '--data-dir']],
    ['simulate', ['--seed', '--users', '--items', '--days', '--end', '--data-dir', '--live', '--rate']],
    ['bundle', ['list', 'verify', 'activate', 'rollback']],
    ['bundle list', ['--data-dir', '--url', '--token']],
    ['bundle verify', ['version', '--data-dir']],
    ['bundle activate', ['version', '--data-dir', '--url', '--token']],
    ['bundle rollback', ['--data-dir', '--url', '--token']],
    ['backtest', ['--rules-file', '--rule', '--from', '--to', '--transactions', '--lists', '--no-replay', '--json', '--data-dir']],
    ['replay', ['transaction', '--data-dir']],
    ['rebuild', ['--data-dir', '--anew', '--partial']],
    ['evaluate-policy', ['fields', '--placement', '--reward', '--from', '--until', '--seed', '--data-dir']],
    ['key', ['kind']],
  ])('gatehouse %s --help names what it takes, and no secret', async (command, names) => {
    const token = `gh_adm_${'t'.repeat(43)}`;
    const words = command.split(' ').filter(Boolean);
    const { status, stdout, stderr } = await runHere([...words, '--help'], { GATEHOUSE_ADMIN_TOKEN: token });
    expect([status, stderr]).toEqual([0, '']);
    expect(names.filter((name) => !stdout.includes(name))).toEqual([]);
    expect(stdout).not.toContain(token);
  });

  test.each<[string, string]>([
    ['unheard-of', "unknown command 'unheard-of'"],
    ['serve --unheard-of', "unknown option '--unheard-of'"],
    ['serve more', 'too many arguments'],
    ['bundle unheard-of', "unknown command 'unheard-of'"],
    ['bundle verify v1 --url http://127.0.0.1:1', "unknown option '--url'"],
    ['import', "required option '--mapping <mapping>'"],
    ['import x.csv', "required option '--mapping <mapping>'"],
    ['import x.csv --mapping online-retail --from yesterday', '--from yesterday is no ISO 8601 time (config_invalid)'],
    ['import x.csv --mapping online-retail --from 5', '--from 5 is no ISO 8601 time (config_invalid)'],
    ['import x.csv --mapping online-retail', 'no file matches x.csv (input_unreadable)'],
    ['import x.csv --mapping unheard-of', 'unheard-of is neither a shipped mapping nor a file that can be read (mapping_invalid)'],
    ['evaluate-policy nothing.json --reward fame', "argument 'fame' is invalid"],
    ['evaluate-policy nothing.json', 'nothing.json cannot be read as JSON (input_unreadable)'],
    ['simulate --users many', "option '--users <n>' argument 'many' is invalid. It must be a whole number."],
    ['simulate --users 2', 'users must be a whole number from 10'],
    ['simulate --live http://127.0.0.1:1 --rate 0', "option '--rate <n>' argument '0' is invalid. It must be a number above 0."],
    ['start --items 1', 'items must be a whole number from 60'],
    ['train --seed x', "option '--seed <seed>' argument 'x' is invalid. It must be a whole number."],
    ['train --fraud-from 2026-13-45', '--fraud-from 2026-13-45 is no ISO 8601 time (config_invalid)'],
    ['key', "missing required argument 'kind'"],
    ['key master', "'master' is invalid for argument 'kind'"],
    ['bundle verify unheard-of', '(bundle_not_found)'],
    ['bundle activate unheard-of', '(bundle_not_found)'],
    ['bundle rollback', 'there is no previous bundle to go back to (bundle_not_found)'],
    ['bundle list --url nowhere', '--url nowhere is no address (config_invalid)'],
    ['bundle list --url http://127.0.0.1:1', 'no control plane answers at http://127.0.0.1:1 (input_unreadable)'],
    ['rebuild', 'there is no store in'],
    ['replay unheard-of', 'unheard-of is not in this store (transaction_not_found)'],
  ])('gatehouse %s is refused in one line', async (command, text) => {
    expectRefusal(await runHere(command.split(' '), { GATEHOUSE_DATA_DIR: fresh() }), text);
  });

  test('a process says the same, and ends with the status', async () => {
    expect(await run(['key', '--help'])).toMatchObject({ status: 0, stderr: '', stdout: expect.stringContaining('kind') });
    expectRefusal(await run(['serve', 'more']), 'too many arguments');
    expectRefusal(await run(['import', 'x.csv', '--mapping', 'online-retail'], { GATEHOUSE_DATA_DIR: fresh() }), '(input_unreadable)');
  }, 60_000);

  test('times without a zone are UTC', () => {
    expect(timeOf('--from', '2026-02-03')).toBe(Date.UTC(2026, 1, 3));
    expect(timeOf('--from', '2026-02-03T04:05')).toBe(Date.UTC(2026, 1, 3, 4, 5));
    expect(timeOf('--from', '2026-02-03T04:05:06+01:00')).toBe(Date.UTC(2026, 1, 3, 3, 5, 6));
  });
});

test('a key that was made opens the gateway by its hash, and no other does', async () => {
  const { stdout } = await runOk(['key', 'secret']);
  const [, key, setting] = /^key: +(gh_sec_\S+)\nsetting: (sha256:[0-9a-f]{64})\n$/.exec(stdout)!;
  const gateway = await serve(fresh(), { GATEHOUSE_SECRET_KEYS: setting! });
  try {
    const ask = (bearer: string) =>
      fetch(`${gateway.url}/v1/recommend`, {
        method: 'POST',
        headers: { authorization: `Bearer ${bearer}`, 'content-type': 'application/json' },
        body: JSON.stringify({ user_id: 'anna', placement: 'home' }),
      }).then(({ status }) => status);
    expect([await ask(key!), await ask(KEYS.secret)]).toEqual([200, 401]);
  } finally {
    await gateway.stop();
  }
});

describe('bundles and replay', () => {
  let data: string;
  let gateway: ServedGateway;
  const control = () => ['--url', gateway.controlUrl, '--token', KEYS.admin];
  const states = async (options: readonly string[]): Promise<string[]> =>
    (await runOk(['bundle', 'list', ...options])).stdout
      .trimEnd()
      .split('\n')
      .map((line) => line.slice(0, 4));

  beforeAll(async () => {
    data = fresh();
    const engine = createFeatureEngine(DEFAULT_DECLARATIONS);
    for (const [version, seed] of [
      ['v1', 1],
      ['v2', 2],
    ] as const)
      await writeBundle(join(data, 'bundles'), await testParts(engine, version, seed));
    await writeBundle(join(data, 'bundles'), await testParts(engine, 'v3'));
    await writeFile(join(data, 'bundles', 'v3', 'fraud.onnx'), 'not the model that the manifest seals');
    // The traffic below pays with a new card each time, which a shop sees from card testers alone: the breaker would take that for a wrong rule.
    gateway = await serve(data, { GATEHOUSE_BREAKER_RULE_PERCENT: '100', GATEHOUSE_BREAKER_OVERALL_PERCENT: '100' });
  }, 120_000);
  afterAll(async () => {
    await gateway?.stop();
  });

  function pay(transaction_id: string, user_id: string, amount: number): Promise<ScoreResponse> {
    return gateway.post('/v1/score', { transaction_id, user_id, amount, card_id: `c-${transaction_id}`, device_id: `d-${user_id}` });
  }

  test('verify tells a sound bundle from a damaged one', async () => {
    expect((await runOk(['bundle', 'verify', 'v1', '--data-dir', data])).stdout).toBe('v1 is sound\n');
    expectRefusal(await run(['bundle', 'verify', 'v3', '--data-dir', data]), '(bundle_corrupt)');
  });

  test('over --url bundles change under traffic, and no request is lost', async () => {
    expect(await states(control())).toEqual(['  v3', '  v2', '  v1']);
    const before = await pay('none-1', 'anna', 20);
    expect(before).toMatchObject({ bundle: null, degraded: true });

    let stop = false;
    const answers: ScoreResponse[] = [];
    const traffic = Array.from({ length: 4 }, async (_, worker) => {
      for (let i = 0; !stop; i++) answers.push(await pay(`t-${worker}-${i}`, `u${(worker * 7 + i) % 40}`, 5 + ((i * 37) % 400)));
    });
    try {
      expect((await runOk(['bundle', 'activate', 'v1', ...control()])).stdout).toBe('v1 is active\n');
      expect((await runOk(['bundle', 'activate', 'v2', ...control()])).stdout).toBe('v2 is active\n');
      expect(await states(control())).toEqual(['  v3', '* v2', '- v1']);
      expectRefusal(await run(['bundle', 'activate', 'v3', ...control()]), '(bundle_corrupt)');
      expectRefusal(await run(['bundle', 'activate', 'v9', ...control()]), '(bundle_not_found)');
      expect((await runOk(['bundle', 'rollback', ...control()])).stdout).toBe('v1 is active\n');
    } finally {
      stop = true;
      // A request that failed throws here.
      await Promise.all(traffic);
    }
    expect(new Set(answers.map(({ bundle }) => bundle))).toEqual(new Set([null, 'v1', 'v2']));
    expect(answers.at(-1)!.bundle).toBe('v1');
  }, 60_000);

  test('over --url a wrong token and a wrong server are said as what they are', async () => {
    expectRefusal(await run(['bundle', 'list', '--url', gateway.controlUrl, '--token', KEYS.secret]), '(forbidden)');
    expectRefusal(await run(['bundle', 'list', '--url', gateway.controlUrl]), '(unauthenticated)');
    expectRefusal(await run(['bundle', 'list', ...['--url', gateway.url], '--token', KEYS.admin]), '(not_found)');
    const byVariable = await runOk(['bundle', 'list', '--url', gateway.controlUrl], { GATEHOUSE_ADMIN_TOKEN: KEYS.admin });
    expect(byVariable.stdout).toContain('* v1');
  });

  test('a second gateway on the port or the store is refused', async () => {
    const port = new URL(gateway.url).port;
    const controlPort = new URL(gateway.controlUrl).port;
    const free = { GATEHOUSE_PORT: '0', GATEHOUSE_CONTROL_PORT: '0', GATEHOUSE_ADMIN_TOKEN: KEYS.admin, GATEHOUSE_LOG_LEVEL: 'warn' };
    expectRefusal(await run(['serve', '--data-dir', fresh()], { ...free, GATEHOUSE_PORT: port }), `(port_in_use)`);
    expectRefusal(await run(['serve', '--data-dir', fresh()], { ...free, GATEHOUSE_CONTROL_PORT: controlPort }), `(port_in_use)`);
    expectRefusal(await run(['serve', '--data-dir', data], free), '(store_locked)');
    expectRefusal(await run(['replay', 'none-1', '--data-dir', data]), '(store_locked)');
  });

  test('replay makes each decision again: of the model, of a rule, and of a time without a bundle', async () => {
    const byModel = await pay('model-1', 'bert', 77);
    for (let card = 1; card <= 4; card++) await pay(`rule-${card}`, 'mallory', 12);
    const second = await pay('rule-5', 'mallory', 12);
    expect(byModel.bundle).toBe('v1');
    expect(second.rule_hits.map(({ rule }) => rule)).toContain('many-cards-short-time');
    expect(await gateway.stop()).toBe(0);
    for (const transaction of ['none-1', 't-0-0', 't-1-0', 'model-1', 'rule-1', 'rule-5']) {
      const answer = JSON.parse((await runOk(['replay', transaction, '--data-dir', data])).stdout);
      expect([transaction, answer.identical, answer.again]).toEqual([transaction, true, answer.then]);
    }
    expectRefusal(await run(['replay', 'never-scored', '--data-dir', data]), '(transaction_not_found)');
  }, 60_000);

  test('on the folder of a stopped gateway the next start is changed', async () => {
    const folder = ['--data-dir', data];
    expect(await states(folder)).toEqual(['  v3', '- v2', '* v1']);
    await runOk(['bundle', 'activate', 'v2', ...folder]);
    expectRefusal(await run(['bundle', 'activate', 'v3', ...folder]), '(bundle_corrupt)');
    expect(await states(folder)).toEqual(['  v3', '* v2', '- v1']);
    await runOk(['bundle', 'rollback', ...folder]);
    gateway = await serve(data);
    expect((await pay('later-1', 'anna', 3)).bundle).toBe('v1');
  });
});

describe('history', () => {
  const ROWS = 300;
  let file: string;
  let mapping: string;

  beforeAll(async () => {
    file = join(dir, 'orders.csv');
    mapping = join(dir, 'orders.json');
    const lines = Array.from(
      { length: ROWS },
      (_, i) => `o${i},${new Date(1_750_000_000_000 + i * 3_600_000).toISOString()},u${i % 20},p${i % 30},${1 + (i % 3)}`,
    );
    await writeFile(file, ['order,at,customer,product,pieces', ...lines].join('\n'));
    await writeFile(
      mapping,
      JSON.stringify({
        format: 'gatehouse-mapping-1',
        name: 'orders',
        about: 'Orders of a test shop.',
        streams: [
          {
            event: 'purchase',
            fields: { event_id: '"order"', timestamp_ms: 'epoch_ms("at")', user_id: 'customer' },
            item: { item_id: 'product', quantity: 'pieces' },
          },
        ],
        items: { item_id: 'product', title: "'Product ' || min(product)" },
      }),
    );
  });

  const importInto = async (data: string, ...options: string[]) =>
    JSON.parse((await runOk(['import', file, '--mapping', mapping, '--data-dir', data, ...options])).stdout);

  /** Events of the journal, by id. */
  async function eventsIn(data: string): Promise<string[]> {
    const shop = await openShop(readConfig({}, { dataDir: data }));
    try {
      const records = await shop.store.read(0, 100_000);
      return records.flatMap(({ fact }) => (fact.kind === 'event' ? [fact.event.event_id] : []));
    } finally {
      await shop.close();
    }
  }

  test('an import is counted once, however often it runs', async () => {
    const data = fresh();
    expect(await importInto(data)).toMatchObject({ rows: ROWS, events: { purchase: ROWS }, items: 30, refused: {}, known_before: 0 });
    expect(await importInto(data)).toMatchObject({ events: { purchase: ROWS }, known_before: ROWS, known_with_other_content: 0 });
    expect((await eventsIn(data)).sort()).toEqual(Array.from({ length: ROWS }, (_, i) => `o${i}`).sort());
  });

  test('--from and --until take a part; --as-of moves whole days, and what is known stays where it was', async () => {
    const data = fresh();
    const part = await importInto(data, '--from', '2025-06-16', '--until', '2025-06-18');
    expect(part.events).toEqual({ purchase: 48 });
    const moved = await importInto(data, '--as-of', '2025-06-28');
    expect(moved.shift_ms % 86_400_000).toBe(0);
    const movedEndMs = Date.UTC(2025, 5, 28) + moved.shift_ms;
    expect(Date.now() - movedEndMs).toBeLessThan(86_400_000);
    expect(Date.now() - movedEndMs).toBeGreaterThanOrEqual(0);
    expect(moved).toMatchObject({ known_before: 48, known_with_other_content: 0 });
    expect(await eventsIn(data)).toHaveLength(ROWS);
  });

  test('the worked example of docs/import.md prints what the page says', async () => {
    const page = await readFile(new URL('../../docs/import.md', import.meta.url), 'utf8');
    const blocks = [...page.matchAll(/^```\w*\n([\s\S]*?)^```$/gm)].map(([, text]) => text!);
    const [, orders, example, printed] = blocks;
    await writeFile(join(dir, 'example.csv'), orders!);
    await writeFile(join(dir, 'example.json'), example!);
    const { stdout } = await runOk(['import', join(dir, 'example.csv'), '--mapping', join(dir, 'example.json'), '--data-dir', fresh()]);
    expect(JSON.parse(stdout)).toEqual(JSON.parse(printed!));
  });

  test('training on nothing, or on too little, says so and leaves nothing', async () => {
    const data = fresh();
    expectRefusal(await run(['train', '--data-dir', data]), 'the journal holds no events (training_data_insufficient)');
    const visits = { event: 'page_view', fields: { event_id: '"order"', timestamp_ms: 'epoch_ms("at")', user_id: 'customer' } };
    await writeFile(
      join(dir, 'visits.json'),
      JSON.stringify({ format: 'gatehouse-mapping-1', name: 'visits', about: 'No items.', streams: [visits] }),
    );
    await runOk(['import', file, '--mapping', join(dir, 'visits.json'), '--data-dir', data]);
    expectRefusal(await run(['train', '--data-dir', data]), '(training_data_insufficient)');
    expect(await readdir(join(data, 'bundles')).catch(() => [])).toEqual([]);
  });

  test('simulate fills a folder, the same for the same seed; Ctrl-C in the middle of train leaves no bundle, and --resume goes on', async () => {
    const [one, two] = [fresh(), fresh()];
    const size = ['--users', '120', '--items', '80', '--days', '30', '--end', END_MS];
    await Promise.all([one, two].map((data) => runOk(['simulate', ...size, '--seed', '7', '--data-dir', data])));
    const events = await eventsIn(one);
    expect(events.length).toBeGreaterThan(1_000);
    expect(await eventsIn(two)).toEqual(events);

    const training = begin(['train', '--data-dir', one]);
    await training.saying(/retrieval, to check: done/);
    training.interrupt();
    const { status, stderr, stdout } = await training.ended;
    expect([status, stdout]).toEqual([1, '']);
    expect(stderr).toContain('the training was stopped; no bundle was written (cancelled)');
    expect(await readdir(join(one, 'bundles'))).toEqual(['.training']);

    // The store was closed properly: the next command opens it, and the training runs through.
    const trained = JSON.parse((await runOk(['train', '--resume', '--data-dir', one, '--no-activate'])).stdout);
    expect(await readdir(join(one, 'bundles'))).toEqual([trained.version]);
    expect((await runOk(['bundle', 'list', '--data-dir', one])).stdout).toMatch(new RegExp(`^ {2}${trained.version} `));
  }, 120_000);
});

describe('an empty gateway (start --no-demo)', () => {
  let data: string;
  let started: StartedDemo;

  beforeAll(async () => {
    data = fresh();
    started = await startDemo(data, ['--no-demo']);
  });
  afterAll(async () => {
    await started?.stop();
  });

  async function send<T>(method: string, path: string, body: unknown): Promise<T> {
    const response = await fetch(`${started.url}${path}`, {
      method,
      headers: { authorization: `Bearer ${started.secretKey}`, 'content-type': 'application/json' },
      body: JSON.stringify(body),
    });
    const answer = (await response.json()) as T;
    if (!response.ok) throw new Error(`${method} ${path}: ${response.status} ${JSON.stringify(answer)}`);
    return answer;
  }
  const recommend = (user_id: string) => send<RecommendResponse>('POST', '/v1/recommend', { user_id, placement: 'home', limit: 3 });

  test('answers from the first second: nothing while there is nothing, items as soon as there are some', async () => {
    expect(await recommend('anna')).toMatchObject({ items: [], degraded: true });
    const items = ['lamp', 'chair', 'table', 'rug'].map((item_id, i) => ({ item_id, title: item_id, category: 'home', price: 10 + i }));
    await send('PUT', '/v1/items', { items });
    const answer = await recommend('anna');
    expect(new Set(answer.items.map(({ item_id }) => item_id)).size).toBe(3);
    expect(answer.items.every(({ item_id }) => items.some((item) => item.item_id === item_id))).toBe(true);
    expect(answer.bundle).toBeNull();
    // What somebody looks at counts in the very next answer.
    await send('POST', '/v1/events', {
      events: [1, 2, 3].map((n) => ({ event_id: `e${n}`, name: 'view_item', user_id: `guest${n}`, items: [{ item_id: 'rug' }] })),
    });
    expect((await recommend('bert')).items[0]!.item_id).toBe('rug');
    const verdict = await send<ScoreResponse>('POST', '/v1/score', { transaction_id: 'first', user_id: 'anna', amount: 12 });
    expect(verdict).toMatchObject({ decision: 'approve', degraded: true, bundle: null });
  });

  test('keeps what it was given, and no demo moves in later', async () => {
    expect(await started.stop()).toBe(0);
    expectRefusal(await run(['start', '--data-dir', data]), 'was begun with --no-demo');
    started = await startDemo(data, ['--no-demo']);
    expect((await recommend('bert')).items[0]!.item_id).toBe('rug');
  });
});
