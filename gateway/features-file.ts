import { readFile } from 'node:fs/promises';
import { GatehouseError } from '../contracts/errors.ts';
import type { FeatureEngine } from '../scoring/features/contract.ts';
import { DEFAULT_DECLARATIONS } from '../scoring/features/defaults.ts';
import { createFeatureEngine } from '../scoring/features/engine.ts';
import { parseFeatureFile } from '../scoring/features/file.ts';

/**
 * The feature engine of the features file, or of the shipped declarations where none is named: the one engine of gateway, trainer and probe, which
 * have to compute the same. Throws `config_invalid` or `input_unreadable`.
 */
export async function openFeatures(path: string | undefined): Promise<FeatureEngine> {
  if (path === undefined) return createFeatureEngine(DEFAULT_DECLARATIONS);
  let text: string;
  try {
    text = await readFile(path, 'utf8');
  } catch (cause) {
    throw new GatehouseError('input_unreadable', `the features file ${path} cannot be read`, { cause });
  }
  return createFeatureEngine(parseFeatureFile(text));
}
