import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { BundleManifest } from '../../contracts/bundle.ts';
import { GatehouseError } from '../../contracts/errors.ts';
import type { LoadedBundle } from './bundle.ts';
import { BundleManager, type BundleManagerDeps } from './manager.ts';

let dir: string;
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'gatehouse-manager-'));
});
afterEach(() => rm(dir, { recursive: true }));

const TRAINED = { from_ms: 0, to_ms: 0, events: 0, users: 0, items: 0, seed: 0, journal_offset: 0 };

async function put(folder: string, ...versions: string[]): Promise<void> {
  for (const version of versions) {
    const manifest = {
      format: 'gatehouse-bundle-1',
      version,
      created_ms: 0,
      trained: TRAINED,
      models: {},
      indexes: {},
      tables: {},
      files: [],
      metrics: {},
    };
    await mkdir(join(folder, version), { recursive: true });
    await writeFile(join(folder, version, 'manifest.json'), JSON.stringify(manifest));
  }
}

/** A bundle without models that remembers how often it was released. */
interface Probe extends LoadedBundle {
  released: number;
}

/** A manager whose bundles are made here. `gate` is waited for in each load and probe. */
function managed(folder: string, change: Partial<BundleManagerDeps> = {}, gate: (what: string) => Promise<void> = async () => {}) {
  const loaded: Probe[] = [];
  const swaps: string[] = [];
  const roles: string[] = [];
  const manager = new BundleManager({
    dir: folder,
    probe: (path) => gate(`probe ${path.slice(folder.length + 1)}`),
    load: async (path, role) => {
      roles.push(`${path.slice(folder.length + 1)} ${role}`);
      await gate(`load ${path.slice(folder.length + 1)}`);
      const manifest = JSON.parse(await readFile(join(path, 'manifest.json'), 'utf8')) as BundleManifest;
      const bundle: Probe = {
        manifest,
        recommend: {},
        userIndex: undefined,
        fraud: undefined,
        anomaly: undefined,
        released: 0,
        probe: async () => {},
        release: async () => {
          bundle.released++;
        },
      };
      loaded.push(bundle);
      return bundle;
    },
    onSwap: ({ version }) => swaps.push(version),
    ...change,
  });
  return { manager, loaded, swaps, roles, pointer: async () => JSON.parse(await readFile(join(folder, 'active.json'), 'utf8')) as unknown };
}

/** A promise that a test keeps. */
function latch() {
  let open: () => void = () => {};
  const opened = new Promise<void>((resolve) => {
    open = resolve;
  });
  return { opened, open };
}

describe('a lease', () => {
  test('keeps the old bundle through a swap; its last end releases it, once', async () => {
    await put(dir, 'v1', 'v2');
    const { manager, loaded } = managed(dir);
    await manager.start();
    await manager.activate('v1');
    const [one, two] = [latch(), latch()];
    const leases = [one, two].map(({ opened }) =>
      manager.lease(async (bundle) => {
        await opened;
        return `${bundle!.manifest.version} ${(bundle as Probe).released}`;
      }),
    );
    await manager.activate('v2');
    expect(manager.current!.version).toBe('v2');
    one.open();
    expect(await leases[0]).toBe('v1 0');
    expect(loaded[0]!.released).toBe(0);
    two.open();
    expect(await leases[1]).toBe('v1 0');
    expect(loaded.map((bundle) => bundle.released)).toEqual([1, 0]);
    expect(await manager.lease(async (bundle) => bundle?.manifest.version)).toBe('v2');
  });

  test('that fails ends as well', async () => {
    await put(dir, 'v1', 'v2');
    const { manager, loaded } = managed(dir);
    await manager.activate('v1');
    const broken = latch();
    const lease = manager.lease(async () => {
      await broken.opened;
      throw new Error('bad request');
    });
    await manager.activate('v2');
    broken.open();
    await expect(lease).rejects.toThrow('bad request');
    expect(loaded[0]!.released).toBe(1);
  });

  test('without a bundle has none, and is none of a bundle that comes', async () => {
    await put(dir, 'v1');
    const { manager } = managed(dir);
    expect(await manager.start()).toBeUndefined();
    const later = latch();
    const lease = manager.lease(async (bundle) => {
      await later.opened;
      return bundle;
    });
    await manager.activate('v1');
    later.open();
    expect(await lease).toBeUndefined();
  });

  test('does not fail, nor does a swap, when the old bundle cannot be released', async () => {
    await put(dir, 'v1', 'v2');
    const failures: unknown[] = [];
    const { manager, loaded } = managed(dir, { onReleaseError: (cause) => failures.push(cause) });
    await manager.activate('v1');
    loaded[0]!.release = async () => {
      throw new Error('native');
    };
    const held = latch();
    const lease = manager.lease(() => held.opened);
    await manager.activate('v2');
    held.open();
    await lease;
    loaded[1]!.release = loaded[0]!.release;
    await manager.activate('v1');
    // The rejection reaches its handler a turn later.
    await Promise.resolve();
    expect(failures).toHaveLength(2);
  });
});

