import { encode } from '@msgpack/msgpack';
import { Compile } from 'typebox/compile';
import { GatehouseError } from '../../contracts/errors.ts';
import { ClientFrame, type ServerFrame } from '../../contracts/push.ts';
import { decodeBody, type Encoding } from '../../contracts/wire.ts';

/** Subprotocols by encoding; JSON where the client names none. */
export const SUBPROTOCOLS: Readonly<Record<Encoding, string>> = { json: 'gatehouse.json', msgpack: 'gatehouse.msgpack' };

export function encodingOfSubprotocol(subprotocol: string | undefined): Encoding {
  return subprotocol === SUBPROTOCOLS.msgpack ? 'msgpack' : 'json';
}

export function encodeFrame(frame: ServerFrame, encoding: Encoding): string | Uint8Array {
  return encoding === 'json' ? JSON.stringify(frame) : encode(frame, { ignoreUndefined: true });
}

const validator = Compile(ClientFrame);

/** A client's frame, or undefined when it is none: the bytes, the shape, or text in the binary protocol. */
export function decodeFrame(data: Uint8Array, isBinary: boolean, encoding: Encoding): ClientFrame | undefined {
  if (isBinary !== (encoding === 'msgpack')) return undefined;
  try {
    const value = decodeBody(data, encoding === 'json' ? 'application/json' : 'application/msgpack');
    return validator.Check(value) ? value : undefined;
  } catch (error) {
    if (error instanceof GatehouseError) return undefined;
    throw error;
  }
}
