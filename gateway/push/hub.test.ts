import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import type { Position } from '../../contracts/push.ts';
import { codeOf, type FakeSocket, settle, type TestHub, testHub } from './hub.suite.ts';
import { AUTH_DEADLINE_MS, FRAMES_PER_TICK_MAX, PING_EVERY_MS, PONG_DEADLINE_MS } from './session.ts';

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval', 'setTimeout'] });
});
afterEach(() => {
  vi.useRealTimers();
});

async function subscribed(test: TestHub, after?: Position): Promise<FakeSocket> {
  const socket = test.connect('good');
  await settle();
  socket.say({ type: 'subscribe', channel: 'alerts', ...(after ? { after } : {}) });
  await settle();
  return socket;
}

function raise(test: TestHub): void {
  test.hub.publish(test.log.append(), test.log.epoch);
}

describe('who may come in', () => {
  test('a token in the address or in the first frame', async () => {
    const test = testHub();
    const byAddress = test.connect('good');
    const byFrame = test.connect();
    byFrame.say({ type: 'auth', token: 'good' });
    await settle();
    expect(byAddress.received.map(({ type }) => type)).toEqual(['ready']);
    expect(byFrame.received.map(({ type }) => type)).toEqual(['ready']);
  });

  test('a wrong token, no token in time, and a channel that the token lacks are closed with their codes', async () => {
    const test = testHub();
    const wrong = test.connect('bad');
    const silent = test.connect();
    const early = test.connect();
    const narrow = test.connect('none');
    await settle();
    early.say({ type: 'subscribe', channel: 'alerts' });
    narrow.say({ type: 'subscribe', channel: 'alerts' });
    test.clock.nowMs += AUTH_DEADLINE_MS + 1;
    vi.advanceTimersByTime(1000);
    await settle();
    expect([wrong, silent, early].map(({ closedWith }) => closedWith)).toEqual([
      codeOf('unauthenticated'),
      codeOf('unauthenticated'),
      codeOf('unauthenticated'),
    ]);
    expect(narrow.closedWith).toBe(codeOf('forbidden'));
    expect(test.hub.connections()).toBe(0);
  });

  test('limits of connections, of frames and of their form', async () => {
    const test = testHub({ connectionsMax: 3, connectionsPerIpMax: 1 });
    const one = test.connect('good', '10.0.0.1');
    expect(test.connect('good', '10.0.0.1').closedWith).toBe(codeOf('too_many_connections'));
    test.connect('good', '10.0.0.2');
    test.connect('good', '10.0.0.3');
    expect(test.connect('good', '10.0.0.4').closedWith).toBe(codeOf('too_many_connections'));
    await settle();
    for (let i = 0; i <= FRAMES_PER_TICK_MAX; i++) one.say({ type: 'ping' });
    expect(one.closedWith).toBe(codeOf('invalid_frame'));
    const after = test.connect('good', '10.0.0.1');
    await settle();
    after.say({ type: 'subscribe', channel: 'nope' });
    expect(after.closedWith).toBe(codeOf('invalid_frame'));
  });

  test('an expired token, a silent peer and a drain', async () => {
    const test = testHub();
    const idle = await subscribed(test);
    test.clock.nowMs += PING_EVERY_MS;
    vi.advanceTimersByTime(1000);
    expect(idle.pings).toBe(1);
    test.clock.nowMs += PONG_DEADLINE_MS;
    vi.advanceTimersByTime(1000);
    expect(idle.closedWith).toBe(codeOf('idle'));
    const kept = await subscribed(test);
    test.clock.nowMs = 2_000_000;
    vi.advanceTimersByTime(1000);
    expect(kept.closedWith).toBe(codeOf('token_expired'));
    const drained = test.connect('good');
    await test.hub.drain(0);
    expect(drained.closedWith).toBe(codeOf('going_away'));
  });
});

