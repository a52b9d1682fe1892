import { createHash } from 'node:crypto';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { decode, encode } from '@msgpack/msgpack';
import type { BundleManifest, ContentFile, NeighboursFile, PopularityFile } from '../../contracts/bundle.ts';
import type { Problem } from '../../contracts/errors.ts';
import type { Fact } from '../../contracts/fact.ts';
import { CONTENT_TYPES, type Encoding } from '../../contracts/wire.ts';
import { type Config, readConfig } from '../config.ts';
import { type Gateway, startGateway } from '../main.ts';

// Keys of the right form that open nothing but a test's own gateway.
export const SECRET_KEY = `gh_sec_${'s'.repeat(43)}`;
export const PUBLISHABLE_KEY = `gh_pub_${'p'.repeat(43)}`;
export const ADMIN_TOKEN = `gh_adm_${'a'.repeat(43)}`;
export const ORIGIN = 'https://shop.example';
const JOURNAL_PAGE = 1000;

export interface Answer<T> {
  readonly status: number;
  readonly headers: Headers;
  readonly body: T;
}

export interface Ask {
  readonly encoding?: Encoding;
  readonly key?: string;
  readonly headers?: Readonly<Record<string, string>>;
}

/** A gateway in this process, with a data folder of its own and free ports, spoken to over HTTP. */
export class TestGateway {
  readonly gateway: Gateway;
  readonly url: string;
  readonly #dataDir: string;

  private constructor(gateway: Gateway, dataDir: string) {
    this.gateway = gateway;
    this.url = `http://127.0.0.1:${gateway.dataPort}`;
    this.#dataDir = dataDir;
  }

  /** `prepare` may fill the data folder before the gateway sees it. */
  static async start(overrides: Partial<Config> = {}, prepare: (dataDir: string) => Promise<void> = async () => {}): Promise<TestGateway> {
    const dataDir = await mkdtemp(join(tmpdir(), 'gatehouse-data-'));
    try {
      await prepare(dataDir);
      const config = readConfig(
        {},
        {
          dataDir,
          port: 0,
          controlPort: 0,
          secretKeys: [SECRET_KEY],
          publishableKeys: [PUBLISHABLE_KEY],
          adminToken: ADMIN_TOKEN,
          allowedOrigins: [ORIGIN],
          logLevel: 'silent',
          // The machine that runs the tests may be busy with others: being late is tested where it is meant.
          eventLoopDelayMaxMs: 60_000,
          recommendDeadlineMs: 10_000,
          scoreDeadlineMs: 10_000,
          ...overrides,
        },
      );
      return new TestGateway(await startGateway(config), dataDir);
    } catch (cause) {
      await rm(dataDir, { recursive: true, force: true });
      throw cause;
    }
  }

