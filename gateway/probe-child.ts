import { GatehouseError } from '../contracts/errors.ts';
import { indexReaders } from '../index/readers.ts';
import { loadBundle } from '../scoring/models/bundle.ts';
import { openFeatures } from './features-file.ts';
import type { ProbeReport } from './probe.ts';

/** The child process of `probeInChild`: its arguments are the bundle's folder and the features file, its answer one message. */
async function probe(dir: string, featuresFile: string | undefined): Promise<ProbeReport> {
  try {
    const bundle = await loadBundle(dir, { engine: await openFeatures(featuresFile), ...indexReaders });
    await bundle.probe();
    await bundle.release();
    return { ok: true };
  } catch (error) {
    if (error instanceof GatehouseError) return { ok: false, code: error.code, detail: error.detail };
    return { ok: false, detail: error instanceof Error ? error.message : String(error) };
  }
}

process.send?.(await probe(process.argv[2] ?? '', process.argv[3]), () => process.exit(0));