describe('activate', () => {
  test('swaps in the order of the calls, whatever takes how long', async () => {
    await put(dir, 'v1', 'v2', 'v3');
    const gates = new Map<string, ReturnType<typeof latch>>(['v1', 'v2', 'v3'].map((version) => [`load ${version}`, latch()]));
    const { manager, swaps } = managed(dir, {}, async (what) => gates.get(what)?.opened);
    const all = ['v1', 'v2', 'v3'].map((version) => manager.activate(version));
    for (const version of ['v3', 'v2', 'v1']) gates.get(`load ${version}`)!.open();
    await Promise.all(all);
    expect(swaps).toEqual(['v1', 'v2', 'v3']);
    expect(manager.current!.version).toBe('v3');
  });

  test('of the version that serves loads it anew and keeps what a rollback goes back to', async () => {
    await put(dir, 'v1', 'v2');
    const { manager, loaded, pointer } = managed(dir);
    await manager.activate('v1');
    await manager.activate('v2');
    await Promise.all([manager.activate('v2'), manager.activate('v2')]);
    expect(loaded.map((bundle) => `${bundle.manifest.version} ${bundle.released}`)).toEqual(['v1 1', 'v2 1', 'v2 1', 'v2 0']);
    expect(await pointer()).toEqual({ active: 'v2', previous: 'v1' });
  });

  test.each<[string, Partial<BundleManagerDeps>, string]>([
    ['the probe refuses it', { probe: async () => Promise.reject(new GatehouseError('bundle_probe_failed', 'it crashed')) }, 'bundle_probe_failed'],
    ['it cannot be loaded', { load: async () => Promise.reject(new GatehouseError('bundle_corrupt', 'bits')) }, 'bundle_corrupt'],
  ])('leaves the current one serving when %s, and the next swap is not held up', async (_, change, code) => {
    await put(dir, 'v1', 'v2', 'v3');
    const { manager, loaded, pointer } = managed(dir);
    await manager.activate('v1');
    const strict = managed(dir, {
      probe: async (path) => (path.endsWith('v2') && change.probe ? change.probe(path) : undefined),
      ...(change.load ? { load: (path, role) => (path.endsWith('v2') ? change.load!(path, role) : Promise.resolve(loaded[0]!)) } : {}),
    });
    await strict.manager.start();
    await expect(strict.manager.activate('v2')).rejects.toMatchObject({ code });
    expect(strict.manager.current!.version).toBe('v1');
    expect(await pointer()).toEqual({ active: 'v1', previous: null });
    await strict.manager.activate('v3');
    expect(await pointer()).toEqual({ active: 'v3', previous: 'v1' });
  });

  test.each(['', '.', '..', '../v1', 'v1/', './v1', '.tmp-v1', 'a/b', 'a\\b', 'v1\u0000', 'nothing'])('finds no bundle %j', async (version) => {
    await put(dir, 'v1', '.tmp-v1');
    const { manager, loaded } = managed(join(dir));
    await expect(manager.activate(version)).rejects.toMatchObject({ code: 'bundle_not_found' });
    expect(loaded).toEqual([]);
  });

  test('releases what it loaded when it cannot be recorded', async () => {
    await put(dir, 'v1');
    const { manager, loaded } = managed(dir);
    await mkdir(join(dir, 'active.json', 'in-the-way'), { recursive: true });
    await expect(manager.activate('v1')).rejects.toMatchObject({ code: 'store_unavailable' });
    expect(manager.current).toBeUndefined();
    expect(loaded[0]!.released).toBe(1);
  });
});