  async stop(): Promise<void> {
    await this.gateway.drain();
    await rm(this.#dataDir, { recursive: true, force: true });
  }

  /** Sends `body` in the encoding and asks for the answer in the same one. */
  ask<T>(method: string, path: string, body?: unknown, { encoding = 'json', key = SECRET_KEY, headers = {} }: Ask = {}): Promise<Answer<T>> {
    const type = CONTENT_TYPES[encoding];
    const bytes = body === undefined ? undefined : encoding === 'json' ? JSON.stringify(body) : encode(body, { ignoreUndefined: true });
    const content = bytes === undefined ? {} : { 'content-type': type };
    return this.raw<T>(method, path, bytes, { accept: type, authorization: `Bearer ${key}`, ...content, ...headers });
  }

  /** Sends exactly these bytes and headers. */
  async raw<T>(method: string, path: string, bytes?: Uint8Array | string, headers: Readonly<Record<string, string>> = {}): Promise<Answer<T>> {
    const response = await fetch(this.url + path, { method, headers, ...(bytes === undefined ? {} : { body: bytes as Uint8Array<ArrayBuffer> }) });
    const answered = new Uint8Array(await response.arrayBuffer());
    const type = response.headers.get('content-type') ?? '';
    const value =
      answered.length === 0 ? undefined : type.includes('msgpack') ? decode(answered) : JSON.parse(Buffer.from(answered).toString('utf8'));
    return { status: response.status, headers: response.headers, body: value as T };
  }

  /** The newest offset of the journal: unchanged means that nothing was taken. */
  async journalEnd(): Promise<number> {
    return (await this.gateway.store.bounds()).last;
  }

  /** Facts of one kind, the oldest first. */
  async facts<K extends Fact['kind']>(kind: K): Promise<Extract<Fact, { kind: K }>[]> {
    const found: Fact[] = [];
    for (let after = 0; ; ) {
      const records = await this.gateway.store.read(after, JOURNAL_PAGE);
      if (records.length === 0) return found.filter((fact) => fact.kind === kind) as Extract<Fact, { kind: K }>[];
      found.push(...records.map(({ fact }) => fact));
      after = records[records.length - 1]!.offset;
    }
  }
}

/** What a refusal says, checked to be a problem of the error table. */
export function problemOf(answer: Answer<unknown>): { readonly status: number; readonly code: string } {
  const problem = answer.body as Partial<Problem> | undefined;
  if (!answer.headers.get('content-type')?.startsWith('application/problem+json')) throw new Error(`no problem: ${JSON.stringify(problem)}`);
  if (problem?.status !== answer.status || !problem.detail || !problem.fix) throw new Error(`half a problem: ${JSON.stringify(problem)}`);
  return { status: answer.status, code: problem.code ?? '' };
}

export interface TablesBundle {
  readonly version: string;
  /** Item-to-item lists by item, the closest first. */
  readonly neighbours: Readonly<Record<string, readonly string[]>>;
  /** The most popular first. */
  readonly popular: readonly string[];
  /** What content vectors are made with; without it the bundle knows no content. */
  readonly content?: ContentFile;
  readonly metrics?: BundleManifest['metrics'];
}

/** Writes a bundle without models: tables alone, which need no trainer. Makes it the active one. */
export async function writeTablesBundle(dataDir: string, { version, neighbours, popular, content, metrics = {} }: TablesBundle): Promise<string> {
  const bundles = join(dataDir, 'bundles');
  const dir = join(bundles, version);
  await mkdir(dir, { recursive: true });
  const files = await Promise.all([
    writeTable(dir, 'neighbours.msgpack', neighboursFile(neighbours)),
    writeTable(dir, 'popularity.msgpack', popularityFile(popular)),
    ...(content ? [writeTable(dir, 'content.msgpack', content)] : []),
  ]);
  const manifest: BundleManifest = {
    format: 'gatehouse-bundle-1',
    version,
    created_ms: 1_700_000_000_000,
    trained: { from_ms: 0, to_ms: 1, events: 1, users: 1, items: popular.length, seed: 1, journal_offset: 0 },
    models: {},
    indexes: {},
    tables: { neighbours: 'neighbours.msgpack', popularity: 'popularity.msgpack', ...(content && { content: 'content.msgpack' }) },
    files,
    metrics,
  };
  await writeFile(join(dir, 'manifest.json'), JSON.stringify(manifest));
  await writeFile(join(bundles, 'active.json'), JSON.stringify({ active: version, previous: null }));
  return dir;
}

async function writeTable(dir: string, name: string, table: NeighboursFile | PopularityFile | ContentFile) {
  const bytes = encode(table);
  await writeFile(join(dir, name), bytes);
  return { name, bytes: bytes.length, sha256: createHash('sha256').update(bytes).digest('hex') };
}

function neighboursFile(lists: TablesBundle['neighbours']): NeighboursFile {
  const ids = [...new Set([...Object.keys(lists), ...Object.values(lists).flat()])];
  const indptr = [0];
  const neighbours: number[] = [];
  const similarities: number[] = [];
  for (const id of ids) {
    for (const [rank, other] of (lists[id] ?? []).entries()) {
      neighbours.push(ids.indexOf(other));
      similarities.push(1 / (rank + 1));
    }
    indptr.push(neighbours.length);
  }
  return {
    ids,
    indptr: bytesOf(Uint32Array.from(indptr)),
    neighbours: bytesOf(Uint32Array.from(neighbours)),
    similarities: bytesOf(Float32Array.from(similarities)),
  };
}

function popularityFile(popular: readonly string[]): PopularityFile {
  return { ids: popular, scores: bytesOf(Float32Array.from(popular, (_, i) => 1 / (i + 1))) };
}

function bytesOf(words: Uint32Array | Float32Array): Uint8Array {
  return new Uint8Array(words.buffer);
}
