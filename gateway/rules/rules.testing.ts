import { ADMIN_TOKEN, type TestGateway } from '../data/data.suite.ts';

export interface ControlAnswer<T> {
  readonly status: number;
  readonly body: T;
}

/** Asks a gateway's control plane. A text is sent as `type`, everything else as JSON. */
export async function control<T>(
  { gateway }: Pick<TestGateway, 'gateway'>,
  method: string,
  path: string,
  body?: unknown,
  { token = ADMIN_TOKEN, type = 'application/json' }: { readonly token?: string; readonly type?: string } = {},
): Promise<ControlAnswer<T>> {
  const response = await fetch(`http://127.0.0.1:${gateway.controlPort}${path}`, {
    method,
    headers: { authorization: `Bearer ${token}`, ...(body === undefined ? {} : { 'content-type': type }) },
    ...(body === undefined ? {} : { body: typeof body === 'string' ? body : JSON.stringify(body) }),
  });
  return { status: response.status, body: (await response.json()) as T };
}
