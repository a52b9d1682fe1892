import { closeSync, existsSync, fsyncSync, openSync, readFileSync, truncateSync, writeSync } from 'node:fs';
import { GatehouseError } from '../../contracts/errors.ts';
import type { Values } from './space.ts';

/** One measurement: these values with this share of the resource gave this value, or failed for this reason. */
export interface Trial {
  readonly number: number;
  readonly values: Values;
  /** Share of the full resource (rows, trees), over 0 and up to 1. */
  readonly resource: number;
  /** What the measurement gave; smaller is better. Absent when it failed. */
  readonly value?: number;
  readonly error?: string;
}

/** Trials that are done, in their order. */
export interface TrialLog {
  readonly done: readonly Trial[];
  append(trial: Trial): void;
}

export function memoryLog(done: readonly Trial[] = []): TrialLog {
  const trials = [...done];
  return { done: trials, append: (trial) => void trials.push(trial) };
}

/** A search of thousands of trials has a file of a few MB; a larger one is something else. */
const FILE_BYTES_MAX = 256 * 1024 * 1024;

/**
 * JSON lines: first what is searched, then a line a trial, each on disk before the next begins. A last line that was cut off by a crash is removed,
 * as is what follows nothing. Throws `input_unreadable` for a file of another search or with a damaged line before its last.
 */
export function fileLog(path: string, header: Readonly<Record<string, unknown>>): TrialLog {
  const head = JSON.stringify({ format: 'gatehouse-search-1', ...header });
  const text = existsSync(path) ? read(path) : '';
  const end = text.lastIndexOf('\n') + 1;
  if (Buffer.byteLength(text) > Buffer.byteLength(text.slice(0, end))) truncateSync(path, Buffer.byteLength(text.slice(0, end)));
  const [first, ...lines] = text.slice(0, end).split('\n').slice(0, -1);
  if (first === undefined) write(path, head);
  else if (first !== head) throw new GatehouseError('input_unreadable', `${path} holds another search: ${first.slice(0, 200)}`);
  const log = memoryLog(lines.map((line, i) => parse(path, line, i)));
  return {
    done: log.done,
    append(trial) {
      write(path, JSON.stringify(trial));
      log.append(trial);
    },
  };
}

function read(path: string): string {
  const text = readFileSync(path, 'utf8');
  if (text.length > FILE_BYTES_MAX) throw new GatehouseError('input_unreadable', `${path} is larger than ${FILE_BYTES_MAX} bytes`);
  return text;
}

function write(path: string, line: string): void {
  const file = openSync(path, 'a');
  try {
    writeSync(file, `${line}\n`);
    fsyncSync(file);
  } finally {
    closeSync(file);
  }
}

function parse(path: string, line: string, number: number): Trial {
  let trial: Partial<Trial> | null;
  try {
    trial = JSON.parse(line);
  } catch (cause) {
    throw new GatehouseError('input_unreadable', `${path}, trial ${number}: the line is damaged`, { cause });
  }
  const isResult = trial !== null && (Number.isFinite(trial.value) || typeof trial.error === 'string');
  if (!isResult || trial?.number !== number || typeof trial.values !== 'object' || !(trial.resource! > 0 && trial.resource! <= 1)) {
    throw new GatehouseError('input_unreadable', `${path}, trial ${number}: the line is no trial`);
  }
  return trial as Trial;
}
