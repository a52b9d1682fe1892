import { GatehouseError } from '../contracts/errors.ts';
import { indexReaders } from '../index/readers.ts';
import { DEFAULT_DECLARATIONS } from '../scoring/features/defaults.ts';
import { createFeatureEngine } from '../scoring/features/engine.ts';
import { loadBundle } from '../scoring/models/bundle.ts';
import type { ProbeReport } from './probe.ts';

/** The child process of `probeInChild`: its argument is the bundle's folder, its answer one message. */
async function probe(dir: string): Promise<ProbeReport> {
  try {
    const bundle = await loadBundle(dir, { engine: createFeatureEngine(DEFAULT_DECLARATIONS), ...indexReaders });
    await bundle.probe();
    await bundle.release();
    return { ok: true };
  } catch (error) {
    if (error instanceof GatehouseError) return { ok: false, code: error.code, detail: error.detail };
    return { ok: false, detail: error instanceof Error ? error.message : String(error) };
  }
}

process.send?.(await probe(process.argv[2] ?? ''), () => process.exit(0));
