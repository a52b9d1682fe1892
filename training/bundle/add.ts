import { constants } from 'node:fs';
import { copyFile, open } from 'node:fs/promises';
import { join } from 'node:path';
import type { BundleFile, BundleManifest } from '../../contracts/bundle.ts';
import type { ModelManifest } from '../../contracts/model-manifest.ts';
import type { FeatureEngine } from '../../scoring/features/contract.ts';
import { verifyBundle } from '../../scoring/models/verify.ts';
import { THRESHOLDS_WANTED } from '../fraud-rows.ts';
import { type ModelFile, readModelFile } from './model-file.ts';
import { publishBundle, writeManifest, writeSynced } from './publish.ts';

export interface AddModelOptions {
  /** Folder of the bundles. */
  readonly outDir: string;
  /** The bundle that the new one is made of; undefined: the new one has this model alone. */
  readonly base: string | undefined;
  /** Path of the model's manifest. */
  readonly manifest: string;
  readonly engine: FeatureEngine;
  readonly now: () => number;
  /** Loads and runs the new bundle in another process; rejects with what is wrong with it. */
  readonly probe: (dir: string) => Promise<void>;
}

/**
 * Makes a new version out of a bundle with one model replaced by an ONNX that others trained. Everything is checked and probed before the bundle
 * can be seen; on any failure nothing is left behind.
 *
 * Throws `model_invalid`, `input_unreadable`, `bundle_probe_failed`, what `publishBundle` says, and `bundle_not_found` or `bundle_corrupt` when the
 * bundle that it starts from is not sound.
 */
export async function addModel(options: AddModelOptions): Promise<BundleManifest> {
  const { outDir, base, engine, now, probe } = options;
  const model = await readModelFile(options.manifest, engine);
  const from = base === undefined ? undefined : await verifyBundle(join(outDir, base));
  const createdMs = now();
  const version = versionOf(createdMs, model.manifest.model);
  return publishBundle(outDir, version, async (dir) => {
    const kept = from ? keptFiles(from, model.manifest.model) : [];
    for (const { name } of kept) await copySynced(join(outDir, from!.version, name), join(dir, name));
    const written = await writeSynced(dir, fileNameOf(model.manifest, kept), model.bytes);
    const manifest = await writeManifest(dir, newManifest(model, from, { version, created_ms: createdMs, written, kept }));
    await probe(dir);
    return manifest;
  });
}

/** The files of what the new bundle takes over: not the old model's, nor the report, which tells of it. */
function keptFiles(from: BundleManifest, model: ModelManifest['model']): readonly BundleFile[] {
  const old = from.models[model];
  const trees = old && 'trees' in old ? old.trees : undefined;
  const dropped = new Set([old?.file, trees, from.report]);
  return from.files.filter(({ name }) => !dropped.has(name));
}

/** The usual name, or another one where a file of the bundle has it. */
function fileNameOf({ model }: ModelManifest, kept: readonly BundleFile[]): string {
  const taken = new Set(kept.map(({ name }) => name));
  return [`${model}.onnx`, `${model}.added.onnx`].find((name) => !taken.has(name)) ?? `${model}.${taken.size}.onnx`;
}

interface Written {
  readonly version: string;
  readonly created_ms: number;
  readonly written: BundleFile;
  readonly kept: readonly BundleFile[];
}

function newManifest(model: ModelFile, from: BundleManifest | undefined, { version, created_ms, written, kept }: Written): BundleManifest {
  const { manifest, set, hash, adapter, inputs, outputs } = model;
  const row = { file: written.name, inputs, outputs, set, hash, adapter };
  const models = { ...from?.models };
  if (manifest.model === 'ranker') models.ranker = row;
  else {
    models.fraud = {
      ...row,
      // The calibration of another model says nothing of this one. The knots of none leave every probability as it is.
      calibration: manifest.calibration ?? { kind: 'isotonic', x: [], y: [] },
      // From which probability on an action pays does not depend on the model.
      thresholds: manifest.thresholds ?? from?.models.fraud?.thresholds ?? THRESHOLDS_WANTED,
    };
  }
  return {
    format: 'gatehouse-bundle-1',
    version,
    created_ms,
    trained: from?.trained ?? { from_ms: 0, to_ms: 0, events: 0, users: 0, items: 0, seed: 0, journal_offset: 0 },
    models,
    indexes: from?.indexes ?? {},
    tables: from?.tables ?? {},
    ...(from?.session_search && { session_search: from.session_search }),
    files: [...kept, written],
    metrics: metricsOf(manifest, from?.metrics ?? {}),
  };
}

/** How the trainer names the metrics of each model: those are measures of a model that is no longer there. */
const MEASURED: Readonly<Record<ModelManifest['model'], RegExp>> = { fraud: /^fraud_/, ranker: /^(?:ranker_|recommend_.*_ranker$)/ };

function metricsOf({ model, metrics = {} }: ModelManifest, before: BundleManifest['metrics']): BundleManifest['metrics'] {
  const others = Object.entries(before).filter(([name]) => !MEASURED[model].test(name));
  return Object.fromEntries([...others, ...Object.entries(metrics).map(([name, value]): [string, number] => [`${model}_${name}`, value])]);
}

/** Sorts by time, and tells what was added. */
function versionOf(createdMs: number, model: string): string {
  return `${new Date(createdMs).toISOString().replace(/[-:]/g, '').replace('.', '-').replace('Z', '')}-${model}`;
}

/** Where the file system can, the copy shares its blocks: a large index costs no time. Its hash is checked when the new bundle is probed. */
async function copySynced(from: string, to: string): Promise<void> {
  await copyFile(from, to, constants.COPYFILE_EXCL | constants.COPYFILE_FICLONE);
  const handle = await open(to, 'r+');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}