describe('rollback', () => {
  test('goes back to what served before, and forth again', async () => {
    await put(dir, 'v1', 'v2');
    const { manager, pointer } = managed(dir);
    await expect(manager.rollback()).rejects.toMatchObject({ code: 'bundle_not_found' });
    await manager.activate('v1');
    await expect(manager.rollback()).rejects.toMatchObject({ code: 'bundle_not_found' });
    await manager.activate('v2');
    expect((await manager.rollback()).version).toBe('v1');
    expect(await pointer()).toEqual({ active: 'v1', previous: 'v2' });
    expect((await manager.rollback()).version).toBe('v2');
  });

  test('waits for its turn: it undoes the swap that was asked for before it', async () => {
    await put(dir, 'v1', 'v2');
    const { manager, swaps } = managed(dir);
    await manager.activate('v1');
    await Promise.all([manager.activate('v2'), manager.rollback()]);
    expect(swaps).toEqual(['v1', 'v2', 'v1']);
  });
});

describe('after a restart', () => {
  test('the bundle that was active serves again, and can be rolled back', async () => {
    await put(dir, 'v1', 'v2');
    const before = managed(dir).manager;
    await before.activate('v1');
    await before.activate('v2');
    const { manager } = managed(dir);
    expect(await manager.start()).toBeUndefined();
    expect(manager.current!.version).toBe('v2');
    expect((await manager.list()).map(({ version, active, previous }) => [version, active, previous])).toEqual([
      ['v2', true, false],
      ['v1', false, true],
    ]);
    expect((await manager.rollback()).version).toBe('v1');
  });

  test.each(['', '{', 'null', '{"active":"../v1"}', '{"active":7}', '{"active":"v9"}'])(
    'an active.json of %j is told, and does not keep the gateway from starting nor from being mended',
    async (text) => {
      await put(dir, 'v1');
      await writeFile(join(dir, 'active.json'), text);
      const { manager, pointer } = managed(dir);
      expect(await manager.start()).toMatchObject({ code: 'bundle_corrupt' });
      expect(await manager.lease(async (bundle) => bundle)).toBeUndefined();
      await manager.activate('v1');
      expect(await pointer()).toEqual({ active: 'v1', previous: null });
    },
  );

  test('a half-written active.json.tmp is of no account', async () => {
    await put(dir, 'v1');
    await managed(dir).manager.activate('v1');
    await writeFile(join(dir, 'active.json.tmp'), '{"act');
    const { manager, pointer } = managed(dir);
    expect(await manager.start()).toBeUndefined();
    expect(manager.current!.version).toBe('v1');
    await manager.activate('v1');
    expect(await pointer()).toEqual({ active: 'v1', previous: null });
    expect((await readdir(dir)).sort()).toEqual(['active.json', 'v1']);
  });

  test('a bundle that can no longer be loaded is not what a rollback goes back to', async () => {
    await put(dir, 'v1', 'v2', 'v3');
    const before = managed(dir).manager;
    await before.activate('v1');
    await before.activate('v2');
    await rm(join(dir, 'v2'), { recursive: true });
    const { manager, pointer } = managed(dir);
    expect(await manager.start()).toBeInstanceOf(GatehouseError);
    await manager.activate('v3');
    expect(await pointer()).toEqual({ active: 'v3', previous: 'v1' });
  });
});

test('the list has the newest first, and says what is wrong with a folder', async () => {
  await put(dir, 'v1', 'v2', '.tmp-v3');
  await mkdir(join(dir, 'v0'));
  const entries = await managed(dir).manager.list();
  expect(entries.map(({ version, manifest }) => [version, manifest !== undefined])).toEqual([
    ['v2', true],
    ['v1', true],
    ['v0', false],
  ]);
  expect(entries[2]!.problem).toContain('no readable manifest.json');
});

describe('close', () => {
  test('releases the bundle after its leases, and refuses what comes later', async () => {
    await put(dir, 'v1');
    const { manager, loaded } = managed(dir);
    await manager.activate('v1');
    const held = latch();
    const lease = manager.lease(() => held.opened);
    manager.close();
    expect(loaded[0]!.released).toBe(0);
    held.open();
    await lease;
    expect(loaded[0]!.released).toBe(1);
    await expect(manager.activate('v1')).rejects.toMatchObject({ code: 'draining' });
    expect(await manager.lease(async (bundle) => bundle)).toBeUndefined();
  });

  test.each(['probe', 'load'])('during a %s leaves nothing loaded', async (stage) => {
    await put(dir, 'v1');
    const [reached, held] = [latch(), latch()];
    const { manager, loaded } = managed(dir, {}, async (what) => {
      if (!what.startsWith(stage)) return;
      reached.open();
      await held.opened;
    });
    const activation = manager.activate('v1');
    await reached.opened;
    manager.close();
    held.open();
    await expect(activation).rejects.toMatchObject({ code: 'draining' });
    expect(loaded.every((bundle) => bundle.released === 1)).toBe(true);
    expect(manager.current).toBeUndefined();
  });
});

