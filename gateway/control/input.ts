import type { Static, TSchema } from 'typebox';
import { Compile } from 'typebox/compile';
import { GatehouseError } from '../../contracts/errors.ts';

/** A rule, a key with its origins or a hundred entries of a list are all that anyone sends as JSON. */
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

/** Query parameters, with whole numbers as numbers but for those that are `texts`. A name given twice is `invalid_request`: two readers could take different ones. */
export function queryOf(queries: Readonly<Record<string, readonly string[]>>, texts: readonly string[] = []): Record<string, string | number> {
  const values: Record<string, string | number> = {};
  for (const [name, [value = '', ...more]] of Object.entries(queries)) {
    if (more.length > 0) throw new GatehouseError('invalid_request', `the parameter ${name} is given twice`);
    values[name] = /^\d{1,15}$/.test(value) && !texts.includes(name) ? Number(value) : value;
  }
  return values;
}

/** The JSON body. Throws `unsupported_media_type`, `body_too_large`, `malformed_body`. */
export async function jsonBody(request: Request): Promise<unknown> {
  if (!/^application\/json\s*(;|$)/i.test(request.headers.get('content-type') ?? '')) {
    throw new GatehouseError('unsupported_media_type', 'the control plane takes application/json');
  }
  const text = await textBody(request, CONTROL_BODY_BYTES_MAX);
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw new GatehouseError('malformed_body', 'the body is not JSON', { cause });
  }
}

/** The body as text. It counts while it reads: a chunked body tells no length. Throws `body_too_large`. */
export async function textBody(request: Request, bytesMax: number): Promise<string> {
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  for await (const chunk of request.body ?? []) {
    bytes += chunk.byteLength;
    if (bytes > bytesMax) throw new GatehouseError('body_too_large', `this route takes at most ${bytesMax} bytes`);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString('utf8');
}
