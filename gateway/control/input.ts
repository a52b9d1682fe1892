import type { Static, TSchema } from 'typebox';
import { Compile } from 'typebox/compile';
import { GatehouseError } from '../../contracts/errors.ts';

/** A key and a few origins are all that anyone sends here. */
export const CONTROL_BODY_BYTES_MAX = 64 * 1024;

/** A compiled check that returns its value typed, or throws `invalid_request` with each place that is wrong. */
export function checker<T extends TSchema>(schema: T): (value: unknown) => Static<T> {
  const compiled = Compile(schema);
  return (value) => {
    if (compiled.Check(value)) return value as Static<T>;
    const errors = compiled.Errors(value).map(({ instancePath, message }) => ({ path: instancePath || '/', message }));
    throw new GatehouseError('invalid_request', `${errors[0]?.path ?? '/'} ${errors[0]?.message ?? 'is wrong'}`, { errors });
  };
}

/** Query parameters, with whole numbers as numbers. A name given twice is `invalid_request`: two readers could take different ones. */
export function queryOf(queries: Readonly<Record<string, readonly string[]>>): Record<string, string | number> {
  const values: Record<string, string | number> = {};
  for (const [name, [value = '', ...more]] of Object.entries(queries)) {
    if (more.length > 0) throw new GatehouseError('invalid_request', `the parameter ${name} is given twice`);
    values[name] = /^\d{1,15}$/.test(value) ? Number(value) : value;
  }
  return values;
}

/** The JSON body. Throws `unsupported_media_type`, `body_too_large`, `malformed_body`. */
export async function jsonBody(request: Request): Promise<unknown> {
  if (!/^application\/json\s*(;|$)/i.test(request.headers.get('content-type') ?? '')) {
    throw new GatehouseError('unsupported_media_type', 'the control plane takes application/json');
  }
  const text = await boundedText(request);
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw new GatehouseError('malformed_body', 'the body is not JSON', { cause });
  }
}

/** Counts while it reads: a chunked body tells no length. */
async function boundedText(request: Request): Promise<string> {
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  for await (const chunk of request.body ?? []) {
    bytes += chunk.byteLength;
    if (bytes > CONTROL_BODY_BYTES_MAX) throw new GatehouseError('body_too_large', `the control plane takes at most ${CONTROL_BODY_BYTES_MAX} bytes`);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString('utf8');
}
