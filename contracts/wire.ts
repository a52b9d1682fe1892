import { Decoder, encode } from '@msgpack/msgpack';
import { type FieldError, GatehouseError } from './errors.ts';

/** Levels of arrays and objects. The deepest request (a batch of events with items) has 4. */
export const DEPTH_MAX = 8;
/** Places named in an `invalid_request`: more help nobody, and a hostile batch could have thousands. */
export const FIELD_ERRORS_MAX = 20;
/** Keys that could reach an object's prototype. */
const FORBIDDEN: ReadonlySet<string> = new Set(['__proto__', 'constructor', 'prototype']);
const BACKSLASH = 92;
const QUOTE = 34;

export type Encoding = 'json' | 'msgpack';
export const CONTENT_TYPES: Readonly<Record<Encoding, string>> = { json: 'application/json', msgpack: 'application/msgpack' };

const utf8 = new TextDecoder('utf-8', { fatal: true });
/** It keeps its own stack, so depth cannot overflow; `checkValue` refuses the depth afterwards. */
const msgpack = new Decoder();

/** The encoding that a content type stands for. Throws `unsupported_media_type`. */
export function encodingOf(contentType: string | undefined): Encoding {
  const type = contentType?.split(';', 1)[0]?.trim().toLowerCase();
  if (type === 'application/json') return 'json';
  if (type === 'application/msgpack' || type === 'application/x-msgpack') return 'msgpack';
  throw new GatehouseError('unsupported_media_type', contentType === undefined ? 'no Content-Type was sent' : 'this Content-Type is not taken');
}

/**
 * One value from a body. Throws `unsupported_media_type`, `malformed_body`, `nesting_too_deep` or `forbidden_key`; never anything else, whatever the bytes.
 */
export function decodeBody(bytes: Uint8Array, contentType: string | undefined): unknown {
  const encoding = encodingOf(contentType);
  if (bytes.length === 0) throw new GatehouseError('malformed_body', 'the body is empty');
  const value = encoding === 'json' ? decodeJson(bytes) : decodeMsgpack(bytes);
  checkValue(value, 0);
  return value;
}

function decodeJson(bytes: Uint8Array): unknown {
  checkJsonDepth(bytes);
  try {
    return JSON.parse(utf8.decode(bytes));
  } catch (cause) {
    throw new GatehouseError('malformed_body', 'the body is not JSON in UTF-8', { cause });
  }
}

/** Counts brackets outside strings before the parser sees them: a megabyte of `[` must not become a million arrays. */
function checkJsonDepth(bytes: Uint8Array): void {
  let depth = 0;
  let inString = false;
  for (let i = 0; i < bytes.length; i++) {
    const byte = bytes[i]!;
    if (inString) {
      if (byte === BACKSLASH) i++;
      else if (byte === QUOTE) inString = false;
    } else if (byte === QUOTE) inString = true;
    else if (byte === 0x5b || byte === 0x7b) {
      if (++depth > DEPTH_MAX) throw tooDeep();
    } else if (byte === 0x5d || byte === 0x7d) depth--;
  }
}

function decodeMsgpack(bytes: Uint8Array): unknown {
  try {
    return msgpack.decode(bytes);
  } catch (cause) {
    const message = cause instanceof Error ? cause.message : String(cause);
    if (message.includes('__proto__')) throw new GatehouseError('forbidden_key', 'a key named __proto__');
    throw new GatehouseError('malformed_body', 'the body is not one MessagePack value', { cause });
  }
}

/** Refuses what JSON could not say (binary, dates, extensions, NaN), integers that a double cannot hold, deep nesting and keys that reach prototypes. */
function checkValue(value: unknown, depth: number): void {
  switch (typeof value) {
    case 'string':
    case 'boolean':
      return;
    case 'number':
      if (!Number.isFinite(value)) throw new GatehouseError('malformed_body', 'a number is not finite');
      if (Number.isInteger(value) && !Number.isSafeInteger(value)) throw new GatehouseError('malformed_body', 'a whole number is beyond 2^53');
      return;
    case 'object':
      break;
    default:
      throw new GatehouseError('malformed_body', 'a value is of a type that is not taken');
  }
  if (value === null) return;
  if (depth >= DEPTH_MAX) throw tooDeep();
  if (Array.isArray(value)) {
    for (const entry of value) checkValue(entry, depth + 1);
    return;
  }
  if (Object.getPrototypeOf(value) !== Object.prototype) throw new GatehouseError('malformed_body', 'a value is of a type that is not taken');
  for (const key of Object.keys(value)) {
    if (FORBIDDEN.has(key)) throw new GatehouseError('forbidden_key', `a key named ${key}`);
    checkValue((value as Record<string, unknown>)[key], depth + 1);
  }
}

function tooDeep(): GatehouseError {
  return new GatehouseError('nesting_too_deep', `more than ${DEPTH_MAX} levels`);
}

/** The encoding to answer in: the accepted one with the highest weight, JSON where both are equal. Throws `not_acceptable`. */
export function negotiate(accept: string | undefined): Encoding {
  if (accept === undefined || accept === '' || accept === '*/*' || accept === 'application/json') return 'json';
  let json = 0;
  let packed = 0;
  for (const part of accept.split(',')) {
    const [name = '', ...parameters] = part.split(';').map((text) => text.trim().toLowerCase());
    const given = parameters.find((parameter) => parameter.startsWith('q='));
    const weight = given === undefined ? 1 : Number(given.slice(2));
    if (!(weight > 0)) continue;
    const any = name === '*/*' || name === 'application/*';
    if (any || name === 'application/json') json = Math.max(json, weight);
    if (any || name === 'application/msgpack' || name === 'application/x-msgpack') packed = Math.max(packed, weight);
  }
  if (json === 0 && packed === 0) throw new GatehouseError('not_acceptable', 'neither JSON nor MessagePack is accepted');
  return packed > json ? 'msgpack' : 'json';
}

/** A body that is JSON already, because it was stored as such: it is sent as it is, and only read again for who wants MessagePack. */
export class JsonText {
  readonly text: string;
  constructor(text: string) {
    this.text = text;
  }
}

export function encodeBody(value: unknown, encoding: Encoding): { bytes: Uint8Array | string; contentType: string } {
  return {
    bytes: value instanceof JsonText ? encodeJsonText(value.text, encoding) : encodePlain(value, encoding),
    contentType: CONTENT_TYPES[encoding],
  };
}

function encodeJsonText(text: string, encoding: Encoding): Uint8Array | string {
  return encoding === 'json' ? text : encode(JSON.parse(text));
}

function encodePlain(value: unknown, encoding: Encoding): Uint8Array | string {
  return encoding === 'json' ? JSON.stringify(value) : encode(value, { ignoreUndefined: true });
}

/** What a compiled TypeBox schema offers. */
export interface ShapeValidator {
  Check(value: unknown): boolean;
  Errors(value: unknown): Iterable<{ readonly instancePath: string; readonly message: string }>;
}

/** The value, if it has the shape. Throws `invalid_request` with the places that do not fit. */
export function checkShape<T>(validator: ShapeValidator, value: unknown): T {
  if (validator.Check(value)) return value as T;
  const errors: FieldError[] = [];
  for (const { instancePath, message } of validator.Errors(value)) {
    if (errors.length === FIELD_ERRORS_MAX) break;
    errors.push({ path: instancePath, message });
  }
  const [first] = errors;
  throw new GatehouseError('invalid_request', first ? `${first.path || '/'} ${first.message}` : 'the body does not match its schema', { errors });
}