type Step = { readonly do: 'activate'; readonly version: string } | { readonly do: 'rollback' } | { readonly do: 'lease'; readonly turns: number };
const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 2, arbitrary: fc.record({ do: fc.constant('activate' as const), version: fc.constantFrom('v1', 'v2', 'v3', 'bad', 'gone') }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('rollback' as const) }) },
  { weight: 3, arbitrary: fc.record({ do: fc.constant('lease' as const), turns: fc.nat(4) }) },
);

/** What a plain reading of the calls in their order ends with. */
function expectedPointer(steps: readonly Step[]): { active: string | null; previous: string | null } {
  let [active, previous]: (string | null)[] = [null, null];
  for (const now of steps) {
    if (now.do === 'lease') continue;
    const version: string | null = now.do === 'rollback' ? previous! : now.version;
    if (version === null || version === 'bad' || version === 'gone' || version === active) continue;
    [active, previous] = [version, active!];
  }
  return { active: active!, previous: previous! };
}

test('however leases, swaps and rollbacks interleave, no lease sees a released bundle and all but the last are released once', async () => {
  await put(dir, 'v1', 'v2', 'v3', 'bad');
  await fc.assert(
    fc.asyncProperty(fc.scheduler(), fc.array(step, { minLength: 1, maxLength: 14 }), async (scheduler, steps) => {
      await rm(join(dir, 'active.json'), { force: true });
      const { manager, loaded, pointer } = managed(dir, {}, async (what) => {
        await scheduler.schedule(Promise.resolve(), what);
        if (what === 'load bad') throw new GatehouseError('bundle_corrupt', 'bad');
      });
      await manager.start();
      const use = (turns: number) =>
        manager.lease(async (bundle) => {
          for (let turn = 0; turn <= turns; turn++) {
            if (bundle && (bundle as Probe).released > 0) throw new Error(`${bundle.manifest.version} was released under a lease`);
            await scheduler.schedule(Promise.resolve(), 'lease');
          }
        });
      const leases: Promise<void>[] = [];
      const changes: Promise<unknown>[] = [];
      for (const now of steps) {
        if (now.do === 'lease') leases.push(use(now.turns));
        else changes.push(now.do === 'rollback' ? manager.rollback() : manager.activate(now.version));
        // Let some of what is under way go on before the next call.
        if (scheduler.count() > 2) await scheduler.waitOne();
      }
      await scheduler.waitFor(Promise.all([Promise.allSettled(changes), Promise.all(leases)]));

      const expected = expectedPointer(steps);
      expect(manager.current?.version ?? null).toBe(expected.active);
      if (expected.active !== null) expect(await pointer()).toEqual(expected);
      const alive = loaded.filter((bundle) => bundle.released === 0);
      expect(alive.length).toBe(expected.active === null ? 0 : 1);
      expect(loaded.every((bundle) => bundle.released <= 1)).toBe(true);
      manager.close();
      expect(loaded.every((bundle) => bundle.released === 1)).toBe(true);
    }),
    { seed: 13, numRuns: 150 },
  );
});

