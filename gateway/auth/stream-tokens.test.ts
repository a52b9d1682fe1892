import { SignJWT } from 'jose';
import { describe, expect, test } from 'vitest';
import { DocsStore } from './docs.suite.ts';
import { createStreamTokens } from './stream-tokens.ts';

const START_MS = 1_700_000_000_000;

describe('stream tokens', () => {
  test('grant their channels until they expire', async () => {
    let nowMs = START_MS;
    const tokens = await createStreamTokens({ store: new DocsStore(), now: () => nowMs });
    const { token, expires_ms } = await tokens.issue(['alerts'], 60);
    expect(expires_ms).toBe(START_MS + 60_000);
    expect(await tokens.verify(token)).toEqual({ channels: ['alerts'], expiresMs: expires_ms });
    nowMs += 66_000;
    await expect(tokens.verify(token)).rejects.toMatchObject({ code: 'unauthenticated', detail: expect.stringContaining('expired') });
  });

  test('work after a restart and in every process that shares the store, even when two start at once', async () => {
    const shared = new Map<string, Map<string, unknown>>();
    const now = (): number => START_MS;
    const empty = new DocsStore();
    // The second process reads the secrets before the first has written its own.
    const first = await createStreamTokens({ store: new DocsStore(shared), now });
    const racing = new DocsStore(shared);
    racing.docs = empty.docs.bind(empty);
    const second = await createStreamTokens({ store: racing, now });
    const restarted = await createStreamTokens({ store: new DocsStore(shared), now });
    for (const issuer of [first, second, restarted]) {
      const { token } = await issuer.issue(['alerts'], 60);
      for (const verifier of [first, second, restarted]) expect((await verifier.verify(token)).channels).toEqual(['alerts']);
    }
  });

  test('forged, foreign and unsigned tokens are refused', async () => {
    const now = (): number => START_MS;
    const store = new DocsStore();
    const tokens = await createStreamTokens({ store, now });
    const foreign = await createStreamTokens({ store: new DocsStore(), now });
    const good = (await tokens.issue(['alerts'], 60)).token;
    const [head, body, signature] = good.split('.') as [string, string, string];
    const none = Buffer.from('{"alg":"none"}').toString('base64url');
    const kid = JSON.parse(Buffer.from(head, 'base64url').toString()).kid as string;
    const secret = Buffer.from((await store.doc('stream_secrets', kid)) as string, 'base64url');
    const claims = (audience: string): SignJWT =>
      new SignJWT({ channels: ['alerts'] }).setProtectedHeader({ alg: 'HS256', kid }).setIssuer('gatehouse').setAudience(audience);
    const bad = [
      '',
      'x',
      'a.b.c',
      `${none}.${body}.`,
      `${head}.${body}.${signature.startsWith('A') ? 'B' : 'A'}${signature.slice(1)}`,
      (await foreign.issue(['alerts'], 60)).token,
      // Signed by us, but meant for something else, or good for ever.
      await claims('gatehouse:other').setExpirationTime('1h').sign(secret),
      await claims('gatehouse:stream').sign(secret),
    ];
    for (const token of bad) await expect(tokens.verify(token), token).rejects.toMatchObject({ code: 'unauthenticated' });
  });

  test('a broken store is not taken for a bad token', async () => {
    const now = (): number => START_MS;
    const store = new DocsStore();
    const tokens = await createStreamTokens({ store, now });
    const other = await createStreamTokens({ store: new DocsStore(), now });
    const { token } = await other.issue(['alerts'], 60);
    store.failure = new Error('disk');
    await expect(tokens.verify(token)).rejects.toThrow('disk');
  });
});
