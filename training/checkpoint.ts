import { hash } from 'node:crypto';
import { mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { decode, Encoder, ExtensionCodec } from '@msgpack/msgpack';
import { GatehouseError } from '../contracts/errors.ts';

/** Hidden beside the bundles; the gateway lists no folder that begins with a dot. */
const FOLDER = '.training';

/** What a run is: a stage of one run means nothing to another. */
export interface RunIdentity {
  readonly seed: number;
  /** Everything else that decides the result, as text that can be compared. */
  readonly settings: string;
}

interface RunNote extends RunIdentity {
  readonly format: 'gatehouse-training-1';
  /** The newest journal record that the run reads: what came later belongs to the next one. */
  readonly lastOffset: number;
}

const ARRAYS = [Float32Array, Float64Array, Uint32Array, Int32Array, Uint8Array] as const;
/** MessagePack's own types end at 127; negative ones are its own extensions. Ours are 1 to 5, as in ARRAYS. */
const codec = new ExtensionCodec();
ARRAYS.forEach((Kind, i) => {
  codec.register({
    type: i + 1,
    encode: (value) => (value instanceof Kind ? new Uint8Array(value.buffer, value.byteOffset, value.byteLength) : null),
    decode: (bytes) => new Kind(new Uint8Array(bytes).buffer),
  });
});

/**
 * Finished stages of a training run on disk, so that a run that was stopped goes on where it was. A stage is written to a temporary name and
 * renamed: it is there whole or not at all. One that cannot be read is made again.
 */
export class Checkpoint {
  readonly #dir: string;

  private constructor(dir: string) {
    this.#dir = dir;
  }

  /** The newest journal record of the run that was stopped; undefined when there is none. Throws `config_invalid` when it was another run. */
  static async stoppedAt(outDir: string, identity: RunIdentity): Promise<number | undefined> {
    const note = await readNote(join(outDir, FOLDER));
    if (!note) return undefined;
    if (note.seed !== identity.seed || note.settings !== identity.settings) {
      throw new GatehouseError(
        'config_invalid',
        'the run that was stopped had another seed or other settings: give the same, or train without --resume',
      );
    }
    return note.lastOffset;
  }

  /** Begins a run that can be resumed; `resume` keeps the stages that are there. */
  static async open(outDir: string, identity: RunIdentity, lastOffset: number, resume: boolean): Promise<Checkpoint> {
    const dir = join(outDir, FOLDER);
    if (!resume) await rm(dir, { recursive: true, force: true });
    await mkdir(dir, { recursive: true });
    const note: RunNote = { format: 'gatehouse-training-1', ...identity, lastOffset };
    await writeWhole(join(dir, 'run.json'), JSON.stringify(note));
    return new Checkpoint(dir);
  }

  /** The result of a stage, plain data and typed arrays: as it was stored, or made now and stored. */
  async stage<T>(name: string, make: () => Promise<T>): Promise<T> {
    const path = join(this.#dir, `${name}.msgpack`);
    try {
      return decode(await readFile(path), { extensionCodec: codec }) as T;
    } catch {
      // Not there, or cut off in the middle by a crash of the machine: both mean that the stage has to be made.
    }
    const value = await make();
    await writeWhole(path, new Encoder({ extensionCodec: codec, ignoreUndefined: true }).encode(value));
    return value;
  }

  /** The run is done. */
  async remove(): Promise<void> {
    await rm(this.#dir, { recursive: true, force: true });
  }
}

export function identityOf(seed: number, settings: unknown): RunIdentity {
  return { seed, settings: hash('sha256', JSON.stringify(settings), 'hex') };
}

async function readNote(dir: string): Promise<RunNote | undefined> {
  try {
    const note = JSON.parse(await readFile(join(dir, 'run.json'), 'utf8')) as Partial<RunNote>;
    return note.format === 'gatehouse-training-1' && Number.isInteger(note.lastOffset) ? (note as RunNote) : undefined;
  } catch {
    // No note, or none that can be read: there is nothing to go on with.
    return undefined;
  }
}

async function writeWhole(path: string, content: string | Uint8Array): Promise<void> {
  await writeFile(`${path}.tmp`, content);
  await rename(`${path}.tmp`, path);
}