describe('what a subscriber gets', () => {
  test('all that comes after it subscribed, and nothing from before', async () => {
    const test = testHub();
    raise(test);
    const socket = await subscribed(test);
    raise(test);
    raise(test);
    expect(socket.received[1]).toMatchObject({ type: 'subscribed', offset: 1, epoch: 'e1', recovered: true });
    expect(socket.pushed()).toEqual([2, 3]);
  });

  test('all that it missed, with what came during the replay', async () => {
    const test = testHub({ outboxBytesMax: 1_000_000 });
    for (let i = 0; i < 450; i++) raise(test);
    const socket = test.connect('good');
    await settle();
    socket.say({ type: 'subscribe', channel: 'alerts', after: { offset: 10, epoch: 'e1' } });
    await Promise.resolve();
    raise(test);
    await Promise.resolve();
    raise(test);
    await settle();
    raise(test);
    expect(socket.received[1]).toMatchObject({ type: 'subscribed', offset: 10, recovered: true });
    expect(socket.pushed()).toEqual(Array.from({ length: 443 }, (_, i) => i + 11));
  });

  test.each([
    ['another epoch', { offset: 3, epoch: 'old' }],
    ['a position that retention took', { offset: 3, epoch: 'e1' }],
    ['a position from the future', { offset: 999, epoch: 'e1' }],
  ])('recovered: false for %s', async (_, after) => {
    const test = testHub();
    for (let i = 0; i < 20; i++) raise(test);
    test.log.trim(5);
    const socket = await subscribed(test, after);
    raise(test);
    expect(socket.received[1]).toMatchObject({ type: 'subscribed', offset: 20, recovered: false });
    expect(socket.pushed()).toEqual([21]);
  });

  test('a new epoch while it is connected is told, and the new log followed', async () => {
    const test = testHub();
    raise(test);
    const socket = await subscribed(test);
    test.log.epoch = 'e2';
    test.log.records = [];
    test.log.first = 1;
    raise(test);
    await settle();
    raise(test);
    await settle();
    expect(socket.received.filter(({ type }) => type === 'subscribed')).toMatchObject([{ recovered: true }, { epoch: 'e2', recovered: false }]);
    expect(socket.pushed()).toEqual([2]);
  });

  test('a slow peer is closed, never skipped: by bytes and by age', async () => {
    const test = testHub({ outboxBytesMax: 2_000, outboxAgeMs: 5_000 });
    const full = await subscribed(test);
    full.reading = false;
    while (full.open) raise(test);
    expect(full.terminated).toBe(true);
    const old = await subscribed(test);
    old.reading = false;
    raise(test);
    test.clock.nowMs += 5_001;
    vi.advanceTimersByTime(1000);
    expect(old.terminated).toBe(true);
    expect(test.closed).toEqual(['slow_consumer', 'slow_consumer']);
  });

  test('any interleaving of alerts, reads and reconnects gives each offset once and in order', async () => {
    type Step = 'raise' | 'turn' | 'stall' | 'read' | 'cut';
    const steps = fc.array(fc.constantFrom<Step>('raise', 'raise', 'raise', 'turn', 'stall', 'read', 'cut'), { maxLength: 120 });
    await fc.assert(
      fc.asyncProperty(steps, async (plan) => {
        const test = testHub({ outboxBytesMax: 1_500 });
        raise(test);
        let position: Position = { offset: 0, epoch: 'e1' };
        const got: number[] = [];
        let socket = test.connect('good');
        let ready = false;
        const collect = (): void => {
          for (const frame of socket.received.splice(0)) {
            if (frame.type === 'ready') ready = true;
            if (frame.type === 'subscribed') expect(frame.recovered).toBe(true);
            if (frame.type !== 'push') continue;
            got.push(frame.offset);
            position = { offset: frame.offset, epoch: frame.epoch };
          }
          if (ready && socket.open) {
            ready = false;
            socket.say({ type: 'subscribe', channel: 'alerts', after: position });
          }
        };
        const reconnect = (): void => {
          if (socket.open) socket.events.close(1006);
          socket = test.connect('good');
          ready = false;
        };
        for (const step of plan) {
          if (step === 'raise') raise(test);
          else if (step === 'stall') socket.reading = false;
          else if (step === 'read') {
            socket.reading = true;
            socket.read();
          } else if (step === 'cut') reconnect();
          else await Promise.resolve();
          collect();
          if (!socket.open) reconnect();
        }
        for (let i = 0; i < 200 && got.length < test.log.last; i++) {
          if (!socket.open) reconnect();
          socket.reading = true;
          socket.read();
          await settle();
          collect();
        }
        expect(got).toEqual(Array.from({ length: test.log.last }, (_, i) => i + 1));
        expect(test.errors).toEqual([]);
      }),
      { seed: 7, numRuns: 300 },
    );
  });
});