describe('a challenger', () => {
  const withFraud = async (folder: string, ...versions: string[]): Promise<void> => {
    await put(folder, ...versions);
    for (const version of versions) {
      const path = join(folder, version, 'manifest.json');
      const manifest = JSON.parse(await readFile(path, 'utf8')) as BundleManifest;
      const fraud = {
        file: 'f.onnx',
        inputs: [{ name: 'features', shape: [-1, 1] }],
        outputs: [{ name: 'score', shape: [-1, 1] }],
        set: 'fraud',
        hash: 'h',
      };
      const decided = { ...fraud, calibration: { kind: 'platt', a: 1, b: 0 }, thresholds: { review: 1, challenge: 1, decline: 1 } };
      const file = { name: 'f.onnx', bytes: 0, sha256: 'a'.repeat(64) };
      await writeFile(path, JSON.stringify({ ...manifest, models: { fraud: decided }, files: [file] }));
    }
  };
  const seen = (manager: BundleManager) =>
    manager.lease(async (bundle, challenger) => [bundle?.manifest.version, challenger?.version, challenger?.share]);

  test('is leased beside the current bundle, and is there after a restart', async () => {
    await withFraud(dir, 'v1', 'v2', 'v3');
    const { manager, loaded, pointer } = managed(dir);
    await manager.start();
    await manager.activate('v1');
    expect(await seen(manager)).toEqual(['v1', undefined, undefined]);
    await manager.challengeBy({ version: 'v2', share: 0 });
    await manager.challengeBy({ version: 'v3', share: 0.1 });
    expect(await seen(manager)).toEqual(['v1', 'v3', 0.1]);
    expect(loaded.map(({ released }) => released)).toEqual([0, 1, 0]);
    expect(await pointer()).toEqual({ active: 'v1', previous: null, challenger: { version: 'v3', share: 0.1 } });

    const after = managed(dir);
    expect(await after.manager.start()).toBeUndefined();
    expect(await seen(after.manager)).toEqual(['v1', 'v3', 0.1]);
    expect(after.manager.challenge).toEqual({ version: 'v3', share: 0.1 });
  });

  test('is loaded as one, and anew when it is to serve', async () => {
    await withFraud(dir, 'v1', 'v2');
    const before = managed(dir);
    await before.manager.activate('v1');
    await before.manager.challengeBy({ version: 'v2', share: 0 });
    const { manager, roles } = managed(dir);
    expect(await manager.start()).toBeUndefined();
    await manager.activate('v2');
    expect(roles).toEqual(['v1 serving', 'v2 challenger', 'v2 serving']);
    expect(before.roles).toEqual(['v1 serving', 'v2 challenger']);
  });

  test('that is activated challenges no more; another bundle does not end the trial', async () => {
    await withFraud(dir, 'v1', 'v2', 'v3');
    const { manager } = managed(dir);
    await manager.start();
    await manager.activate('v1');
    await manager.challengeBy({ version: 'v2', share: 0.5 });
    await manager.activate('v3');
    expect(await seen(manager)).toEqual(['v3', 'v2', 0.5]);
    await manager.activate('v2');
    expect(await seen(manager)).toEqual(['v2', undefined, undefined]);
    expect(manager.challenge).toBeUndefined();
  });

  test('whose trial ends is kept for the requests that hold it, and not longer', async () => {
    await withFraud(dir, 'v1', 'v2');
    const { manager, loaded } = managed(dir);
    await manager.start();
    await manager.activate('v1');
    await manager.challengeBy({ version: 'v2', share: 0 });
    const held = latch();
    const request = manager.lease(() => held.opened);
    await manager.endChallenge();
    expect(loaded[1]!.released).toBe(0);
    held.open();
    await request;
    expect(loaded[1]!.released).toBe(1);
    await expect(manager.endChallenge()).rejects.toMatchObject({ code: 'bundle_not_found' });
  });

  test('is refused when it serves already, has no fraud model, or does not exist', async () => {
    await withFraud(dir, 'v1');
    await put(dir, 'bare');
    const { manager, loaded } = managed(dir);
    await manager.start();
    await manager.activate('v1');
    await expect(manager.challengeBy({ version: 'v1', share: 0 })).rejects.toMatchObject({ code: 'bundle_incompatible' });
    await expect(manager.challengeBy({ version: 'bare', share: 0 })).rejects.toMatchObject({ code: 'bundle_incompatible' });
    await expect(manager.challengeBy({ version: 'v9', share: 0 })).rejects.toMatchObject({ code: 'bundle_not_found' });
    expect(loaded.map(({ released }) => released)).toEqual([0, 1]);
    expect(manager.challenge).toBeUndefined();
  });

  test('with a share that is none in the note makes a start without bundle, with an error', async () => {
    await withFraud(dir, 'v1');
    await writeFile(join(dir, 'active.json'), JSON.stringify({ active: 'v1', previous: null, challenger: { version: 'v1', share: 7 } }));
    expect(await managed(dir).manager.start()).toMatchObject({ code: 'bundle_corrupt' });
  });
});
